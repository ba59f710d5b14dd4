//! Checks of a controller's turns: plans, limits, rates and deadlines, beside the promises to each job.

use transcode_config::contract::{Attempt, Budget, Capacity, Claim, FailureCode, Outcome, PastAttempt};
use transcode_core::{
    judge::outcome::unproven,
    message::Request,
    plan::Plan,
    policy::Policy,
    protocol::{action::Action, clock::Ms},
    state::{
        in_flight::{InFlight, Usage},
        job::Job,
        lease::Content,
        ledger::Ledger,
    },
};

use super::{FRESH, Kept, Violation, keep};
use crate::{
    setup::Nature,
    truth::{JobTruth, Task},
};

/// Planning again without new facts returns no action again.
pub fn plans_once(first: &[Action], again: &[Action]) -> Kept {
    let more = again.iter().find(|action| first.contains(action));
    keep(more.is_none(), "plan", || format!("planned again without news: {more:?}"))
}

/// A turn that visits the due rows plans the same as a turn that visits every row.
pub fn looks_at_enough(planned: &Plan, thorough: Option<&Plan>) -> Kept {
    let Some(thorough) = thorough else { return Ok(()) };
    // A wake-up that is too early costs a turn; one that is too late delays an action.
    let in_time = planned.wake_at.unwrap_or(Ms::MAX) <= thorough.wake_at.unwrap_or(Ms::MAX);
    keep(planned.actions == thorough.actions && in_time, "agenda", || {
        let without = |these: &Plan, those: &Plan| -> Vec<Action> {
            these.actions.iter().filter(|action| !those.actions.contains(action)).cloned().collect()
        };
        format!(
            "looking at what is due wakes at {:?}, leaves out {:?} and adds {:?}; looking at everything wakes at {:?}",
            planned.wake_at,
            without(thorough, planned),
            without(planned, thorough),
            thorough.wake_at
        )
    })
}

/// The sums that are kept as jobs change equal the sums counted from nothing.
pub fn in_flight_is_right(kept: &InFlight, counted: Option<&InFlight>) -> Kept {
    keep(counted.is_none_or(|counted| kept == counted), "tally", || {
        format!("{:?} is kept, {:?} counted", kept.usage(), counted.map(InFlight::usage))
    })
}

/// A job that is claimed, or given up after an attempt, was read from the bucket shortly before.
pub fn rests_on_a_fresh_reading(planned: &[Action], ledger: &Ledger, now: Ms) -> Kept {
    for action in planned {
        let key = match action {
            Action::Claim { claim, .. } => &claim.job,
            Action::GiveUp { job, .. } => job,
            _ => continue,
        };
        let Some(job) = ledger.jobs.get(key) else { continue };
        let tried = job.attempt.is_some() || matches!(action, Action::Claim { .. });
        let age = job.read_at().map_or(Ms::MAX, |at| now.saturating_sub(at));
        keep(!tried || age <= FRESH, "S5", || format!("{key} is decided by a reading that is {age} ms old"))?;
    }
    Ok(())
}

/// S6 when clocks differ by more than the margin: an attempt that follows one whose end nobody saw is launched only
/// after a reading that began when its own claim existed.
pub fn earlier_was_looked_for(planned: &[Action], ledger: &Ledger) -> Kept {
    for action in planned {
        let Action::Launch { claim } = action else { continue };
        let Some(job) = ledger.jobs.get(&claim.job) else { continue };
        let claimed_at = job.attempt.as_ref().map_or(0, |attempt| attempt.known_at);
        let looked = job.read_at().is_some_and(|at| at >= claimed_at);
        keep(looked || !claim.history.iter().any(unproven), "S6", || {
            format!("{}: attempt {} is launched without another look", claim.job, claim.attempt)
        })?;
    }
    Ok(())
}

/// S15: a message whose jobs are all of a newer version is put aside, not held: it would take the room of others.
pub fn nothing_is_held_in_vain(planned: &[Action], ledger: &Ledger) -> Kept {
    for action in planned {
        let Action::Extend { lease, .. } = action else { continue };
        let Some(Content::Jobs(jobs)) = ledger.leases.get(&lease.message).map(|lease| &lease.content) else {
            continue;
        };
        let left = |key| ledger.jobs.get(key).is_some_and(|job: &Job| job.unreadable.is_some());
        keep(jobs.is_empty() || !jobs.keys().all(left), "S15", || {
            format!("{} is held, and all its jobs are left alone", lease.message.0)
        })?;
    }
    Ok(())
}

/// L10: while a step of settling a message fails, the message is kept: its extensions do not wait with the step.
pub fn kept_while_it_is_settled(planned: &[Action], ledger: &Ledger, policy: &Policy, now: Ms) -> Kept {
    for (message, lease) in ledger.leases.iter().filter(|(_, lease)| lease.failing.is_some()) {
        let due = lease.call.is_none() && lease.failures == 0 && lease.extend_at(policy) <= now;
        let lapses = due && lease.deadline > now && lease.extension(policy, now).is_some();
        let acts = planned.iter().any(|action| match action {
            Action::DeadLetter(letter) => letter.lease.message == *message,
            Action::Delete { lease } | Action::Extend { lease, .. } | Action::Release { lease, .. } => {
                lease.message == *message
            }
            _ => false,
        });
        keep(!lapses || acts, "L10", || format!("{} lapses while it cannot be settled", message.0))?;
    }
    Ok(())
}

