//! One predicate for each promise of the job protocol, checked against the true state when the promise could be broken.
//!
//! | id | checked when |
//! |---|---|
//! | S1, S15 | a message is deleted |
//! | S2, S3, S11 | the terminal record is written |
//! | S4 | entry points are published |
//! | S5, S9, S10, S16 | a claim, or a dead terminal record, is written |
//! | S6, S8 | a task begins to work |
//! | S7 | `RunTask` is planned, is sent, and reaches ECS |
//! | S12 | a dead letter is sent |
//! | S20 | an attempt is claimed, the index gets a job's end, a message is deleted |
//! | S18 | the bus or the outbox gets an event, a message is deleted; after faults have stopped |
//! | S17 | a pointer moves, an entry point is written, a job is told that it is superseded; after faults have stopped |
//! | S13, S14 | all of the above with crashes, pauses and two or three controllers |
//! | L1, L2, L3 | after faults have stopped |
//! | L4 | `StopTask` reaches ECS |
//! | L7 | folders are emptied; after faults have stopped |
//! | L9 | an attempt is claimed, a task is launched, a controller plans; after faults have stopped |
//! | L6 | a controller plans: its calls are counted, and those that failed before must have waited |

use std::{
    collections::BTreeSet,
    fmt::{self, Write},
};

use transcode_config::contract::{
    Attempt, Budget, Claim, Dead, FailureCode, JobKey, JobSpec, Outcome, PastAttempt, Succeeded, Terminal,
};
use transcode_core::{
    judge::outcome::unproven,
    message::Request,
    policy::Policy,
    protocol::{action::Action, clock::Ms, fact::MessageId},
};

use crate::{
    setup::Kind,
    truth::{JobTruth, Proc, Task},
};

mod announced;
mod fair;
mod lively;
mod order;
mod steering;
mod turns;

pub use announced::*;
pub use fair::*;
pub use lively::*;
pub use order::*;
pub use steering::*;
pub use transcode_core::invariant::Violation;
pub use turns::*;

/// The result of a check: the promise was kept, or its violation.
pub type Kept = Result<(), Violation>;

/// Oldest reading on which the next attempt, or giving a job up, may depend.
const FRESH: Ms = 30_000;

fn keep(holds: bool, id: &'static str, what: impl FnOnce() -> String) -> Kept {
    if holds { Ok(()) } else { Err(Violation { id, what: what() }) }
}

/// S1: a message is deleted only when all its jobs are decided, and the dead ones are in the dead-letter queue.
pub fn s1_deleted_when_decided(message: &MessageId, jobs: &[&JobTruth]) -> Kept {
    for job in jobs {
        let settled = match job.terminal.as_ref().map(|terminal| &terminal.outcome) {
            None => false,
            Some(Outcome::Dead(_)) => job.letters > 0,
            Some(Outcome::Superseded(_) | Outcome::Cancelled(_)) => true,
            Some(Outcome::Succeeded(winner)) => job.published == Some(winner.attempt),
        };
        keep(settled, "S1", || format!("{} was deleted while {} was not settled", message.0, job.key()))?;
    }
    Ok(())
}

/// S20: a message is deleted only when the index lists each of its jobs with its end.
pub fn s20_deleted_when_listed(message: &MessageId, jobs: &[&JobTruth]) -> Kept {
    for job in jobs {
        let accepted = job.listed || matches!(job.request, Request::Refuse { .. });
        keep(job.indexed && accepted, "S20", || {
            format!("{} was deleted while the index lacks {} or its end", message.0, job.key())
        })?;
    }
    Ok(())
}

/// S20: a job is listed as it ended.
pub fn s20_listed_as_it_ended(job: &JobTruth, terminal: &Terminal) -> Kept {
    keep(job.terminal.as_deref() == Some(terminal), "S20", || {
        format!("{} was listed with another end than its terminal record has", job.key())
    })
}

/// S20: the index lists a job before its first attempt is claimed.
pub fn s20_listed_when_claimed(job: &JobTruth) -> Kept {
    keep(job.listed, "S20", || format!("{} was claimed and the index does not list it", job.key()))
}

/// S20: what a controller takes for a job's specification is the one that exists.
pub fn s20_the_specification(job: Option<&JobTruth>, taken: &JobSpec) -> Kept {
    keep(job.and_then(|job| job.spec.as_deref()) == Some(taken), "S20", || {
        format!("{} was settled by another specification than it has", taken.job)
    })
}

/// S2: a claim never changes, so a controller that knows one need not read it again.
pub fn s2_claimed_once(known: &Claim, there: &Claim) -> Kept {
    keep(known == there, "S2", || format!("attempt {} of {} has two claims", there.attempt, there.job))
}

/// S2: the terminal record is written at most once.
pub fn s2_written_once(job: Option<&JobTruth>) -> Kept {
    keep(job.is_none_or(|job| job.records <= 1), "S2", || "a terminal record was written twice".into())
}

