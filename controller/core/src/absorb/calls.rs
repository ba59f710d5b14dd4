//! Changes that every answer to a call makes: the call is over, and failures are counted or reset.

use transcode_config::contract::{Attempt, JobKey};

use super::change::Change;
use crate::{
    policy::Policy,
    protocol::{
        clock::{Ms, Now},
        fact::{CallError, MessageId, Refusal},
        task_view::{TaskArn, TaskView},
    },
    state::{
        agenda::Requeue,
        breaker::FailureStage,
        failing::{Failing, Purpose},
        job::Job,
        lease::Lease,
        ledger::Ledger,
        limiter::CallKind,
        task::TaskRecord,
    },
    weakness::{Weakness, weak},
};

/// ECS shows a stopped task for this long (ms).
const STOPPED_SHOWN: Ms = 3_600_000;

impl Ledger {
    pub(super) fn launched(&mut self, key: &JobKey, attempt: Attempt, task: &TaskArn, now: Now) {
        self.refusals = 0;
        self.breaker.passed(FailureStage::Refused);
        self.job_call_over(key, |job, _| {
            if let Some(state) = job.attempt.as_mut().filter(|state| state.claim.attempt == attempt) {
                state.launch_failures = 0;
            }
        });
        self.know_task(task, key, attempt, now);
        if let Some(record) = self.tasks.get_mut(task) {
            // Right after a launch ECS often does not know the task yet; an answer then proves nothing.
            record.describe_at = record.describe_at.max(now.mono + 2000);
        }
    }

    pub(super) fn refused(
        &mut self,
        key: &JobKey,
        attempt: Attempt,
        refusal: Refusal,
        policy: &Policy,
        now: Now,
    ) {
        if let Refusal::Failed(error) = &refusal {
            self.throttled(CallKind::Launch, error, policy, now);
        }
        self.slow_down(key, attempt, &refusal, policy, now);
        self.job_call_over(key, |job, _| {
            let Some(state) = job.attempt.as_mut().filter(|state| state.claim.attempt == attempt) else {
                return;
            };
            state.launch_failures += 1;
            state.launch_retry_at = now.mono + policy.call_backoff(state.launch_failures);
            if weak(Weakness::TakesAnyRefusalForDefinitive) && state.refused.is_none() {
                state.refused = Some((now.mono, "any refusal".into()));
            }
            if let Refusal::Definitive(reason) = refusal {
                state.refused = Some((now.mono, reason));
            }
        });
    }

    pub(super) fn described(
        &mut self,
        arn: &TaskArn,
        policy: &Policy,
        now: Now,
        change: impl FnOnce(&mut TaskRecord),
    ) {
        let every = self.describe_every(policy);
        if let Some(task) = self.tasks.get_mut(arn) {
            task.describe_call = None;
            task.describe_at = now.mono + task.describe_every(every, policy);
            change(task);
        }
    }

    /// Takes in a view of a running task that shows nothing new; `described`: it answers a describe call. Returns `false`,
    /// and changes nothing, for any other view. Nothing depends on such a view but the time of the next one, so no job is
    /// visited for it: most views of a large fleet are of this kind.
    pub(super) fn confirms(&mut self, view: &TaskView, described: bool, policy: &Policy, now: Now) -> bool {
        let Some(task) = self.tasks.get(&view.arn).filter(|task| task.runs_as(view)) else { return false };
        let call = if described { task.describe_call } else { self.resync.call };
        let every = self.describe_every(policy);
        self.tasks.retime(&view.arn, |task| {
            task.seen_at = task.seen_at.max(call.unwrap_or(now.mono));
            task.describe_at = now.mono + every;
            if described {
                task.describe_call = None;
            }
            task.describe_due().map_or(Requeue::OnChange, Requeue::At)
        });
        true
    }

    /// Notes that ECS does not know a task. That proves nothing, with one exception: a task of a job that only a newer
    /// version can read merely holds a slot here, and counts as ended once it has been missing for an hour.
    pub(super) fn missing(&mut self, arn: &TaskArn, policy: &Policy, now: Now) {
        self.described(arn, policy, now, |task| {
            task.missing_since.get_or_insert(now.mono);
        });
        let Some(task) = self.tasks.get_mut(arn) else { return };
        let long = task.missing_since.is_some_and(|at| now.mono >= at + STOPPED_SHOWN);
        if long && self.jobs.get(&task.job).is_some_and(|job| job.unreadable.is_some()) {
            task.ended_at.get_or_insert(now.mono);
        }
    }

    pub(super) fn stop_answered(&mut self, arn: &TaskArn, change: impl FnOnce(&mut TaskRecord)) {
        if let Some(task) = self.tasks.get_mut(arn) {
            task.stop_call = false;
            change(task);
        }
    }

    /// A call to S3 for a job succeeded. `change` gets the time (monotonic) at which the call began.
    pub(super) fn job_answered(&mut self, key: &JobKey, change: impl FnOnce(&mut Job, Ms)) {
        let mut mended = None;
        self.job_call_over(key, |job, asked_at| {
            let refused =
                job.failing.as_ref().filter(|failing| failing.lasts()).map(|failing| failing.purpose);
            change(job, asked_at);
            let over = |failing: &Failing| failing.over(job.calls_for) || job.passed(failing.furthest);
            if job.failing.as_deref().is_some_and(over) {
                job.failing = None;
            }
            mended = refused.filter(|step| job.failing.is_none() && *step == job.calls_for);
        });
        self.mended(mended);
    }

