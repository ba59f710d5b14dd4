//! Jobs: look, try, try again, give up, publish.

use std::{mem, sync::Arc};

use transcode_config::contract::{Budget, Dead, JobKey, Outcome, PastAttempt, SCHEMA, Terminal};

use super::{
    claims::{Candidate, TOO_FAST, note},
    output::{PacedClaim, Plan, Scope},
    view::View,
};
use crate::{
    judge::{
        attempt::{Verdict, judge},
        launch_pause::Pause,
        leftovers::Leftovers,
        outcome::Ended,
    },
    message::Request,
    policy::Policy,
    protocol::{
        action::Action,
        clock::{Ms, Now},
    },
    state::{
        agenda::Requeue,
        job::{AttemptState, Job, Register},
        ledger::Ledger,
        limiter::CallKind,
    },
    weakness::{Weakness, weak},
};

/// Folders are emptied for so many jobs in one turn at most: it is the least urgent of all work.
const COLLECTS: usize = 10;

/// Another controller holds its message, and launches it.
const NO_MESSAGE: &str = "claimed; not launched from here";

pub(super) fn plan(plan: &mut Plan, scope: Scope, policy: &Policy, ledger: &Ledger, now: Now) {
    let view = View { policy, ledger, now };
    let mut candidates = Vec::new();
    for (key, job) in scope.of(&ledger.jobs, now) {
        candidates.extend(view.look_at(plan, key, job));
    }
    view.launch(plan);
    view.claim(plan, scope, candidates);
}