/// S3: every file of the manifest exists when the terminal record becomes visible.
pub fn s3_files_are_there(job: &JobTruth, winner: &Succeeded) -> Kept {
    keep(job.complete.contains(&winner.attempt), "S3", || {
        format!("{}: attempt {} succeeded with files missing", job.key(), winner.attempt)
    })
}

/// S4: the published files are those of the attempt that the terminal record names.
pub fn s4_published_is_the_winner(job: Option<&JobTruth>, attempt: Attempt) -> Kept {
    let record = job.and_then(|job| job.terminal.as_ref()).map(|terminal| &terminal.outcome);
    let holds = matches!(record, Some(Outcome::Succeeded(winner)) if winner.attempt == attempt);
    keep(holds, "S4", || format!("attempt {attempt} was published and is not the winner"))
}

/// S5: no task of an earlier attempt works when the next attempt is claimed.
pub fn s5_previous_is_over(job: &JobTruth, claim: &Claim, tasks: &[&Task]) -> Kept {
    keep(claim.attempt.number() as usize == job.claims.len() + 1, "S5", || {
        format!("{}: attempt {} was claimed after {}", job.key(), claim.attempt, job.claims.len())
    })?;
    let working = tasks.iter().find(|task| matches!(task.proc, Proc::Working(_)));
    keep(working.is_none(), "S5", || {
        format!("{}: attempt {} was claimed while an earlier one worked", job.key(), claim.attempt)
    })
}

/// S5: a lost task whose end ECS does not show was stopped.
pub fn s5_lost_was_stopped(past: Option<&PastAttempt>, tasks: &[&Task]) -> Kept {
    let arn = past.filter(|past| past.code == FailureCode::TaskLost).and_then(|past| past.task_arn.as_ref());
    let task = arn.and_then(|arn| tasks.iter().find(|task| *task.view.arn.0 == **arn));
    keep(task.is_none_or(|task| task.told_to_stop || task.view.ended()), "S5", || {
        format!("{} is held to be lost and was never told to stop", arn.map_or("", |arn| arn))
    })
}

/// S5: the terminal record is absent when the next attempt is claimed. A claim that was under way for long does not
/// count: the terminal record was absent when it was sent. Neither does a record that a suspended task writes on waking
/// up, after the reading of `read_at`: nothing shows that such a task is not over.
pub fn s5_undecided(job: &JobTruth, tasks: &[&Task], read_at: Ms, late: bool) -> Kept {
    let winner = job.terminal.as_ref().and_then(|it| match &it.outcome {
        Outcome::Succeeded(won) => Some(won.attempt),
        Outcome::Dead(_) | Outcome::Superseded(_) | Outcome::Cancelled(_) => None,
    });
    let slept = |task: &&Task| Some(task.attempt()) == winner && task.woken_at == Some(job.decided_at);
    let woke_up = job.decided_at > read_at && tasks.iter().any(slept);
    keep(winner.is_none() || late || woke_up, "S5", || {
        format!("{} was claimed again after it had succeeded", job.key())
    })
}

/// S5, for the last attempt: no task works when the job is given up.
pub fn s5_dead_when_over(job: &JobTruth, tasks: &[&Task]) -> Kept {
    let working = tasks.iter().find(|task| matches!(task.proc, Proc::Working(_)));
    keep(working.is_none(), "S5", || format!("{} was given up while a task worked on it", job.key()))
}

/// S6: at most one task works on a job.
pub fn s6_one_works(job: &JobTruth) -> Kept {
    keep(job.working <= 1, "S6", || format!("{} tasks work on {}", job.working, job.key()))
}

/// S7: each RunTask of an attempt is the same.
pub fn s7_same_launch(first: &Claim, again: &Claim) -> Kept {
    keep(first == again, "S7", || format!("{}: two launches under one token", first.job))
}

/// S7: RunTask is not sent past its deadline, and only for the claim in the bucket.
pub fn s7_launch_as_claimed(job: Option<&JobTruth>, claim: &Claim, wall: Ms) -> Kept {
    let number = claim.attempt.number() as usize;
    let claimed = job.and_then(|job| job.claims.get(number - 1)).is_some_and(|there| **there == *claim);
    keep(claimed, "S7", || format!("{}: attempt {} launched without its claim", claim.job, claim.attempt))?;
    keep(wall < claim.launch_not_after_ms, "S7", || {
        format!("{}: attempt {} launched after its deadline", claim.job, claim.attempt)
    })
}

/// S7: a RunTask past its deadline is not even planned.
pub fn s7_planned_in_time(planned: &[Action], wall: Ms) -> Kept {
    let late = planned.iter().find_map(|action| match action {
        Action::Launch { claim } if claim.launch_not_after_ms <= wall => Some(claim),
        _ => None,
    });
    keep(late.is_none(), "S7", || {
        late.map_or_else(String::new, |it| {
            format!("{}: attempt {} planned after its deadline", it.job, it.attempt)
        })
    })
}

/// S8: a task begins only before its deadline, without a terminal record and without a newer attempt.
pub fn s8_begins_in_time(job: &JobTruth, task: &Task, wall: Ms) -> Kept {
    let newest = job.claims.len() == task.attempt().number() as usize;
    let holds = job.terminal.is_none() && newest && wall < task.claim.launch_not_after_ms;
    keep(holds, "S8", || format!("{} began to work and should not have", task.view.arn))
}

