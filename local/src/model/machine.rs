//! The life of a task as a pure state machine.
//!
//! The task's driver calls [`advance`] again and again: each call moves the task at most one phase on and returns the
//! driver's next step. The other functions record events from outside. Every change goes through here, so each record
//! is consistent whatever the order of stop requests, exits and delays.

use super::{
    Millis,
    task::{Container, Phase, Process, Stop, Task},
};

/// How long the phases last.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Timing {
    pub(crate) provisioning: Millis,
    pub(crate) pending: Millis,
    pub(crate) deprovisioning: Millis,
    /// No `stopTimeout` is longer than this; tests need it because Fargate's shortest is two seconds.
    pub(crate) stop_timeout_cap: Option<Millis>,
}

/// The driver's next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// Call again at once: the phase changed.
    Advance,
    /// Call again then (or when nudged; only then if `None`).
    Wait(Option<Millis>),
    /// Start the containers' processes, then call [`started`] or [`start_failed`].
    Start,
    /// Send SIGTERM to these processes.
    Terminate(Vec<u32>),
    /// Send SIGKILL to these processes and to all that descend from them.
    Kill(Vec<u32>),
    /// Check and remove the working folder.
    Clean,
    /// Nothing more will happen.
    Over,
}

/// ECS's reason for a task whose essential container ended.
pub(crate) const ESSENTIAL_EXITED: &str = "Essential container in task exited";
/// ECS's reason for a container that exceeded its memory.
pub(crate) const OUT_OF_MEMORY: &str = "OutOfMemoryError: Container killed due to memory usage";
/// ECS's reason for a Spot interruption.
pub(crate) const SPOT_REASON: &str = "Your Spot Task was interrupted.";

/// Moves the task on, at most by one phase, and returns the next step.
pub(crate) fn advance(task: &mut Task, timing: &Timing, now: Millis) -> Next {
    match task.phase {
        Phase::Provisioning => before_start(task, timing.provisioning, now).unwrap_or_else(|| {
            task.times.pull_started = Some(now);
            enter(task, Phase::Pending, now)
        }),
        Phase::Pending => before_start(task, timing.pending, now).unwrap_or_else(|| {
            match task.script.start_failure.clone() {
                Some(reason) => {
                    start_failed(task, reason, now);
                    Next::Advance
                }
                None => Next::Start,
            }
        }),
        Phase::Running => running(task, timing, now),
        Phase::Deprovisioning if !task.cleaned => {
            task.cleaned = true;
            Next::Clean
        }
        Phase::Deprovisioning => {
            let until = task.phase_since.saturating_add(timing.deprovisioning);
            if task.script.stuck == Some(Phase::Deprovisioning) {
                Next::Wait(None)
            } else if now < until {
                Next::Wait(Some(until))
            } else {
                task.times.stopped = Some(now);
                enter(task, Phase::Stopped, now)
            }
        }
        Phase::Stopped => Next::Over,
    }
}

/// The common part of the two phases before the start; `None` when the phase is over.
fn before_start(task: &mut Task, delay: Millis, now: Millis) -> Option<Next> {
    let until = task.phase_since.saturating_add(delay);
    if task.stop.is_some() {
        Some(enter(task, Phase::Deprovisioning, now))
    } else if task.script.stuck == Some(task.phase) {
        Some(Next::Wait(None))
    } else if now < until {
        Some(Next::Wait(Some(until)))
    } else {
        None
    }
}

fn running(task: &mut Task, timing: &Timing, now: Millis) -> Next {
    if task.containers.iter().all(|container| container.process == Process::Ended) {
        if task.script.never_stopped {
            return Next::Wait(None);
        }
        task.times.execution_stopped = Some(now);
        return enter(task, Phase::Deprovisioning, now);
    }
    let outgrown: Vec<u32> = task.containers.iter_mut().filter_map(outgrown_once).collect();
    if !outgrown.is_empty() {
        return Next::Kill(outgrown);
    }
    let Some(stop) = &task.stop else {
        let Some((after, grace)) = task.script.interruption else { return Next::Wait(None) };
        let at = task.phase_since.saturating_add(after);
        if now < at {
            return Next::Wait(Some(at));
        }
        request_stop(
            task,
            Stop { code: "SpotInterruption".to_owned(), reason: SPOT_REASON.to_owned(), grace },
            now,
        );
        return Next::Advance;
    };
    let grace = stop.grace.unwrap_or_else(|| {
        let longest = task.containers.iter().filter(|c| c.pid().is_some()).map(|c| c.stop_timeout).max();
        longest.unwrap_or(0).min(timing.stop_timeout_cap.unwrap_or(Millis::MAX))
    });
    let until = task.terminated_at.unwrap_or(now).saturating_add(grace);
    if now >= until {
        kill_once(task)
    } else if task.terminated_at.is_none() {
        task.terminated_at = Some(now);
        Next::Terminate(task.pids())
    } else {
        Next::Wait(Some(until))
    }
}

