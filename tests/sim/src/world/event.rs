//! What may happen at a moment of its own.

use std::sync::Arc;

use transcode_config::contract::{Attempt, Claim, FailureCode, JobKey};
use transcode_core::protocol::{clock::Ms, fact::Hint, publishing::Step as Publish};

/// Something that happens at a moment.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// A request, or its next stage, reaches its service.
    Effect(u32),
    /// A launch is sent that was planned a while ago.
    Launch(usize, u32, Arc<Claim>),
    /// An answer, or the end of the patience for one, reaches its caller.
    Answer(u32),
    /// A controller plans.
    Plan(usize),
    /// A controller's process begins, dies, stands still, goes on.
    Up(usize, u32),
    Crash(usize, u32),
    Pause(usize, u32),
    Resume(usize),
    /// A controller's wall clock jumps.
    Jump(usize),
    /// An event of ECS or S3 arrives at a controller.
    Hint(usize, Hint),
    /// A step in a task's life, unless its story has changed since.
    Task(usize, u32, Step),
    /// A deleted message is there again.
    Returns(usize),
    /// The operator redrives the dead letters.
    Redrive,
    /// The task definition changes.
    Definition,
    /// Somebody else's task.
    Foreign,
    /// A newer version takes over some jobs.
    Newer(usize),
    /// A write of a publisher arrives that nobody waits for.
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
    /// Image, network, secret.
    FailsToStart,
    /// It tries to write its first heartbeat; given up after so many tries.
    FirstBeat(u32),
    /// It looks whether it may work.
    Check,
    /// Its work ends in this way.
    End(Ending),
    /// Its machine stands still, and goes on after so long.
    Freeze(Ms),
    /// Its machine goes on.
    Thaw,
    /// The platform takes it back.
    TakenBack(&'static str, &'static str),
    /// SIGKILL.
    Kill,
    /// ECS has noticed its end.
    Noticed,
}

/// How the work of a task ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Everything is uploaded.
    Done,
    /// It failed and says why.
    Fails(FailureCode),
    /// It cannot reach S3 for too long, and ends without a word.
    Fenced,
    /// It is told to stop.
    Interrupted,
    /// It dies without a word; ECS says so.
    Dies(&'static str, i32),
}
