//! Jobs: look, try, try again, give up, publish.

use std::sync::Arc;

use transcode_config::contract::{
    Attempt, Budget, Dead, Intent, JobKey, JobSpec, Outcome, PastAttempt, SCHEMA, Terminal,
};

use super::Plan;
use crate::{
    action::Action,
    attempt::{Verdict, judge},
    clock::{Ms, Now},
    job::{AttemptState, Job, Register},
    ledger::Ledger,
    message::Request,
    mutant::on,
    outcome::Ended,
    policy::Policy,
};

/// A reading of the state bucket older than this is renewed before an attempt is claimed or a job is given up.
const FRESH: Ms = 30_000;

const WAITING_TO_LAUNCH: &str = "waiting to launch: rate limit, or ECS refused lately";

/// A job that could be launched now, if there were room.
struct Candidate<'a> {
    key: &'a JobKey,
    job: &'a Job,
    spec: &'a Arc<JobSpec>,
    history: Vec<PastAttempt>,
}

/// What planning looks at.
#[derive(Clone, Copy)]
struct View<'a> {
    policy: &'a Policy,
    ledger: &'a Ledger,
    now: Now,
}

pub(super) fn plan(plan: &mut Plan, policy: &Policy, ledger: &Ledger, now: Now) {
    let view = View { policy, ledger, now };
    let mut candidates = Vec::new();
    for (key, job) in &ledger.jobs {
        if job.free(now.mono) {
            candidates.extend(view.one(plan, key, job));
        } else if let Some(reason) = &job.unreadable {
            plan.note(key, format!("left alone: {reason}"), None);
        } else if job.call.is_none() {
            plan.note(key, "waiting after a failed call", Some(job.retry_at));
        }
    }
    view.claim(plan, candidates);
}

