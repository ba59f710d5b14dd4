//! The faults, each with the rows of the fault catalogue that it stands for, and how often a seed lets it strike.

use crate::{
    rng::{Rng, mix},
    setup::Sort,
};

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident => [$($row:literal),*],)*) => {
        /// Something that goes wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault { $($(#[$doc])* $name,)* }

        impl Fault {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Rows of the catalogue that are reached when it strikes.
            pub fn rows(self) -> &'static [u8] {
                match self { $(Self::$name => &[$($row),*],)* }
            }
        }
    };
}

faults! {
    /// The messages became invisible, the answer was lost.
    ReceiveLost => [1],
    /// A message in flight is delivered a second time.
    DuplicateDelivery => [2],
    /// A copy of a deleted message comes back.
    DeletedReturns => [3],
    /// A delete with an outdated handle is acknowledged and deletes nothing.
    StaleDelete => [],
    /// An extension does not get through.
    ExtendFails => [5, 14],
    /// A receive finds nothing although messages are there.
    EmptyReceive => [8],
    /// A delete does not get through.
    DeleteFails => [14],
    /// A delete was carried out and its answer lost, or the other way round.
    DeleteLost => [],
    /// The dead-letter queue took the letter, the answer was lost.
    LetterLost => [10],
    /// SQS answers 5xx or throttles.
    SqsError => [15],
    /// RunTask was carried out, the answer was lost.
    LaunchAnswerLost => [16],
    /// 200 with `failures[]`.
    LaunchFailures => [17],
    /// A throttle, plain or wrapped.
    LaunchThrottled => [18],
    /// No capacity.
    NoCapacity => [19],
    /// The token exists with other parameters.
    Conflict => [21],
    /// RunTask arrives when nobody expects it any more.
    LaunchDelayed => [22],
    /// The new task is not known for a while.
    MissingAfterLaunch => [23],
    /// A view of a task is an old one.
    StaleView => [25],
    /// The list leaves tasks out.
    PartialList => [25],
    /// PROVISIONING or PENDING for hours.
    StuckStart => [26],
    /// The process is gone and the task never reaches STOPPED.
    Vanished => [27],
    /// DEPROVISIONING for hours.
    LongDeprovisioning => [28],
    /// A stopped container uses up its stop timeout.
    SlowStop => [29],
    /// StopTask does not get through.
    StopLost => [30],
    /// Spot takes the task back.
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
    /// 409: somebody else is writing at the same moment.
    WriteConflict => [42],
    /// S3 answers 5xx.
    S3Error => [43],
    /// A write to S3 arrives long after its sender gave up.
    WriteDelayed => [],
    /// The source cannot be used: missing, replaced, archived, denied.
    SourceGone => [44],
    /// The task dies between its last output and the terminal record.
    DiesBeforeRegister => [46],
    /// A call gets no answer until it times out.
    BlackHole => [54],
    /// The task is cut off from S3 for a while.
    CutOff => [57],
    /// The task's machine stands still for a while and then goes on.
    Frozen => [56],
    /// ffmpeg hangs; the watchdog ends it.
    Hang => [58],
    /// ffmpeg dies of a signal.
    Segv => [59],
    /// The task's disk is full.
    DiskFull => [60],
    /// An event of ECS or S3 is lost, late or doubled.
    HintTrouble => [38],
    /// An event that nobody sent.
    HintForged => [40],
}

/// Rates at which a fault that takes part in a seed strikes. Extreme ones on purpose: plausible rates hide bugs.
const RATES: [f64; 6] = [0.002, 0.01, 0.05, 0.2, 0.5, 0.9];

#[derive(Debug, Clone)]
struct Source {
    rate: f64,
    rng: Rng,
    hits: u64,
}

/// What goes wrong in one run.
#[derive(Debug, Clone)]
pub struct Faults {
    sources: Vec<Source>,
    /// Off in the second phase.
    pub on: bool,
}

impl Faults {
    /// Draws the seed's own mix. Each fault has its own stream of numbers, so that taking one away while shrinking
    /// leaves the others as they were.
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

    /// These and no others.
    pub fn only(seed: u64, rates: &[(Fault, f64)]) -> Self {
        let rate = |fault| rates.iter().find(|(which, _)| *which == fault).map_or(0.0, |(_, rate)| *rate);
        let source = |&fault: &Fault| Source {
            rate: rate(fault),
            rng: Rng::new(mix(&[seed, 2, fault as u64])),
            hits: 0,
        };
        Self { sources: Fault::ALL.iter().map(source).collect(), on: true }
    }

    /// Whether it strikes at all, at times.
    pub fn takes_part(&self, fault: Fault) -> bool {
        self.sources.get(fault as usize).is_some_and(|source| source.rate > 0.0)
    }

    /// Whether it strikes now.
    pub fn strikes(&mut self, fault: Fault) -> bool {
        let on = self.on;
        self.sources.get_mut(fault as usize).is_some_and(|source| {
            let hit = on && source.rng.chance(source.rate);
            source.hits += u64::from(hit);
            hit
        })
    }

    /// Faults that struck, with how often.
    pub fn struck(&self) -> impl Iterator<Item = (Fault, u64)> {
        Fault::ALL
            .iter()
            .copied()
            .zip(self.sources.iter().map(|source| source.hits))
            .filter(|(_, hits)| *hits > 0)
    }
}
