//! What a small world is made of.

use std::sync::Arc;

use transcode_config::contract::{Claim, Outcome, Terminal};
use transcode_core::{
    protocol::{action::Action, clock::Ms, fact::Fact},
    reconciler::Reconciler,
};

/// How often each thing may go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Bounds {
    /// Controllers killed.
    pub crashes: u8,
    /// Answers lost.
    pub lost: u8,
    /// Requests that arrive when nobody waits any more.
    pub delayed: u8,
    /// Answers that arrive after other things have happened.
    pub slow: u8,
    /// Messages that become visible while they are held.
    pub expired: u8,
    /// Attempts that fail.
    pub fails: u8,
    /// Launches answered with `failures[]`.
    pub refused: u8,
    /// Descriptions that do not know a task which is there.
    pub unseen: u8,
    /// Times that time passes.
    pub waits: u8,
}

/// A protocol that is weaker than ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeakProtocol {
    /// None.
    None,
    /// The message is deleted once RunTask has been accepted.
    DeleteOnAccept,
    /// RunTask's token is different each time.
    RandomToken,
    /// Attempts are counted by receives.
    CountsReceives,
    /// The terminal record is overwritten.
    BlindTerminalRecord,
    /// A task begins although its launch deadline is past.
    NoLaunchDeadline,
}

/// Where a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    Starting,
    /// Its first heartbeat is written, its checks are to come.
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
    /// It has been told to stop; it may end in its own way first.
    pub(super) stopping: bool,
}

/// A message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SmallMessage {
    pub(super) visible: bool,
    pub(super) deleted: bool,
    /// Number of the newest handle.
    pub(super) receipt: u32,
}

/// What bucket and dead-letter queue hold of a job.
#[derive(Debug, Clone, Default)]
pub(super) struct SmallJob {
    pub(super) claims: Vec<Arc<Claim>>,
    pub(super) terminal: Option<Arc<Terminal>>,
    pub(super) published: bool,
    pub(super) letters: bool,
    /// Tokens that were answered with `failures[]`.
    pub(super) refused: Vec<String>,
}

impl SmallJob {
    /// Whether nothing is left to do for it (S1).
    pub(super) fn settled(&self) -> bool {
        match self.terminal.as_ref().map(|terminal| &terminal.outcome) {
            None => false,
            Some(Outcome::Succeeded(_)) => self.published,
            Some(Outcome::Dead(_)) => self.letters,
            Some(Outcome::Superseded(_)) => true,
        }
    }
}

/// A controller with the calls that it has under way.
#[derive(Debug, Clone)]
pub(super) struct Controller {
    pub(super) core: Reconciler,
    pub(super) boot: u8,
    pub(super) wake: Option<Ms>,
    /// Sent, not carried out.
    pub(super) calls: Vec<Arc<Action>>,
    /// Carried out, not answered.
    pub(super) answers: Vec<Vec<Fact>>,
}

/// A state.
#[derive(Debug, Clone)]
pub struct State {
    pub(super) now: Ms,
    pub(super) controllers: Vec<Arc<Controller>>,
    /// Requests whose caller has given up or died, and that may still arrive.
    pub(super) wire: Vec<Arc<Action>>,
    pub(super) messages: Vec<SmallMessage>,
    pub(super) jobs: Vec<SmallJob>,
    pub(super) tasks: Vec<SmallTask>,
    pub(super) left: Bounds,
    pub(super) broken: Option<&'static str>,
}

impl State {
    /// The promise that is broken, if one is.
    pub fn broken(&self) -> Option<&'static str> {
        self.broken
    }

    /// Whether every job is settled and every message gone.
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
    /// A request is carried out; its answer is on its way.
    CarryOut(usize, usize),
    /// An answer arrives.
    Deliver(usize, usize),
    /// A request is carried out, its answer is lost.
    Lose(usize, usize),
    /// A request stays on its way; its caller gives up.
    Delay(usize, usize),
    /// A launch is answered with `failures[]`.
    Refuse(usize, usize),
    /// A description does not know its tasks.
    Unseen(usize, usize),
    /// A request arrives that nobody waits for.
    Arrive(usize),
    /// kill -9, with what is under way left on its way; the next process begins at once.
    Crash(usize),
    /// A message becomes visible again.
    Expire(usize),
    /// A task writes its first heartbeat.
    Beat(usize),
    /// A task looks around and begins, or ends.
    Begin(usize),
    /// A task writes its terminal record and ends.
    Succeed(usize),
    /// A task fails.
    Fail(usize),
    /// A task that was told to stop does.
    Stop(usize),
    /// Time passes until a controller wants to act.
    Wait(usize),
}
