//! Jobs: read, claim, launch, retry, give up, publish.

use std::sync::Arc;

use transcode_config::contract::{Budget, Capacity, Dead, JobKey, Outcome, PastAttempt, SCHEMA, Terminal};

use super::{
    claims::{Candidate, TOO_FAST, note},
    output::{Planner, Scope},
    view::View,
};
use crate::{
    judge::{
        attempt::{Verdict, judge},
        launch_pause::Pause,
        leftovers::Leftovers,
        outcome::{Ended, stop_reason},
    },
    message::Request,
    protocol::{action::Action, clock::Ms},
    state::{
        agenda::Requeue,
        breaker::FailureStage,
        job::{AttemptState, Job, TerminalRecord},
        limiter::CallKind,
    },
    weakness::{Weakness, weak},
};

/// Most folders emptied in one turn: this is the least urgent work.
const COLLECTS: usize = 10;

/// Another controller holds the job's message and launches the attempt.
const NO_MESSAGE: &str = "claimed; not launched from here";

/// Notes of jobs whose tasks are stopped because nobody wants their results any more.
const CANCELLED: &str = "cancelled: its task is stopped";
const SUPERSEDED: &str = "superseded: its task is stopped";

pub(super) fn plan(plan: &mut Planner, scope: Scope, view: View<'_>) {
    let mut candidates = Vec::new();
    for (key, job) in scope.of(&view.ledger.jobs, view.now) {
        candidates.extend(view.visit(plan, key, job));
    }
    view.launch(plan);
    view.claim(plan, scope, candidates);
}