/// The note of a decided job that is not settled names its step.
pub fn steps_are_in_sight(plan: &Plan, ledger: &Ledger) -> Kept {
    for visit in &plan.jobs {
        let Some(job) = ledger.jobs.get(&visit.job) else { continue };
        let settling = job.terminal().is_some() && !job.leases.is_empty();
        keep(!settling || visit.note.is_some(), "note", || {
            format!("{} is being settled, and nobody sees at which step", visit.job)
        })?;
    }
    Ok(())
}

/// The controller itself must see no violation; otherwise the metric `InvariantViolations` would give false alarms.
pub fn nothing_is_seen(seen: Option<&Violation>) -> Kept {
    seen.map_or(Ok(()), |seen| Err(seen.clone()))
}

/// The limit of tasks: a claimed attempt has a free slot, with the claims under way counted.
pub fn limit_is_kept(claimed: bool, used: Usage, policy: &Policy) -> Kept {
    let holds = used.tasks <= policy.max_tasks && used.cpu <= policy.max_cpu;
    keep(!claimed || holds, "limit", || {
        format!(
            "claimed with {used:?} in flight, {} tasks and {} units are allowed",
            policy.max_tasks, policy.max_cpu
        )
    })
}

/// Without faults, a good job succeeds at its first attempt.
pub fn good_jobs_succeed(job: &JobTruth) -> Kept {
    let good = job.nature == Nature::Good && matches!(job.request, Request::Run(_));
    let record = job.terminal.as_ref().map(|terminal| &terminal.outcome);
    let first = matches!(record, Some(Outcome::Succeeded(winner)) if winner.attempt == Attempt::FIRST);
    keep(!good || (first && job.claims.len() == 1), "ordinary", || {
        format!(
            "{} is good, nothing went wrong, and after {} attempts: {record:?}",
            job.key(),
            job.claims.len()
        )
    })
}

/// Without faults, no more tasks run than allowed, counted by the true state and not by a controller.
pub fn no_more_run_than_may(tasks: usize, cpu: u64, policy: &Policy) -> Kept {
    keep(tasks <= policy.max_tasks && cpu <= policy.max_cpu, "limit", || {
        format!("{tasks} tasks of {cpu} units run, {} and {} are allowed", policy.max_tasks, policy.max_cpu)
    })
}

/// L3: a task that is alive without progress is stopped.
pub fn l3_hang_is_limited(task: &Task, hung: Ms, allowed: Ms) -> Kept {
    keep(hung <= allowed, "L3", || format!("{} hung for {hung} ms, {allowed} are allowed", task.view.arn))
}

/// A job that Spot refused or interrupted too often, or that has waited too long since `sent_at`, asks for on-demand.
pub fn spot_gives_way(claim: &Claim, sent_at: Ms, policy: &Policy) -> Kept {
    let lost = |past: &&PastAttempt| {
        matches!(past.code, FailureCode::LaunchRefused | FailureCode::Interrupted)
            && past.budget == Budget::Platform
    };
    let unlucky = claim.history.iter().filter(lost).count() >= policy.spot_attempts;
    let old = claim.created_at_ms.saturating_sub(sent_at) > policy.spot_max_age;
    let spot = claim.variant.capacity == Capacity::FargateSpot;
    keep(!spot || !(unlucky || old), "Spot", || {
        format!("{}: attempt {} asks for Spot after {:?}", claim.job, claim.attempt, claim.history)
    })
}

/// While Spot pauses because it had no capacity, no claim asks for it.
pub fn spot_is_rested(claim: &Claim, rests: bool) -> Kept {
    let spot = claim.variant.capacity == Capacity::FargateSpot;
    keep(!(spot && rests), "Spot", || format!("{}: asks for Spot, which is given a rest", claim.job))
}

/// While one job after the other fails, the breaker lets one claim through in each of its periods.
pub fn breaker_is_open(claims: usize, since_last: Ms, probe: Ms) -> Kept {
    keep(claims <= 1 && since_last >= probe, "breaker", || {
        format!(
            "{claims} claims {since_last} ms after the last, while all fail: one in {probe} ms is allowed"
        )
    })
}

/// L5: without faults, a bad file does not keep other jobs from being launched, and copies of one message do not keep
/// others from being received.
pub fn l5_one_uploader_stops_nobody(ordinary: bool, ledger: &Ledger, policy: &Policy) -> Kept {
    let open = ledger.breaker.open(policy).filter(|_| ordinary);
    keep(open.is_none(), "L5", || format!("nothing is wrong but files, and {open:?} keeps launches back"))?;
    let most = ledger.jobs.values().map(|job| job.leases.len()).max().unwrap_or(0);
    keep(!ordinary || most < policy.max_leases.max(3), "L5", || {
        format!("one job takes {most} of {} messages that may be held", policy.max_leases)
    })
}

/// L3: a task is stopped soon after its longest run.
pub fn l3_run_is_limited(task: &Task, ran: Ms, allowed: Ms) -> Kept {
    keep(ran <= allowed, "L3", || format!("{} worked for {ran} ms, {allowed} are allowed", task.view.arn))
}

/// L3: a task that does not start is stopped.
pub fn l3_start_is_limited(task: &Task, took: Ms, allowed: Ms) -> Kept {
    keep(took <= allowed, "L3", || {
        format!("{} took {took} ms to start, {allowed} are allowed", task.view.arn)
    })
}

/// L3: a silent task is stopped.
pub fn l3_silence_is_limited(task: &Task, silent: Ms, allowed: Ms) -> Kept {
    keep(silent <= allowed, "L3", || {
        format!("{} was silent for {silent} ms before it was stopped, {allowed} are allowed", task.view.arn)
    })
}
