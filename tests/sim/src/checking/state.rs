//! The parts of a small world.

use std::sync::Arc;

use transcode_config::contract::{Claim, Outcome, Terminal};
use transcode_core::{
    protocol::{action::Action, clock::Ms, fact::Fact},
    reconciler::Reconciler,
};

use super::tenancy::Tenancy;

/// Most faults of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Bounds {
    /// Controllers killed.
    pub crashes: u8,
    /// Answers lost.
    pub lost: u8,
    /// Requests that arrive after their caller has stopped waiting.
    pub delayed: u8,
    /// Answers that arrive after other things have happened.
    pub slow: u8,
    /// Messages that become visible while they are held.
    pub expired: u8,
    /// Attempts that fail.
    pub fails: u8,
    /// Launches answered with `failures[]`.
    pub refused: u8,
    /// DescribeTasks answers that omit an existing task.
    pub unseen: u8,
    /// Messages that were put back and become visible again.
    pub returns: u8,
    /// Steps in which time passes.
    pub waits: u8,
    /// Events that the bus does not take.
    pub away: u8,
    /// Tasks that a person stops to cancel their job.
    pub by_hand: u8,
}

/// A protocol weaker than ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeakProtocol {
    /// None.
    None,
    /// The message is deleted once ECS has accepted RunTask.
    DeleteOnAccept,
    /// RunTask's token is different each time.
    RandomToken,
    /// Attempts are counted by the number of receives.
    CountsReceives,
    /// The terminal record is overwritten.
    BlindTerminalRecord,
    /// A task begins after its launch deadline.
    NoLaunchDeadline,
}

/// The phase of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    Starting,
    /// Its first heartbeat is written, its start checks are not done.
    Looking,
    Working,
    Ended(i32),
}

/// A task.
#[derive(Debug, Clone)]
pub(super) struct SmallTask {
    pub(super) job: usize,
    pub(super) claim: Arc<Claim>,
    pub(super) token: String,
    pub(super) phase: Phase,
    /// It has SIGTERM; it may end otherwise before.
    pub(super) stopping: bool,
    /// The reason of the first StopTask.
    pub(super) stop_reason: Option<&'static str>,
    /// A person has stopped it to cancel its job.
    pub(super) by_hand: bool,
}

/// A message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SmallMessage {
    pub(super) visible: bool,
    /// Given back because too many jobs wait.
    pub(super) put_back: bool,
    pub(super) deleted: bool,
    /// Number of the newest handle.
    pub(super) receipt: u32,
}

/// The documents of a job in the bucket and its letters in the dead-letter queue.
#[derive(Debug, Clone, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a document or a message of its own")]
pub(super) struct SmallJob {
    pub(super) claims: Vec<Arc<Claim>>,
    pub(super) terminal: Option<Arc<Terminal>>,
    pub(super) published: bool,
    pub(super) letters: bool,
    /// The index has its end.
    pub(super) indexed: bool,
    /// The bus or the outbox has the event of its end.
    pub(super) told: bool,
    /// Tokens that were answered with `failures[]`.
    pub(super) refused: Vec<String>,
}

impl SmallJob {
    /// Whether the job needs nothing more (S1).
    pub(super) fn settled(&self) -> bool {
        match self.terminal.as_ref().map(|terminal| &terminal.outcome) {
            None => false,
            Some(Outcome::Succeeded(_)) => self.published,
            Some(Outcome::Dead(_)) => self.letters,
            Some(Outcome::Superseded(_) | Outcome::Cancelled(_)) => true,
        }
    }
}

/// A controller and its calls under way.
#[derive(Debug, Clone)]
pub(super) struct Controller {
    pub(super) core: Reconciler,
    pub(super) tenancy: Tenancy,
    pub(super) boot: u8,
    /// The number of the control document that it goes by.
    pub(super) heard: Option<usize>,
    pub(super) wake: Option<Ms>,
    /// Sent, and not carried out.
    pub(super) calls: Vec<Arc<Action>>,
    /// Carried out, and not answered.
    pub(super) answers: Vec<Vec<Fact>>,
}

/// A state.
#[derive(Debug, Clone)]
pub struct State {
    pub(super) now: Ms,
    pub(super) controllers: Vec<Arc<Controller>>,
    /// Requests whose caller has given up or died; they may still arrive.
    pub(super) wire: Vec<Arc<Action>>,
    pub(super) messages: Vec<SmallMessage>,
    pub(super) jobs: Vec<SmallJob>,
    pub(super) tasks: Vec<SmallTask>,
    /// The number of the newest control document.
    pub(super) wanted: usize,
    /// An event lay in the outbox.
    pub(super) put_aside: bool,
    pub(super) left: Bounds,
    pub(super) broken: Option<&'static str>,
}

impl State {
    /// The broken promise, if there is one.
    pub fn broken(&self) -> Option<&'static str> {
        self.broken
    }

    /// Whether every job is settled and every message deleted.
    pub fn at_rest(&self) -> bool {
        self.messages.iter().all(|message| message.deleted) && self.jobs.iter().all(SmallJob::settled)
    }

    /// Notes a broken promise.
    pub(super) fn promise(&mut self, kept: bool, what: &'static str) {
        if !kept {
            self.broken.get_or_insert(what);
        }
    }
}

/// A step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A request of a controller is carried out and answered.
    Answer(usize, usize),
    /// A request is carried out; its answer is under way.
    CarryOut(usize, usize),
    /// An answer arrives.
    Deliver(usize, usize),
    /// A request is carried out, its answer is lost.
    Lose(usize, usize),
    /// A request stays under way; its caller gives up.
    Delay(usize, usize),
    /// A launch is answered with `failures[]`.
    Refuse(usize, usize),
    /// A DescribeTasks answer omits the tasks.
    Unseen(usize, usize),
    /// The bus does not take an event.
    Away(usize, usize),
    /// A request without a waiting caller arrives.
    Arrive(usize),
    /// kill -9: the calls stay under way, and the next process starts at once.
    Crash(usize),
    /// A message becomes visible again.
    Expire(usize),
    /// A task writes its first heartbeat.
    Beat(usize),
    /// A task makes its start checks and begins, or ends.
    Begin(usize),
    /// A task writes its terminal record and ends.
    Succeed(usize),
    /// A task fails.
    Fail(usize),
    /// A stopped task ends.
    Stop(usize),
    /// Time passes until a controller's next turn.
    Wait(usize),
    /// People change the control document.
    Want,
    /// A controller reads the control document.
    Hear(usize),
    /// A person stops a task to cancel its job.
    ByHand(usize),
}
