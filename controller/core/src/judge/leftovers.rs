//! What attempts that did not win leave behind (L7): files in their folders, and multipart uploads that nobody will
//! complete. Pure: which attempts, and whether it is time.
//!
//! A message is deleted only once this is collected, so a crash in between repeats it; nothing else is remembered. A
//! task that may still be working keeps its folder until it has ended: orphans are stopped after their grace.

use transcode_config::contract::{Attempt, Outcome};

use crate::{
    judge::outcome::{never_began, unproven},
    policy::Policy,
    protocol::clock::{Ms, Now},
    state::{job::Job, ledger::Ledger},
    weakness::{Weakness, weak},
};

/// Failures in a row, with backoff some minutes, after which a message is let go without: leftovers cost a little
/// money, a message that is never deleted costs a place.
pub const TRIES: usize = 8;

/// How it stands with a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leftovers {
    /// Nothing is there, or it is not for this controller to collect.
    None,
    /// A loser may still be working. Nothing changes by itself before this (monotonic), where that is known.
    Later(Option<Ms>),
    /// The folders of these attempts.
    Of(Vec<Attempt>),
}

impl Ledger {
    /// What there is to be collected of a job.
    pub fn leftovers(&self, job: &Job, policy: &Policy, now: Now) -> Leftovers {
        if job.collected || job.failures >= TRIES {
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

/// Whether the terminal record says that an attempt was over, by ECS' word or its own: a controller that comes later and has
/// never heard of its task need not wait for it.
fn proven_over(job: &Job, attempt: Attempt) -> bool {
    match job.terminal().map(|terminal| &terminal.outcome) {
        Some(Outcome::Dead(dead)) => {
            dead.attempts.iter().any(|past| past.attempt == attempt && !unproven(past))
        }
        _ => false,
    }
}

/// Attempts of a decided job that may have written something and did not win.
fn losers(job: &Job) -> Vec<Attempt> {
    let Some(terminal) = job.terminal() else { return Vec::new() };
    let newest = job.attempt.as_ref().map(|newest| &newest.claim);
    let (winner, told) = match &terminal.outcome {
        Outcome::Succeeded(won) => (Some(won.attempt), [].as_slice()),
        Outcome::Dead(dead) => (None, dead.attempts.as_slice()),
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
