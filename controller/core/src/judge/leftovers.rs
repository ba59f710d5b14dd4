//! Leftovers (L7) of attempts that did not win: files in their folders, and open multipart uploads. Pure: which
//! attempts have leftovers, and whether they can be collected now.
//!
//! A message is deleted only after the leftovers are collected, so a crash in between repeats the work; no other state
//! is kept. A task that may still be working keeps its folder until it has ended; orphans are stopped after their
//! grace.

use transcode_config::contract::{Attempt, Outcome, PastAttempt};

use crate::{
    judge::outcome::{never_began, unproven},
    policy::Policy,
    protocol::clock::{Ms, Now},
    state::{
        failing::{Failing, Purpose},
        job::Job,
        ledger::Ledger,
    },
    weakness::{Weakness, weak},
};

/// After this many consecutive failures (a few minutes of backoff) the message is deleted although leftovers remain:
/// leftovers cost a little money, a message that is never deleted keeps one place of `max_leases`.
pub const TRIES: usize = 8;

/// State of a job's leftovers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leftovers {
    /// There are none, or another controller collects them.
    None,
    /// A loser may still be working. Nothing changes before this time (monotonic) by itself, if it is known.
    Later(Option<Ms>),
    /// The folders of these attempts can be collected now.
    Of(Vec<Attempt>),
}

impl Ledger {
    /// The leftovers of a job.
    pub fn leftovers(&self, job: &Job, policy: &Policy, now: Now) -> Leftovers {
        if job.collected || given_up(job) {
            return Leftovers::None;
        }
        let losers = losers(job);
        if losers.is_empty() {
            return Leftovers::None;
        }
        let working = job.tasks.iter().filter(|(_, attempt)| losers.contains(attempt));
        let mut working = working
            .filter_map(|(arn, _)| self.tasks.get(arn))
            .filter(|task| !task.gone(policy, now.mono))
            .peekable();
        if working.peek().is_some() && !weak(Weakness::EmptiesFolderOfWorkingLoser) {
            let stopped = working.filter_map(|task| Some(task.stopped_at? + policy.stop_timeout));
            return Leftovers::Later(stopped.max());
        }
        match job.attempt.as_ref().filter(|newest| losers.contains(&newest.claim.attempt)) {
            Some(newest)
                if job.may_have_come_up(policy, now.mono) && !proven_over(job, newest.claim.attempt) =>
            {
                Leftovers::Later(Some(newest.expires_at + policy.heartbeat_stale))
            }
            _ => Leftovers::Of(losers),
        }
    }
}

/// Whether emptying the folders has failed so often that the bucket's lifecycle rules must do it.
fn given_up(job: &Job) -> bool {
    let collects = |failing: &&Failing| failing.purpose == Purpose::Collect;
    job.failing.as_deref().filter(collects).is_some_and(|failing| failing.times >= TRIES)
}

/// Whether the terminal record says, from ECS or from the task itself, that an attempt was over. A controller that has
/// never heard of the attempt's task then does not wait for that task.
fn proven_over(job: &Job, attempt: Attempt) -> bool {
    match job.terminal().map(|terminal| &terminal.outcome) {
        Some(outcome) => attempts_of(outcome).iter().any(|past| past.attempt == attempt && !unproven(past)),
        None => false,
    }
}

/// The attempts that a terminal record names, all of them losers.
fn attempts_of(outcome: &Outcome) -> &[PastAttempt] {
    match outcome {
        Outcome::Succeeded(_) => &[],
        Outcome::Dead(dead) => &dead.attempts,
        Outcome::Superseded(superseded) => &superseded.attempts,
        Outcome::Cancelled(cancelled) => &cancelled.attempts,
    }
}

/// The attempts of a decided job that may have written files and did not win.
fn losers(job: &Job) -> Vec<Attempt> {
    let Some(terminal) = job.terminal() else { return Vec::new() };
    let newest = job.attempt.as_ref().map(|newest| &newest.claim);
    let told = attempts_of(&terminal.outcome);
    let winner = match &terminal.outcome {
        Outcome::Succeeded(won) => Some(won.attempt),
        Outcome::Dead(_) | Outcome::Superseded(_) | Outcome::Cancelled(_) => None,
    };
    let history = newest.map(|claim| claim.history.as_slice()).unwrap_or_default();
    let numbers = [winner, told.last().map(|past| past.attempt), newest.map(|claim| claim.attempt)];
    let last = numbers.into_iter().flatten().max().map_or(0, Attempt::number);
    let began = |attempt: &Attempt| {
        !told.iter().chain(history).any(|past| past.attempt == *attempt && never_began(past))
    };
    (1..=last)
        .filter_map(Attempt::new)
        .filter(|attempt| {
            (Some(*attempt) != winner || weak(Weakness::EmptiesWinnersFolder)) && began(attempt)
        })
        .collect()
}
