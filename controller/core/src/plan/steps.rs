//! The step of a job, for people: the step that fails or, once the job is decided, the next step before its messages
//! are deleted.

use std::borrow::Cow;

use transcode_config::contract::Outcome;

use super::{output::Planner, view::View};
use crate::{
    protocol::clock::Ms,
    state::{
        failing::{Failing, Purpose},
        job::Job,
        lease::Lease,
        note::Note,
    },
    weakness::{Weakness, weak},
};

impl View<'_> {
    /// Notes the step of the visited job, unless it has another note.
    pub(super) fn step_of(self, plan: &mut Planner, job: &Job) {
        let waits = self.step(job).filter(|_| !plan.is_noted() && !weak(Weakness::HidesStepsOfSettling));
        if let Some(note) = waits {
            plan.note_step(note);
        }
    }

    fn step(self, job: &Job) -> Option<Note> {
        if job.unreadable.is_some() {
            return None;
        }
        if let Some(failing) = &job.failing {
            return Some(self.fails(failing));
        }
        let terminal = job.terminal()?;
        let leases = || job.leases.keys().filter_map(|message| self.ledger.leases.get(message));
        leases().next()?;
        let letter_waits = |lease: &&Lease| !lease.lettered.contains(&terminal.job);
        let next = match &terminal.outcome {
            Outcome::Succeeded(_) if !job.published => Purpose::Publish,
            _ if !job.indexed => Purpose::Index,
            _ if !job.announced && self.policy.announcing.is_some() => Purpose::Announce,
            Outcome::Dead(_) if leases().any(|lease| letter_waits(&lease)) => Purpose::Letter,
            _ if job.call.is_some() => Purpose::Collect,
            _ => Purpose::Delete,
        };
        if let Some(failing) = leases().find_map(|lease| lease.failing.as_ref()) {
            return Some(self.fails(failing));
        }
        Some(Note { why: Cow::Borrowed(next.phrase()), until: None, step: Some(next), refused: false })
    }

    fn fails(self, failing: &Failing) -> Note {
        let until: Option<Ms> = Some(failing.retry_at).filter(|at| *at > self.now.mono);
        let why = Cow::Owned(failing.to_string());
        Note { why, until, step: Some(failing.purpose), refused: failing.lasts() }
    }
}