impl<'a> View<'a> {
    /// Plans one job and what is to become of its tasks, and notes when to look at it again. Gives it back when all it
    /// lacks is room: then it waits in line, and the look at it ends with the claims.
    pub(super) fn look_at(self, plan: &mut Plan, key: &'a JobKey, job: &'a Job) -> Option<Candidate<'a>> {
        let mut candidate = None;
        if job.free(self.now.mono) {
            candidate = self.one(plan, key, job);
        } else if let Some(reason) = &job.unreadable {
            plan.note(format!("left alone: {reason}"), None);
        } else if job.call.is_none() {
            plan.note("waiting after a failed call", Some(job.retry_at));
            plan.look(Requeue::At(job.retry_at));
        }
        self.tasks_of(plan, job);
        let again = plan.looked();
        match &mut candidate {
            Some(candidate) => candidate.again = again,
            None => plan.looked_at(key, again, None),
        }
        candidate
    }

    /// Plans one job. Gives it back when all it lacks is room.
    fn one(self, plan: &mut Plan, key: &'a JobKey, job: &'a Job) -> Option<Candidate<'a>> {
        if let Some(terminal) = job.terminal() {
            if !job.leases.is_empty() {
                self.settle(plan, key, job, &terminal.outcome);
            }
            return None;
        }
        if job.register == Register::Unknown {
            plan.act(Action::Inspect { job: key.clone() });
            return None;
        }
        if let (Some(Request::Refuse { failure, .. }), None) = (&job.request, &job.attempt) {
            let ended = Ended { budget: Budget::Job, failure: failure.clone(), task: None };
            plan.act(self.bury(key, &ended, Vec::new()));
            return None;
        }
        match &job.attempt {
            None => candidate(key, job, Vec::new()),
            Some(attempt) => self.attempted(plan, key, job, attempt),
        }
    }

    /// Plans what a decided job needs before its messages may be deleted, dead letters apart.
    fn settle(self, plan: &mut Plan, key: &JobKey, job: &Job, outcome: &Outcome) {
        if let (Outcome::Succeeded(winner), false) = (outcome, job.published) {
            plan.act(Action::Publish { job: key.clone(), winner: Arc::new(winner.clone()) });
            return;
        }
        match self.ledger.leftovers(job, self.policy, self.now) {
            Leftovers::None => {}
            Leftovers::Later(until) => {
                plan.note("decided; waiting for the tasks of attempts that did not win to end", until);
                plan.look(until.map_or(Requeue::Changed, Requeue::At));
            }
            Leftovers::Of(losers) if plan.collects() < COLLECTS => {
                plan.act(Action::Collect { job: key.clone(), losers: losers.into() });
            }
            Leftovers::Of(_) => {
                plan.wake(self.now.mono + self.policy.call_retry_base);
                plan.look(Requeue::NextTurn);
            }
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
                let looks = job.inspect_at <= now;
                if looks {
                    plan.act(Action::Inspect { job: key.clone() });
                }
                let until = if looks { until } else { until.min(job.inspect_at) };
                plan.note(why, Some(until));
                plan.look(Requeue::At(until));
            }
            Verdict::Inspect => plan.act(Action::Inspect { job: key.clone() }),
            Verdict::Stop { task, reason } => {
                let view = (self.policy, self.ledger, self.now);
                plan.act_when_allowed(CallKind::Stop, Action::Stop { task, reason }, view);
            }
            Verdict::Launch { not_before } => self.claimed(plan, job, attempt, not_before),
            Verdict::Over { ended, at } => return self.over(plan, key, job, attempt, &ended, at),
        }
        None
    }

    /// The newest attempt is claimed: it is launched as soon as nothing keeps it back.
    fn claimed(self, plan: &mut Plan, job: &Job, attempt: &AttemptState, not_before: Ms) {
        plan.look(Requeue::NextTurn);
        let pause = self.ledger.launch_pause(self.policy, self.now);
        let held = pause.filter(Pause::holds_claimed).as_ref().map(note);
        match held.or_else(|| job.request.is_none().then(|| NO_MESSAGE.to_owned())) {
            Some(why) => plan.note(why, None),
            None => plan.claimed(&attempt.intent, not_before),
        }
    }

    /// Launches what the rate allows, the soonest deadline first: nobody overtakes a claim until that is too late.
    fn launch(self, plan: &mut Plan) {
        let mut claims = mem::take(&mut plan.claimed);
        claims.sort_by(|a, b| {
            (a.intent.launch_not_after_ms, &a.intent.job).cmp(&(b.intent.launch_not_after_ms, &b.intent.job))
        });
        for PacedClaim { intent, not_before, look } in claims {
            let allowed_at = self.ledger.launch_allowed_at(self.policy, plan.launches(), self.now);
            let at = not_before.max(allowed_at);
            if at <= self.now.mono || weak(Weakness::LaunchesBeyondRate) {
                plan.act(Action::Launch { intent });
                continue;
            }
            let pause = self.ledger.launch_pause(self.policy, self.now);
            let cools = pause.filter(|pause| matches!(pause, Pause::CoolingDown { .. }));
            plan.claim_waits(look, cools.map_or_else(|| TOO_FAST.to_owned(), |pause| note(&pause)), at);
        }
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
        // What never had a message here is decided by whoever holds it. One that was held and lost still counts: a proof may
        // take longer than the 12 h for which SQS lets one controller hold it, and nobody would ever come to its end.
        job.request.as_ref()?;
        let number = attempt.intent.attempt;
        let mut history = attempt.intent.history.clone();
        if weak(Weakness::ForgetsEarlierAttempts) {
            history.clear();
        }
        history.push(ended.past(number));
        if (!ended.failure.code.info().retryable && !weak(Weakness::RetriesTheHopeless))
            || !self.policy.allows_another(&history)
        {
            // Another controller may have judged otherwise meanwhile, and gone on: then this is not the newest attempt.
            let bury = || self.bury(key, ended, history);
            plan.act(if self.fresh(job) { bury() } else { Action::Inspect { job: key.clone() } });
            return None;
        }
        let due = at + self.policy.attempt_backoff(key, &history);
        if self.now.mono < due && !weak(Weakness::DoesNotWaitBetweenAttempts) {
            let why = format!("attempt {number} failed ({}); next attempt after backoff", ended.failure.code);
            plan.note(why, Some(due));
            plan.look(Requeue::At(due));
            return None;
        }
        candidate(key, job, history)
    }

    fn bury(self, key: &JobKey, ended: &Ended, history: Vec<PastAttempt>) -> Action {
        let mut failure = ended.failure.clone();
        if failure.code.info().retryable {
            failure = failure.with("attempts_spent", history.len());
        }
        let last_task_arn = history
            .iter()
            .rev()
            .find_map(|past| past.task_arn.clone())
            .filter(|_| !weak(Weakness::LeavesTaskOutOfRecord));
        let log_link = last_task_arn.as_ref().and_then(|arn| self.policy.logs.as_ref()?.link(arn));
        let history = if weak(Weakness::LeavesAttemptsOutOfRecord) { Vec::new() } else { history };
        let terminal = Terminal {
            schema: SCHEMA,
            job: key.clone(),
            nonce: format!("{}/bury", self.ledger.instance),
            written_at_ms: self.now.wall,
            outcome: Outcome::Dead(Dead { failure, last_task_arn, log_link, attempts: history }),
        };
        Action::GiveUp { job: key.clone(), terminal: Arc::new(terminal) }
    }
}

fn candidate<'a>(key: &'a JobKey, job: &'a Job, history: Vec<PastAttempt>) -> Option<Candidate<'a>> {
    match &job.request {
        Some(Request::Run(spec)) => Some(Candidate { key, job, spec, history, again: Requeue::Changed }),
        Some(Request::Refuse { .. }) | None => None,
    }
}