/// The process of a container that exceeded its memory, at the first call. The task's other containers go on.
fn outgrown_once(container: &mut Container) -> Option<u32> {
    let first = container.out_of_memory && !std::mem::replace(&mut container.killed, true);
    container.pid().filter(|_| first)
}

fn kill_once(task: &mut Task) -> Next {
    if task.killed {
        return Next::Wait(None);
    }
    task.killed = true;
    Next::Kill(task.pids())
}

fn enter(task: &mut Task, phase: Phase, now: Millis) -> Next {
    task.phase = phase;
    task.phase_since = now;
    Next::Advance
}

/// Records the started processes, one id for each container. False if the start failed meanwhile: they must not run.
pub(crate) fn started(task: &mut Task, pids: &[u32], now: Millis) -> bool {
    if task.phase != Phase::Pending {
        return false;
    }
    for (container, pid) in task.containers.iter_mut().zip(pids) {
        container.process = Process::Alive(*pid);
    }
    task.times.pull_stopped = Some(now);
    task.times.started = Some(now);
    enter(task, Phase::Running, now);
    true
}

/// Records that no process could be started. Does nothing once the task runs. Returns whether it changed anything.
pub(crate) fn start_failed(task: &mut Task, reason: String, now: Millis) -> bool {
    if task.phase >= Phase::Running {
        return false;
    }
    task.failed_to_start = true;
    request_stop(task, Stop { code: "TaskFailedToStart".to_owned(), reason, grace: None }, now);
    enter(task, Phase::Deprovisioning, now);
    true
}

/// The process of container `index` ended with `code` (128 + signal when a signal did it).
pub(crate) fn exited(task: &mut Task, index: usize, code: i32, now: Millis) {
    let Some(container) = task.containers.get_mut(index) else { return };
    container.process = Process::Ended;
    container.resident = 0;
    if task.script.never_stopped {
        return;
    }
    if container.out_of_memory {
        container.exit_code = Some(137);
        container.reason = Some(OUT_OF_MEMORY.to_owned());
    } else {
        container.exit_code = Some(code);
    }
    let essential = container.essential;
    if essential || task.containers.iter().all(|c| c.process == Process::Ended) {
        let reason = ESSENTIAL_EXITED.to_owned();
        request_stop(task, Stop { code: "EssentialContainerExited".to_owned(), reason, grace: None }, now);
    }
}

/// Requests a stop. The first request sets code and reason; later ones change nothing. Returns whether it was the
/// first.
pub(crate) fn request_stop(task: &mut Task, stop: Stop, now: Millis) -> bool {
    if task.stop.is_some() {
        return false;
    }
    task.stop = Some(stop);
    task.times.stopping = Some(now);
    true
}

/// Marks the containers that exceed their memory: each by its own limit and, if all together exceed the task's, the
/// largest, which is the one that the kernel would end. Returns whether there are any.
pub(crate) fn mark_out_of_memory(task: &mut Task) -> bool {
    const MIB: u64 = 1024 * 1024;
    let total: u64 = task.containers.iter().map(|container| container.resident).sum();
    let task_over = total > u64::from(task.memory) * MIB;
    let largest = task.containers.iter().map(|container| container.resident).max().filter(|_| task_over);
    let mut any = false;
    for container in task.containers.iter_mut().filter(|container| container.pid().is_some()) {
        let over = largest == Some(container.resident)
            || container.memory.is_some_and(|limit| container.resident > limit * MIB);
        container.out_of_memory |= over;
        any |= over;
    }
    any
}

#[cfg(test)]
mod tests;
