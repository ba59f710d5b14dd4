//! Promises of progress: healthy tasks, rates and pauses, and leftovers (L4, L6, L7).

use transcode_config::contract::{Attempt, Outcome};
use transcode_core::{
    judge::{leftovers::TRIES, outcome::stop_reason},
    policy::Policy,
    protocol::{
        action::Action,
        clock::Ms,
        fact::MessageId,
        task_view::{StartPhase, TaskArn},
    },
    state::{failing::Failing, ledger::Ledger, limiter::CallKind},
};

use super::{FRESH, Kept, keep};
use crate::{
    setup::{BEAT_EVERY, FENCE},
    truth::{JobTruth, Proc, Task},
};

/// L4: a healthy task of an undecided job's newest attempt is not stopped, if the sender of the stop at `sent_at` could
/// have read its first heartbeat.
pub fn l4_healthy_is_left_alone(
    job: &JobTruth,
    task: &Task,
    beats: (Option<Ms>, Option<Ms>),
    (sent_at, now): (Ms, Ms),
    policy: &Policy,
) -> Kept {
    let Proc::Working(since) = task.proc else { return Ok(()) };
    let newest = job.claims.len() == task.attempt().number() as usize;
    let (first, last) = beats;
    let healthy = job.terminal.is_none()
        && newest
        && first.is_some_and(|at| at + FRESH < sent_at)
        && last.is_some_and(|at| now - at < FENCE)
        && now - since < policy.max_run
        // Its last progress may have been written one heartbeat before it hung.
        && task.stalls_at.is_none_or(|at| now + 2 * BEAT_EVERY < at + policy.no_progress);
    keep(!healthy, "L4", || format!("{} was healthy and was stopped", task.view.arn))
}

/// L4: a starting task has the full time of each phase.
pub fn l4_start_has_its_time(task: &Task, reason: &str, now: Ms, policy: &Policy) -> Kept {
    let most = match task.view.start_phase() {
        StartPhase::Provisioning => policy.provisioning_timeout,
        StartPhase::Pulling => policy.pull_timeout,
        StartPhase::Activating => policy.start_timeout,
    };
    let for_its_start =
        [stop_reason::PROVISIONING_TIMEOUT, stop_reason::PULL_TIMEOUT, stop_reason::START_TIMEOUT]
            .contains(&reason);
    let early = task.proc == Proc::NotStarted && now < task.phase_since + most;
    keep(!(for_its_start && early), "L4", || {
        let took = now.saturating_sub(task.phase_since);
        format!("{} was stopped after {took} ms in its phase, {most} are its own ({reason})", task.view.arn)
    })
}

/// Row 37: a task of another program under our name is never stopped.
pub fn foreign_is_left_alone(task: &TaskArn) -> Kept {
    keep(false, "row 37", || format!("{task} is somebody else's and was stopped"))
}

/// Row 9: the age of a message that is held is known.
pub fn age_is_known(message: &MessageId, sent_at: Option<Ms>, began: Ms) -> Kept {
    keep(sent_at.is_some_and(|at| at < began), "row 9", || format!("the age of {} is lost", message.0))
}

/// Each message that goes, and each job that ends, is reported once.
pub fn told(holds: bool, what: impl FnOnce() -> String) -> Kept {
    keep(holds, "told once", what)
}

/// L6: launches keep to their rate; all other calls make no busy loop.
pub fn l6_within_budget(what: &str, used: u64, allowed: u64) -> Kept {
    keep(used <= allowed, "L6", || format!("{used} {what}, {allowed} are allowed"))
}

/// L6: a call to ECS comes no sooner than its rate allows. Times within a millisecond are equal: no two turns of the
/// core share one.
pub fn l6_within_rate(kind: CallKind, early: Ms, throttled: bool) -> Kept {
    keep(early <= 10, "L6", || {
        format!("{kind:?} {early} ms before its rate allows it (throttled: {throttled})")
    })
}

/// L6: after this many consecutive failures a call waits before it is repeated.
pub fn l6_waits_after_a_failure(action: &Action, times: u32, early: Ms) -> Kept {
    keep(early == 0, "L6", || format!("{} again {early} ms too soon after {times} failures", action.name()))
}

/// L10: a call that AWS refuses until somebody removes the cause waits longer each time.
pub fn l10_refused_is_not_repeated(action: &Action, times: u32, early: Ms) -> Kept {
    keep(early == 0, "L10", || format!("{} again {early} ms too soon after {times} refusals", action.name()))
}

/// L10: a call that was refused for several jobs and succeeds for one is tried for the others.
pub fn l10_goes_on_once_mended(waits: Option<&Failing>) -> Kept {
    keep(waits.is_none(), "L10", || format!("it works for another job, and this one waits: {waits:?}"))
}

/// S15: a document that only a newer version can read is not read again while its message is held.
pub fn s15_is_not_looked_at_again(action: &Action) -> Kept {
    keep(false, "S15", || format!("{} for a job that a newer version has", action.name()))
}

/// The limit of tasks: an attempt that was over before this controller heard of it holds no slot.
pub fn history_takes_no_slot(history: &[TaskArn], ledger: &Ledger) -> Kept {
    let held = history.iter().find(|arn| ledger.tasks.contains_key(arn));
    keep(held.is_none(), "limit", || format!("{held:?} is history and holds a slot"))
}

/// L7: folders are emptied when the job is decided, and never the winner's.
pub fn l7_only_losers_are_collected(job: Option<&JobTruth>, attempts: &[Attempt]) -> Kept {
    let record = job.and_then(|job| job.terminal.as_ref()).map(|terminal| &terminal.outcome);
    let holds = match record {
        Some(Outcome::Succeeded(winner)) => !attempts.contains(&winner.attempt),
        Some(Outcome::Dead(_) | Outcome::Superseded(_) | Outcome::Cancelled(_)) => true,
        None => false,
    };
    keep(holds, "L7", || format!("the folders of {attempts:?} were emptied, and not all of them lost"))
}

/// L7: once a job is settled, only the winner's folder is left, unless emptying the others failed repeatedly.
pub fn l7_losers_are_collected(job: &JobTruth) -> Kept {
    let winner = job.terminal.as_ref().and_then(|terminal| match &terminal.outcome {
        Outcome::Succeeded(winner) => Some(winner.attempt),
        Outcome::Dead(_) | Outcome::Superseded(_) | Outcome::Cancelled(_) => None,
    });
    let left: Vec<_> = job.files.iter().filter(|attempt| Some(**attempt) != winner).collect();
    keep(left.is_empty() || job.uncollected >= TRIES, "L7", || {
        format!("{} leaves {left:?} behind", job.key())
    })
}