impl<'a> View<'a> {
    /// Plans one job. Gives it back when all it lacks is room.
    fn one(self, plan: &mut Plan, key: &'a JobKey, job: &'a Job) -> Option<Candidate<'a>> {
        if let Some(terminal) = job.terminal() {
            if let (Outcome::Succeeded(winner), false, false) =
                (&terminal.outcome, job.published, job.leases.is_empty())
            {
                plan.act(Action::Publish { job: key.clone(), winner: Arc::new(winner.clone()) });
            }
            return None;
        }
        if job.register == Register::Unknown {
            plan.act(Action::Inspect { job: key.clone() });
            return None;
        }
        if let (Some(Request::Refuse { failure, .. }), None) = (&job.request, &job.attempt) {
            let ended = Ended { budget: Budget::Job, failure: failure.clone(), task: None };
            plan.act(bury(key, &ended, Vec::new(), self.ledger, self.now));
            return None;
        }
        match &job.attempt {
            None => candidate(key, job, Vec::new()),
            Some(attempt) => self.attempted(plan, key, job, attempt),
        }
    }

    fn attempted(
        self,
        plan: &mut Plan,
        key: &'a JobKey,
        job: &'a Job,
        attempt: &AttemptState,
    ) -> Option<Candidate<'a>> {
        let now = self.now.mono;
        match judge(job, attempt, |arn| self.ledger.tasks.get(arn), self.policy, self.now) {
            Verdict::Wait { until, why } => {
                if job.inspect_at <= now {
                    plan.act(Action::Inspect { job: key.clone() });
                }
                plan.note(key, why, Some(until.min(job.inspect_at.max(now + 1))));
            }
            Verdict::Inspect => plan.act(Action::Inspect { job: key.clone() }),
            Verdict::Stop { task, reason } => plan.act(Action::Stop { task, reason }),
            Verdict::Launch { not_before } if job.request.is_some() && !self.held_back() => {
                let planned =
                    plan.actions.iter().filter(|action| matches!(action, Action::Launch { .. })).count();
                let at = not_before.max(self.ledger.launch_allowed_at(self.policy, planned as u64, self.now));
                if at <= now || on(19) {
                    plan.act(Action::Launch { intent: Arc::clone(&attempt.intent) });
                } else {
                    plan.note(key, WAITING_TO_LAUNCH, Some(at));
                }
            }
            Verdict::Launch { .. } => plan.note(key, "claimed; not launched from here", None),
            Verdict::Over { ended, at } => return self.over(plan, key, job, attempt, &ended, at),
        }
        None
    }

    /// Nothing new is begun from here.
    fn held_back(self) -> bool {
        self.ledger.draining || self.policy.paused
    }

    /// The newest attempt is proven over, since `at`: another one, or dead.
    fn over(
        self,
        plan: &mut Plan,
        key: &'a JobKey,
        job: &'a Job,
        attempt: &AttemptState,
        ended: &Ended,
        at: Ms,
    ) -> Option<Candidate<'a>> {
        // Without a message nothing is decided here: it comes back, or another controller holds it.
        job.request.as_ref()?;
        let number = attempt.intent.attempt;
        let mut history = attempt.intent.history.clone();
        if on(16) {
            history.clear();
        }
        history.push(ended.past(number));
        if (!ended.failure.code.info().retryable && !on(15)) || !self.policy.allows_another(&history) {
            // Another controller may have judged otherwise meanwhile, and gone on: then this is not the newest attempt.
            let bury = || bury(key, ended, history, self.ledger, self.now);
            plan.act(if self.fresh(job) { bury() } else { Action::Inspect { job: key.clone() } });
            return None;
        }
        let due = at + self.policy.attempt_backoff(key, &history);
        if self.now.mono < due && !on(17) {
            let why = format!("attempt {number} failed ({}); next attempt after backoff", ended.failure.code);
            plan.note(key, why, Some(due));
            return None;
        }
        candidate(key, job, history)
    }

    /// Whether the state bucket was read lately enough to write into it what follows from the reading.
    fn fresh(self, job: &Job) -> bool {
        on(36) || job.read_at().is_some_and(|at| self.now.mono <= at + FRESH)
    }

    /// Claims attempts for as many candidates as there is room for, oldest first.
    fn claim(self, plan: &mut Plan, mut candidates: Vec<Candidate<'_>>) {
        candidates.sort_by_key(|candidate| candidate.job.since);
        let in_flight = self.ledger.tasks_in_flight(self.policy, self.now);
        let mut room = if on(18) { usize::MAX } else { self.policy.max_tasks.saturating_sub(in_flight) };
        let hold = self.hold();
        for candidate in candidates {
            let key = candidate.key;
            if let Some((why, until)) = &hold {
                plan.note(key, *why, *until);
            } else if room == 0 {
                plan.note(key, "waiting for a free slot", None);
            } else {
                room -= 1;
                let fresh = self.fresh(candidate.job);
                plan.act(if fresh { self.intend(&candidate) } else { Action::Inspect { job: key.clone() } });
            }
        }
    }

    /// What keeps every job from being claimed, if anything does.
    fn hold(self) -> Option<(&'static str, Option<Ms>)> {
        if self.ledger.draining {
            return Some(("draining", None));
        }
        if self.policy.paused {
            return Some(("paused by launch.paused", None));
        }
        if !self.ledger.resync.done {
            return Some(("waiting for the first complete list of tasks", None));
        }
        if self.ledger.task_definition.is_none() {
            return Some(("waiting for a valid task definition", None));
        }
        // A claim that the rate does not let launch before its deadline would be wasted.
        let claimed =
            self.ledger.jobs.values().filter(|job| job.may_come_up(self.policy, self.now.mono)).count()
                as u64;
        if claimed.saturating_mul(self.policy.launch_interval) > self.policy.launch_deadline / 4 {
            return Some((WAITING_TO_LAUNCH, Some(self.now.mono + self.policy.launch_interval)));
        }
        let at = self.ledger.cooldown_until;
        (at > self.now.mono).then_some((WAITING_TO_LAUNCH, Some(at)))
    }

    fn intend(self, candidate: &Candidate<'_>) -> Action {
        let attempt =
            candidate.job.attempt.as_ref().map_or(Attempt::FIRST, |state| state.intent.attempt.next());
        let intent = Intent {
            schema: SCHEMA,
            job: candidate.key.clone(),
            attempt,
            task_definition: self.ledger.task_definition.clone().unwrap_or_default(),
            variant: self.policy.variant_after(&candidate.history, candidate.spec.source.size),
            launch_not_after_ms: self.now.wall + if on(22) { 0 } else { self.policy.launch_deadline },
            created_at_ms: self.now.wall,
            nonce: format!("{}/{attempt}", self.ledger.instance),
            history: candidate.history.clone(),
        };
        Action::Intend { spec: Arc::clone(candidate.spec), intent: Arc::new(intent) }
    }
}

fn candidate<'a>(key: &'a JobKey, job: &'a Job, history: Vec<PastAttempt>) -> Option<Candidate<'a>> {
    match &job.request {
        Some(Request::Run(spec)) => Some(Candidate { key, job, spec, history }),
        Some(Request::Refuse { .. }) | None => None,
    }
}

fn bury(key: &JobKey, ended: &Ended, history: Vec<PastAttempt>, ledger: &Ledger, now: Now) -> Action {
    let mut failure = ended.failure.clone();
    if failure.code.info().retryable {
        failure = failure.with("attempts_spent", history.len());
    }
    let last_task_arn = history.iter().rev().find_map(|past| past.task_arn.clone()).filter(|_| !on(20));
    let history = if on(21) { Vec::new() } else { history };
    let terminal = Terminal {
        schema: SCHEMA,
        job: key.clone(),
        nonce: format!("{}/bury", ledger.instance),
        written_at_ms: now.wall,
        outcome: Outcome::Dead(Dead { failure, last_task_arn, log_link: None, attempts: history }),
    };
    Action::Bury { job: key.clone(), terminal: Arc::new(terminal) }
}
