//! Jobs that somebody has cancelled (S19): their tasks are stopped, no attempt is retried, and they end as cancelled. A
//! task that wins all the same was first, and its result counts.

use std::sync::Arc;

use transcode_config::contract::{
    Cancelled, JobKey, Outcome, PastAttempt, TERMINAL_CANCELLED, Terminal, Told,
};

use super::{claims::Candidate, output::Planner, view::View};
use crate::{
    judge::{asked::cancelled_by_stop, outcome::Ended},
    protocol::action::Action,
    state::job::Job,
};

impl<'a> View<'a> {
    /// Who cancelled the job. A controller that ends lets tasks run (L8); its successor reads the cancel again.
    pub(super) fn cancelled(self, key: &JobKey, job: &Job) -> Option<&'a Told> {
        self.ledger.cancel_of(key, job).filter(|_| !self.ledger.draining)
    }

    /// Who cancelled the job of an attempt that is over: in the control document, or by stopping its task.
    pub(super) fn ends_cancelled(self, key: &JobKey, job: &Job, ended: &Ended) -> Option<Told> {
        self.cancelled(key, job).cloned().or_else(|| cancelled_by_stop(ended, self.now))
    }

    /// Writes that a job is cancelled, once no task of it works any more.
    pub(super) fn cancel(
        self,
        plan: &mut Planner,
        key: &JobKey,
        job: &Job,
        attempts: Vec<PastAttempt>,
        told: Told,
    ) -> Option<Candidate<'a>> {
        let last_task_arn = attempts.iter().rev().find_map(|past| past.task_arn.clone());
        let terminal = Terminal {
            schema: TERMINAL_CANCELLED,
            job: key.clone(),
            nonce: format!("{}/cancel", self.ledger.instance),
            written_at_ms: self.now.wall,
            outcome: Outcome::Cancelled(Cancelled { told, last_task_arn, attempts }),
        };
        let give_up = Action::GiveUp { job: key.clone(), terminal: Arc::new(terminal) };
        plan.act(if self.fresh(job) { give_up } else { job.inspection(key) });
        None
    }
}
