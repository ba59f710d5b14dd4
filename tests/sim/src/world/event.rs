//! The events of the simulated world.

use std::sync::Arc;

use transcode_config::contract::{Attempt, Claim, FailureCode, JobKey};
use transcode_core::protocol::{clock::Ms, fact::Hint, publishing::Step as Publish};

/// An event at a time of its own.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// A request, or its next stage, arrives at its service.
    Effect(u32),
    /// A launch that was planned earlier is sent.
    Launch(usize, u32, Arc<Claim>),
    /// An answer, or the timeout for it, reaches its caller.
    Answer(u32),
    /// A controller plans.
    Plan(usize),
    /// A controller's process starts, dies, is suspended, continues.
    Up(usize, u32),
    Crash(usize, u32),
    Pause(usize, u32),
    Resume(usize),
    /// A controller's wall clock jumps.
    Jump(usize),
    /// An event of ECS or S3 arrives at a controller.
    Hint(usize, Hint),
    /// A step in a task's life, unless the step is outdated.
    Task(usize, u32, Step),
    /// A deleted message is visible again.
    Returns(usize),
    /// The operator redrives the dead letters.
    Redrive,
    /// The task definition changes.
    Definition,
    /// A task of another program starts.
    Foreign,
    /// A newer version takes over some jobs.
    Newer(usize),
    /// A revision of the control document is written.
    Wanted(usize),
    /// A controller reads the control document.
    Reads(usize, u32),
    /// A person stops a task to cancel its job.
    StopByHand,
    /// A publisher's write arrives after its sender has stopped waiting.
    Straggler(JobKey, Attempt, Box<Publish>),
}

/// A step in a task's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It begins to pull its image.
    Pulls,
    /// It has its image.
    Pulled,
    /// The container runs.
    Start,
    /// Image, network or secret.
    FailsToStart,
    /// It tries to write its first heartbeat; it gives up after this many tries.
    FirstBeat(u32),
    /// It makes its start checks.
    Check,
    /// Its work ends in this way.
    End(Ending),
    /// Its machine is suspended for this long.
    Freeze(Ms),
    /// Its machine continues.
    Thaw,
    /// The platform interrupts it.
    TakenBack(&'static str, &'static str),
    /// SIGKILL.
    Kill,
    /// ECS notices its end.
    Noticed,
}

/// The end of a task's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Everything is uploaded.
    Done,
    /// It fails and reports this code.
    Fails(FailureCode),
    /// It cannot reach S3 for too long, and ends without a report.
    Fenced,
    /// It gets SIGTERM.
    Interrupted,
    /// It dies without a report; ECS gives the reason.
    Dies(&'static str, i32),
}
