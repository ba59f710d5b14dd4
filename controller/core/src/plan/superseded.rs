//! Jobs that a later upload of their object has overtaken before they had a result (S17): their tasks are stopped, no
//! attempt is retried, and they end as superseded. A controller that does not know of the later upload lets them work
//! to their end, and publishing finds out.

use std::sync::Arc;

use transcode_config::contract::{JobKey, Outcome, PastAttempt, SCHEMA, Superseded, Terminal};

use super::{claims::Candidate, output::Planner, view::View};
use crate::{
    judge::outcome::{Ended, stopped_as_superseded},
    protocol::action::Action,
    state::job::Job,
};

impl<'a> View<'a> {
    /// Whether the job needs no result any more. A controller that drains lets tasks run (L8).
    pub(super) fn is_superseded(self, job: &Job) -> bool {
        self.policy.stop_superseded && job.superseded_by.is_some() && !self.ledger.draining
    }

    /// Whether an attempt that is over was the last one for that reason: this controller knows of the later upload, or
    /// another controller has stopped the task. A failure that cannot be retried is reported as such.
    pub(super) fn ends_superseded(self, job: &Job, ended: &Ended) -> bool {
        let hopeless = !ended.failure.code.info().retryable;
        !hopeless && (self.is_superseded(job) || stopped_as_superseded(ended))
    }

    /// Writes that a job is superseded, once no task of it works any more.
    pub(super) fn supersede(
        self,
        plan: &mut Planner,
        key: &JobKey,
        job: &Job,
        attempts: Vec<PastAttempt>,
    ) -> Option<Candidate<'a>> {
        let last_task_arn = attempts.iter().rev().find_map(|past| past.task_arn.clone());
        let superseded = Superseded { by: job.superseded_by.clone(), last_task_arn, attempts };
        let terminal = Terminal {
            schema: SCHEMA,
            job: key.clone(),
            nonce: format!("{}/supersede", self.ledger.instance),
            written_at_ms: self.now.wall,
            outcome: Outcome::Superseded(superseded),
        };
        let give_up = Action::GiveUp { job: key.clone(), terminal: Arc::new(terminal) };
        plan.act(if self.fresh(job) { give_up } else { job.inspection(key) });
        None
    }
}