    /// Ends the call of a job without resetting its failures: ECS has answered, and the failures count calls to S3.
    pub(super) fn job_call_over(&mut self, key: &JobKey, change: impl FnOnce(&mut Job, Ms)) {
        if let Some(job) = self.jobs.get_mut(key) {
            let asked_at = job.call.take().unwrap_or(0);
            job.claiming = None;
            change(job, asked_at);
        }
    }

    pub(super) fn job_failed(&mut self, key: &JobKey, error: CallError, policy: &Policy, now: Now) {
        if let Some(job) = self.jobs.get_mut(key) {
            job.call = None;
            job.claiming = None;
            let announces = policy.announcing.as_ref().filter(|_| job.calls_for == Purpose::Announce);
            if announces.is_some() {
                self.outbox.refused(now);
            }
            let live = job.calls_for == Purpose::Read && job.may_work();
            let mut failing =
                Failing::more(job.failing.take().map(|it| *it), job.calls_for, error, live, policy, now);
            if weak(Weakness::RepeatsJobCallsAtOnce) {
                failing.retry_at = now.mono;
            }
            if let Some(to) = announces {
                let aside_at = self.outbox.gives_up_at(failing.since, to);
                failing.aside_at = Some(aside_at);
                failing.retry_at = failing.retry_at.min(aside_at.max(now.mono));
                job.announced = weak(Weakness::ForgetsEventsThatFail);
            }
            job.failing = Some(Box::new(failing));
        }
    }

    /// A call for a message failed. Failed letters and deletes delay neither its extensions nor its release.
    pub(super) fn message_failed(
        &mut self,
        message: &MessageId,
        error: CallError,
        policy: &Policy,
        now: Now,
    ) {
        let Some(lease) = self.leases.get_mut(message) else { return };
        (lease.call, lease.renewed) = (None, false);
        let at_once = weak(Weakness::RepeatsMessageCallsAtOnce);
        if let Some(purpose) = lease.calls_for.take() {
            let mut failing =
                Failing::more(lease.failing.take().map(|it| *it), purpose, error, false, policy, now);
            if at_once {
                failing.retry_at = now.mono;
            }
            if weak(Weakness::LetsLeaseLapseWhileRefused) {
                lease.retry_at = failing.retry_at;
            }
            lease.failing = Some(Box::new(failing));
            // The notes of these jobs change.
            lease.jobs().for_each(|job| self.jobs.touch(job));
        } else {
            lease.failures += 1;
            lease.retry_at = if at_once { 0 } else { now.mono + policy.call_backoff(lease.failures) };
        }
    }

    /// A call that was refused succeeds for one job again: the jobs that wait for the same call are tried at once.
    pub(super) fn mended(&mut self, purpose: Option<Purpose>) {
        let Some(purpose) = purpose.filter(|_| !weak(Weakness::WaitsOnThoughMended)) else { return };
        self.try_again(|failing| failing.purpose == purpose && failing.lasts());
    }

    /// Ends the wait after failures of all calls that `which` selects.
    pub(crate) fn try_again(&mut self, which: impl Fn(&Failing) -> bool) {
        let waits = |failing: &Option<Box<Failing>>| failing.as_deref().is_some_and(&which);
        let jobs = self.jobs.iter().filter(|(_, job)| waits(&job.failing));
        for key in jobs.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            if let Some(failing) = self.jobs.get_mut(&key).and_then(|job| job.failing.as_mut()) {
                failing.retry_at = 0;
            }
        }
        let leases = self.leases.iter().filter(|(_, lease)| waits(&lease.failing));
        for message in leases.map(|(message, _)| message.clone()).collect::<Vec<_>>() {
            if let Some(failing) = self.leases.get_mut(&message).and_then(|lease| lease.failing.as_mut()) {
                failing.retry_at = 0;
            }
        }
    }

    /// The handle of a call is not valid any more. If the message was delivered again meanwhile, its new handle is.
    pub(super) fn lease_lost(&mut self, message: &MessageId, told: &mut Vec<Change>) {
        match self.leases.get_mut(message) {
            Some(lease) if lease.renewed => (lease.call, lease.renewed) = (None, false),
            _ => self.lose(message, told),
        }
    }

    pub(super) fn message_answered(&mut self, message: &MessageId, change: impl FnOnce(&mut Lease)) {
        let mut mended = None;
        if let Some(lease) = self.leases.get_mut(message) {
            lease.failures = 0;
            change(lease);
            (lease.call, lease.renewed) = (None, false);
            if let Some(purpose) = lease.calls_for.take() {
                let over = lease.failing.take_if(|failing| failing.over(purpose));
                mended = over.filter(|failing| failing.lasts()).map(|failing| failing.purpose);
            }
        }
        self.mended(mended);
    }
}
