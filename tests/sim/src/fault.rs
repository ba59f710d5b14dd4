//! The faults, each with its rows of the fault catalogue, and the rates at which they happen in a seed.

use crate::{
    rng::{Rng, mix},
    setup::Sort,
};

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident => [$($row:literal),*],)*) => {
        /// A fault.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault { $($(#[$doc])* $name,)* }

        impl Fault {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Rows of the catalogue that the fault reaches.
            pub fn rows(self) -> &'static [u8] {
                match self { $(Self::$name => &[$($row),*],)* }
            }
        }
    };
}

faults! {
    /// Messages became invisible, and the answer was lost.
    ReceiveLost => [1],
    /// A message in flight is delivered a second time.
    DuplicateDelivery => [2],
    /// A copy of a deleted message returns.
    DeletedReturns => [3],
    /// A delete with an outdated handle is acknowledged and deletes nothing.
    StaleDelete => [],
    /// An extension fails.
    ExtendFails => [5, 14],
    /// A receive finds nothing although messages exist.
    EmptyReceive => [8],
    /// A delete fails.
    DeleteFails => [14],
    /// A delete took effect and its answer was lost, or the reverse.
    DeleteLost => [],
    /// The dead-letter queue accepted the letter, and the answer was lost.
    LetterLost => [10],
    /// SQS answers 5xx or throttles.
    SqsError => [15],
    /// RunTask took effect, and the answer was lost.
    LaunchAnswerLost => [16],
    /// 200 with `failures[]`.
    LaunchFailures => [17],
    /// A throttle, plain or wrapped in another error.
    LaunchThrottled => [18],
    /// No capacity.
    NoCapacity => [19],
    /// The token exists with other parameters.
    Conflict => [21],
    /// RunTask arrives after its caller has stopped waiting.
    LaunchDelayed => [22],
    /// ECS does not know the new task for a while.
    MissingAfterLaunch => [23],
    /// A view of a task is outdated.
    StaleView => [25],
    /// The list omits tasks.
    PartialList => [25],
    /// PROVISIONING or PENDING for hours.
    StuckStart => [26],
    /// The process is gone and the task never reaches STOPPED.
    Vanished => [27],
    /// DEPROVISIONING for hours.
    LongDeprovisioning => [28],
    /// A stopped container needs all of its stop timeout.
    SlowStop => [29],
    /// StopTask fails.
    StopLost => [30],
    /// Spot interrupts the task.
    Spot => [31],
    /// The host is retired.
    Retirement => [32],
    /// The container is killed for its memory.
    Oom => [33],
    /// Image, network or secret failure at the start.
    StartFailure => [34],
    /// ECS' reads fail.
    EcsError => [],
    /// The answer of a call that writes to S3 is lost.
    WriteAnswerLost => [41],
    /// 409: another write on the same key is under way.
    WriteConflict => [42],
    /// S3 answers 5xx.
    S3Error => [43],
    /// A write to S3 arrives long after its sender gave up.
    WriteDelayed => [],
    /// The source cannot be used: missing, replaced, archived, denied.
    SourceGone => [44],
    /// The task dies between its last output and the terminal record.
    DiesBeforeRecord => [46],
    /// A call gets no answer until it times out.
    BlackHole => [54],
    /// The task cannot reach S3 for a while.
    CutOff => [57],
    /// The task's machine is suspended for a while and then continues.
    Frozen => [56],
    /// ffmpeg hangs; the watchdog ends it.
    Hang => [58],
    /// ffmpeg dies of a signal.
    Segv => [59],
    /// The task's disk is full.
    DiskFull => [60],
    /// The bus does not take an entry, in an answer that takes others.
    EntryRefused => [],
    /// The bus took an event, and the answer was lost.
    EventAnswerLost => [],
    /// An event of ECS or S3 is lost, late or doubled.
    HintTrouble => [38],
    /// An event that nobody sent.
    HintForged => [40],
}

/// Rates at which a fault happens in a seed. Extreme ones on purpose: plausible rates hide bugs.
const RATES: [f64; 6] = [0.002, 0.01, 0.05, 0.2, 0.5, 0.9];

#[derive(Debug, Clone)]
struct Source {
    rate: f64,
    rng: Rng,
    hits: u64,
}

/// The faults of one run.
#[derive(Debug, Clone)]
pub struct Faults {
    sources: Vec<Source>,
    /// `false` in the second phase.
    pub on: bool,
}

impl Faults {
    /// Draws the faults of the seed. Each fault has its own stream of random numbers, so that removing one while
    /// shrinking does not change the others.
    pub fn draw(seed: u64, sort: Sort, without: &[Fault]) -> Self {
        let mut rng = Rng::new(mix(&[seed, 1]));
        let share = rng.pick(&[0.0, 0.1, 0.3, 0.6, 1.0], 0.3);
        let most = if sort == Sort::Harsh { rng.pick(&[2_u64, 4, 5, 6], 4) } else { 3 };
        let sources = Fault::ALL.iter().map(|&fault| {
            let takes_part = rng.chance(share);
            let rate = RATES.get(usize::try_from(rng.below(most)).unwrap_or(0)).copied().unwrap_or(0.01);
            let rate = if takes_part && !without.contains(&fault) { rate } else { 0.0 };
            Source { rate, rng: Rng::new(mix(&[seed, 2, fault as u64])), hits: 0 }
        });
        Self { sources: sources.collect(), on: true }
    }

    /// Only these faults.
    pub fn only(seed: u64, rates: &[(Fault, f64)]) -> Self {
        let rate = |fault| rates.iter().find(|(which, _)| *which == fault).map_or(0.0, |(_, rate)| *rate);
        let source = |&fault: &Fault| Source {
            rate: rate(fault),
            rng: Rng::new(mix(&[seed, 2, fault as u64])),
            hits: 0,
        };
        Self { sources: Fault::ALL.iter().map(source).collect(), on: true }
    }

    /// Whether the fault can happen in this run.
    pub fn takes_part(&self, fault: Fault) -> bool {
        self.sources.get(fault as usize).is_some_and(|source| source.rate > 0.0)
    }

    /// Whether the fault happens now.
    pub fn strikes(&mut self, fault: Fault) -> bool {
        let on = self.on;
        self.sources.get_mut(fault as usize).is_some_and(|source| {
            let hit = on && source.rng.chance(source.rate);
            source.hits += u64::from(hit);
            hit
        })
    }

    /// Faults that happened, with their counts.
    pub fn struck(&self) -> impl Iterator<Item = (Fault, u64)> {
        Fault::ALL
            .iter()
            .copied()
            .zip(self.sources.iter().map(|source| source.hits))
            .filter(|(_, hits)| *hits > 0)
    }
}