fn spent(history: &[PastAttempt], budget: Budget) -> usize {
    history.iter().filter(|past| past.budget == budget).count()
}

/// S9: attempts are within their budgets, counted from the attempts' own objects.
pub fn s9_budgets(job: &JobTruth, claim: &Claim, policy: &Policy) -> Kept {
    let history = &claim.history;
    let holds = spent(history, Budget::Job) < policy.max_attempts
        && spent(history, Budget::Platform) < policy.max_platform_attempts
        && history.len() == job.claims.len()
        && history.iter().all(|past| past.code.info().retryable)
        && history.iter().zip(1..).all(|(past, number)| past.attempt.number() == number);
    keep(holds, "S9", || format!("{}: attempt {} after {history:?}", job.key(), claim.attempt))
}

/// S9: a job dies of a failure that cannot be retried, or of a spent budget, and not before.
pub fn s9_dead_when_spent(job: &JobTruth, dead: &Dead, policy: &Policy) -> Kept {
    let refused = matches!(job.request, Request::Refuse { .. });
    let holds = refused
        || !dead.failure.code.info().retryable
        || spent(&dead.attempts, Budget::Job) >= policy.max_attempts
        || spent(&dead.attempts, Budget::Platform) >= policy.max_platform_attempts;
    keep(holds, "S9", || format!("{} was given up with attempts left: {:?}", job.key(), dead.failure.code))
}

/// The next attempt waits at least half of its backoff after the end of the one before.
pub fn waits_between_attempts(
    job: &JobTruth,
    claim: &Claim,
    tasks: &[&Task],
    now: Ms,
    policy: &Policy,
) -> Kept {
    let Some(last) = claim.history.last() else { return Ok(()) };
    let failures = spent(&claim.history, last.budget);
    let wait = (policy.retry_base << (failures - 1).min(30)).min(policy.retry_cap) / 2;
    // A task of an attempt that ended without ECS' confirmation may start, and end, later than that.
    let own = tasks.iter().filter(|task| task.attempt() == last.attempt && !unproven(last));
    let ended = own.filter(|task| !task.alive()).map(|task| task.beat_until).min();
    let over_at = ended.or_else(|| job.claimed_at.last().copied()).unwrap_or(0);
    keep(now >= over_at + wait, "backoff", || {
        let after = now.saturating_sub(over_at);
        format!("{}: attempt {} comes {after} ms after {failures} failures", job.key(), claim.attempt)
    })
}

/// S10: the platform's failures are charged to the platform.
pub fn s10_platform_pays(platform: &BTreeSet<Attempt>, history: &[PastAttempt]) -> Kept {
    let wrong = history.iter().find(|past| past.budget == Budget::Job && platform.contains(&past.attempt));
    keep(wrong.is_none(), "S10", || format!("charged to the job: {wrong:?}"))
}

/// S11: a dead terminal record carries code, attempts and the last task. If another controller claimed the next attempt
/// while the record was written, the record does not list that attempt: `claims` are those that its writer could know.
pub fn s11_dead_says_why(job: &JobTruth, dead: &Dead, claims: usize) -> Kept {
    let listed = dead.attempts.len();
    keep((claims..=job.claims.len()).contains(&listed), "S11", || {
        format!("{} died after {claims} attempts, its terminal record lists {listed}", job.key())
    })?;
    let known = dead.attempts.iter().rev().find_map(|past| past.task_arn.as_ref());
    keep(!dead.failure.message.is_empty() && dead.last_task_arn.as_ref() == known, "S11", || {
        format!("{}: the terminal record leaves out its message or its last task", job.key())
    })
}

/// S12: only a job whose terminal record is dead is dead-lettered.
pub fn s12_terminal_record_outranks(job: &JobKey, record: Option<&Terminal>) -> Kept {
    let dead = record.is_some_and(|terminal| matches!(terminal.outcome, Outcome::Dead(_)));
    keep(dead, "S12", || format!("{job} was dead-lettered and its terminal record does not say dead"))
}

/// S15: a message of an unknown version is never deleted.
pub fn s15_unknown_is_kept(message: &MessageId, kind: Kind) -> Kept {
    keep(kind != Kind::Unknown, "S15", || format!("{} is of an unknown version and was deleted", message.0))
}

/// S15: a job of a newer version is left alone.
pub fn s15_newer_is_left_alone(job: &JobTruth, what: &str) -> Kept {
    keep(!job.newer, "S15", || format!("{what} was written for {}, which a newer version has", job.key()))
}

/// S16: no receipt handle in any document.
pub fn s16_no_secrets(document: &impl fmt::Debug) -> Kept {
    // Growing the text piece by piece would take longer than searching it. Writing to a string cannot fail.
    let mut text = String::with_capacity(4096);
    let _ = write!(text, "{document:?}");
    keep(!text.contains("secret-"), "S16", || "a receipt handle was written down".into())
}