impl<'a> View<'a> {
    /// Plans one job and the stops of its unneeded tasks, and asks for the job's next visit. Returns the job if it
    /// lacks only a free slot: then it waits in line, and its visit ends with the claims.
    pub(super) fn visit(self, plan: &mut Planner, key: &'a JobKey, job: &'a Job) -> Option<Candidate<'a>> {
        let mut candidate = None;
        if job.free(self.now.mono) {
            candidate = self.one(plan, key, job);
        } else if let Some(reason) = &job.unreadable {
            plan.note(format!("left alone: {reason}"), None);
        } else if job.call.is_none() {
            plan.requeue(Requeue::At(job.retry_at()));
        }
        self.step_of(plan, job);
        self.tasks_of(plan, job);
        let requeue = plan.take_requeue();
        match &mut candidate {
            Some(candidate) => (candidate.requeue, candidate.over) = (requeue, plan.take_over()),
            None => plan.visited(key, requeue, None),
        }
        candidate
    }

    /// Plans one job. Returns it if it lacks only a free slot.
    fn one(self, plan: &mut Planner, key: &'a JobKey, job: &'a Job) -> Option<Candidate<'a>> {
        if job.unbound() {
            plan.act(Action::ReadSpec { job: key.clone() });
            return None;
        }
        if self.unattributed(job) {
            plan.act(Action::ReadSpec { job: key.clone() });
            return None;
        }
        if let Some(terminal) = job.terminal() {
            if !job.leases.is_empty() {
                self.settle(plan, key, job, terminal);
            }
            return None;
        }
        if job.record == TerminalRecord::Unknown {
            plan.act(job.inspection(key));
            return None;
        }
        if let (Some(Request::Refuse { failure, .. }), None) = (&job.request, &job.attempt) {
            let ended = Ended { budget: Budget::Job, failure: failure.clone(), task: None };
            plan.act(self.give_up(key, &ended, Vec::new()));
            return None;
        }
        if let (Some(told), None) = (self.cancelled(key, job), &job.attempt) {
            return self.cancel(plan, key, job, Vec::new(), told.clone());
        }
        match &job.attempt {
            None if job.put_back => None,
            None if self.is_superseded(job) => self.supersede(plan, key, job, Vec::new()),
            None => self.candidate(plan, key, job, Vec::new()),
            Some(attempt) => self.attempted(plan, key, job, attempt),
        }
    }

    /// Whether a job holds a slot and nobody knows whose: it is known by its task alone, after a restart.
    fn unattributed(self, job: &Job) -> bool {
        self.policy.look_ahead.is_some()
            && job.request.is_none()
            && job.terminal().is_none()
            && !job.tasks.is_empty()
            && !job.attributed
    }

    /// Plans the remaining steps of a decided job before its messages may be deleted, without the dead letters.
    fn settle(self, plan: &mut Planner, key: &JobKey, job: &Job, terminal: &Arc<Terminal>) {
        if let (Outcome::Succeeded(winner), false) = (&terminal.outcome, job.published) {
            let winner = Arc::new(winner.clone());
            plan.act(Action::Publish { job: key.clone(), winner, spec: job.accepted.clone() });
            return;
        }
        if !job.indexed {
            let asked = match &job.request {
                Some(Request::Run(spec)) => Some(Arc::clone(spec)),
                Some(Request::Refuse { .. }) | None => None,
            };
            plan.act(Action::Index { terminal: Arc::clone(terminal), spec: job.accepted.clone(), asked });
            return;
        }
        if let (Some(to), false) = (&self.policy.announcing, job.announced) {
            plan.act(self.announce(job, terminal, to));
            return;
        }
        match self.ledger.leftovers(job, self.policy, self.now) {
            Leftovers::None => {}
            Leftovers::Later(until) => {
                plan.note("decided; waiting for the tasks of attempts that did not win to end", until);
                plan.requeue(until.map_or(Requeue::OnChange, Requeue::At));
            }
            Leftovers::Of(losers) if plan.collects() < COLLECTS => {
                let spec = job.accepted.clone();
                plan.act(Action::Collect { job: key.clone(), spec, losers: losers.into() });
            }
            Leftovers::Of(_) => {
                plan.wake(self.now.mono + self.policy.call_retry_base);
                plan.requeue(Requeue::EachTurn);
            }
        }
    }

    fn attempted(
        self,
        plan: &mut Planner,
        key: &'a JobKey,
        job: &'a Job,
        attempt: &AttemptState,
    ) -> Option<Candidate<'a>> {
        let now = self.now.mono;
        let unwanted = match () {
            () if self.cancelled(key, job).is_some() => Some((CANCELLED, stop_reason::CANCELLED)),
            () if self.is_superseded(job) => Some((SUPERSEDED, stop_reason::SUPERSEDED)),
            () => None,
        };
        if unwanted.is_some_and(|why| self.stop_newest(plan, job, attempt, why)) {
            return None;
        }
        match judge(job, attempt, |arn| self.ledger.tasks.get(arn), self.policy, self.now) {
            Verdict::Wait { until, why } => {
                let looks = job.inspect_at <= now;
                if looks {
                    plan.act(job.inspection(key));
                }
                let until = if looks { until } else { until.min(job.inspect_at) };
                plan.note(why, Some(until));
                plan.requeue(Requeue::At(until));
            }
            Verdict::Inspect => plan.act(job.inspection(key)),
            Verdict::Stop { task, reason } => {
                plan.act_when_allowed(CallKind::Stop, Action::Stop { task, reason }, self);
            }
            Verdict::Launch { not_before } => self.claimed(plan, key, job, attempt, not_before),
            Verdict::Over { ended, at } => {
                if !attempt.told {
                    plan.attempt_over(breaker_stage(attempt, &ended));
                }
                return self.over(plan, key, job, attempt, &ended, at);
            }
        }
        None
    }

    /// The newest attempt is claimed: it is launched as soon as nothing holds it back.
    fn claimed(self, plan: &mut Planner, key: &JobKey, job: &Job, attempt: &AttemptState, not_before: Ms) {
        let unwanted = match () {
            () if self.cancelled(key, job).is_some() => Some("cancelled: claimed and not launched"),
            () if self.is_superseded(job) => Some("superseded: claimed and not launched"),
            () => None,
        };
        if let Some(why) = unwanted {
            // Before its launch deadline a task may still start.
            plan.note(why, Some(attempt.expires_at));
            let deadline = attempt.expires_at.saturating_sub(self.policy.clock_skew);
            plan.requeue(Requeue::At(deadline.max(self.now.mono + 1)));
            return;
        }
        plan.requeue(Requeue::EachTurn);
        let pause = self.ledger.launch_pause(self.policy, self.now);
        let held = pause.filter(Pause::holds_claimed).as_ref().map(note);
        let held = held.or_else(|| self.ledger.part_paused(job));
        match held.or_else(|| job.request.is_none().then(|| NO_MESSAGE.to_owned())) {
            Some(why) => plan.note(why, None),
            None => plan.ready(&attempt.claim, not_before),
        }
    }

    /// Launches claims as the rate allows, the earliest launch deadline first. No claim overtakes another one whose
    /// deadline is earlier.
    fn launch(self, plan: &mut Planner) {
        for ready in plan.take_ready() {
            let allowed_at = self.ledger.launch_allowed_at(self.policy, plan.launches(), self.now);
            let at = ready.not_before.max(allowed_at);
            if at <= self.now.mono || weak(Weakness::LaunchesBeyondRate) {
                plan.act(Action::Launch { claim: ready.claim });
                continue;
            }
            let pause = self.ledger.launch_pause(self.policy, self.now);
            let cools = pause.filter(|pause| matches!(pause, Pause::CoolingDown { .. }));
            plan.not_ready(&ready, cools.map_or_else(|| TOO_FAST.to_owned(), |pause| note(&pause)), at);
        }
    }

    /// The newest attempt has been proven over since `at` (monotonic): plans the next attempt, or gives the job up.
    fn over(
        self,
        plan: &mut Planner,
        key: &'a JobKey,
        job: &'a Job,
        attempt: &AttemptState,
        ended: &Ended,
        at: Ms,
    ) -> Option<Candidate<'a>> {
        let number = attempt.claim.attempt;
        let mut history = attempt.claim.history.clone();
        if weak(Weakness::ForgetsEarlierAttempts) {
            history.clear();
        }
        history.push(ended.past(number));
        if let Some(told) = self.ends_cancelled(key, job, ended) {
            return self.cancel(plan, key, job, history, told);
        }
        // A job that never had a message here is decided by the controller that holds its message. A job whose message
        // was held and lost still counts: a proof may take longer than the 12 h for which SQS lets one controller hold
        // a message, and then no controller would ever decide it.
        job.request.as_ref()?;
        if self.ends_superseded(job, ended) {
            return self.supersede(plan, key, job, history);
        }
        if (!ended.failure.code.info().retryable && !weak(Weakness::RetriesTheHopeless))
            || !self.policy.allows_another(&history)
        {
            // Another controller may have judged differently meanwhile and claimed a newer attempt: read again first.
            let give_up = || self.give_up(key, ended, history);
            let next = if self.fresh(job) { give_up() } else { job.inspection(key) };
            plan.act(self.too_early(job, &next).unwrap_or(next));
            return None;
        }
        let due = at + self.policy.attempt_backoff(key, &history);
        if self.now.mono < due && !weak(Weakness::DoesNotWaitBetweenAttempts) {
            let why = format!("attempt {number} failed ({}); next attempt after backoff", ended.failure.code);
            plan.note(why, Some(due));
            plan.requeue(Requeue::At(due));
            return None;
        }
        self.candidate(plan, key, job, history)
    }

    /// The job, unless its queue is paused: it lacks only a free slot.
    fn candidate(
        self,
        plan: &mut Planner,
        key: &'a JobKey,
        job: &'a Job,
        history: Vec<PastAttempt>,
    ) -> Option<Candidate<'a>> {
        let Some(Request::Run(spec)) = &job.request else { return None };
        if let Some(why) = self.ledger.queue_paused(job) {
            plan.note(why, None);
            return None;
        }
        Some(Candidate { key, job, spec, history, requeue: Requeue::OnChange, over: None })
    }

    fn give_up(self, key: &JobKey, ended: &Ended, history: Vec<PastAttempt>) -> Action {
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

/// The stage at which an attempt's end counts for the breaker. A refusal by Spot does not count: the next attempt asks
/// for on-demand.
fn breaker_stage(attempt: &AttemptState, ended: &Ended) -> Option<FailureStage> {
    let spot = attempt.claim.variant.capacity == Capacity::FargateSpot;
    FailureStage::of(&ended.failure).filter(|stage| !spot || *stage != FailureStage::Refused)
}
