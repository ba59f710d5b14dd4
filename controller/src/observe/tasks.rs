//! What is told of tasks: come up, started, ended, of another image than was looked at.

use transcode_config::contract::JobKey;
use transcode_core::{
    protocol::{
        clock::{Ms, Now},
        fact::Hint,
        task_view::{TaskStatus, TaskView},
    },
    state::ledger::Ledger,
};

use super::{Watch, age, bills};
use crate::events::{Moment, Phases};

impl Watch {
    pub(super) fn task(&self, view: &TaskView, ledger: &Ledger, now: Now) {
        let Some(identity) = &view.identity else {
            if !ledger.foreign.contains(&view.arn) {
                self.events.emit(Moment::ForeignTask { task: &view.arn });
            }
            return;
        };
        let (job, attempt, task) = (&identity.job, identity.attempt, &view.arn);
        self.pulled(view, ledger);
        let Some(known) = ledger.tasks.get(task) else {
            if !view.ended() {
                self.events.emit(Moment::Adopted { job, attempt, task });
            }
            return;
        };
        if known.running_at.is_none() && view.started {
            if view.status == TaskStatus::Running {
                let queued_ms = ledger.jobs.get(job).and_then(|job| age(job.asked_at_ms, now.wall));
                self.events.emit(Moment::Running { job, attempt, task, queued_ms });
            }
            self.events.emit(Moment::Started { job, attempt, task, phases: phases(view) });
        }
        if view.ended() && !known.ended() {
            self.ended(view, job, ledger);
            self.found(Hint::Task(task.clone()), view.billed.stopped_at.unwrap_or(0), now);
        }
    }

    /// Between the look at an image and its pull a tag can be moved. Said once, when the pull is first seen.
    fn pulled(&self, view: &TaskView, ledger: &Ledger) {
        let (Some(identity), Some(ran)) = (&view.identity, &view.billed.image_digest) else { return };
        let known = ledger.tasks.get(&view.arn).and_then(|record| record.view.as_ref());
        let claim = ledger.jobs.get(&identity.job).and_then(|job| job.attempt.as_ref());
        let claim = claim.map(|attempt| &attempt.intent).filter(|intent| intent.attempt == identity.attempt);
        if let Some(pinned) = claim.and_then(|intent| intent.image_digest.as_ref())
            && pinned != ran
            && known.is_none_or(|known| known.billed.image_digest.is_none())
        {
            let (job, attempt, task) = (&identity.job, identity.attempt, &view.arn);
            self.events.emit(Moment::OtherImage { job, attempt, task, pinned, ran });
        }
    }

    /// Billed to whoever holds the job's message, or has settled it: of several controllers, to one.
    fn ended(&self, view: &TaskView, job: &JobKey, ledger: &Ledger) {
        let ours = ledger.jobs.get(job).is_some_and(|job| !job.leases.is_empty());
        let mut memory = self.memory();
        let usd =
            bills::usd(&view.arn, &view.billed, &self.cost).filter(|_| ours || memory.bills.is_settled(job));
        if let Some(usd) = usd {
            memory.bills.task(job, usd);
        }
        let Some(identity) = &view.identity else { return };
        self.events.emit(Moment::Ended {
            job,
            attempt: identity.attempt,
            task: &view.arn,
            exit_code: view.exit_code,
            stop_code: view.stop_code.as_deref(),
            usd,
        });
    }
}

fn phases(view: &TaskView) -> Phases {
    let billed = &view.billed;
    let between = |from: Option<Ms>, to: Option<Ms>| Some(to?.saturating_sub(from?));
    Phases {
        provisioning_ms: between(billed.created_at, billed.pull_started_at),
        pull_ms: between(billed.pull_started_at, billed.pull_stopped_at),
        start_ms: between(billed.pull_stopped_at, billed.started_at),
    }
}
