//! Small worlds of what people want (S19) and of a bus (S18): cancels, pauses, tasks that are stopped by hand, and a bus
//! that takes nothing for a while.

use std::{collections::BTreeSet, sync::Arc};

use transcode_config::contract::{Cancel, Cancels, Control, JobKey, Outcome, Told};
use transcode_core::{
    policy::Announcing,
    protocol::{action::Action, fact::Fact, steering::Steering},
};

use super::{
    small::Small,
    state::{Bounds, Phase, State, WeakProtocol},
};
use crate::setup::SECOND;

/// A change of the control document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// The job of the first message is cancelled.
    Cancel,
    /// Everything is paused.
    Pause,
    /// Nothing is paused any more; a cancel stays.
    GoOn,
}

impl Small {
    /// A world in which people want these things one after the other, each at any time. A controller reads the control
    /// document at any time too, and knows nothing of it when it starts.
    pub fn steered(controllers: usize, jobs: &[bool], wants: &[Want], bounds: Bounds) -> Self {
        let mut world = Self::new(controllers, jobs, bounds, WeakProtocol::None);
        let job = world.requests.first().map(|request| request.job().clone());
        let mut control = Control::default();
        world.documents.push(Arc::new(control.clone()));
        for want in wants {
            control.revision += 1;
            let told = Told { who: "ann".into(), why: String::new(), at_ms: control.revision };
            match want {
                Want::Cancel => {
                    let named = job.iter().map(|job| Cancels::Job(job.clone()));
                    control.cancels.extend(named.map(|what| Cancel { what, told: told.clone() }));
                }
                Want::Pause => control.paused = Some(told),
                Want::GoOn => control.paused = None,
            }
            world.documents.push(Arc::new(control.clone()));
        }
        world
    }

    /// The same world with a bus for the events of jobs. To list and to tell the end of a job may happen in every order
    /// with all other calls.
    #[must_use]
    pub fn with_bus(mut self) -> Self {
        self.policy.announcing = Some(Announcing {
            bus: "jobs".into(),
            environment: "small".into(),
            kinds: BTreeSet::new(),
            progress_every: SECOND,
            outbox_after: SECOND,
        });
        self
    }

    /// Whether people steer in this world.
    pub(super) fn is_steered(&self) -> bool {
        !self.documents.is_empty()
    }

    /// A controller reads the control document: the fact of it, if that is news.
    pub(super) fn hear(&self, state: &mut State, host: usize) -> Option<Fact> {
        let document = self.documents.get(state.wanted)?;
        let controller = Arc::make_mut(state.controllers.get_mut(host)?);
        controller.heard = Some(state.wanted);
        Some(Fact::Steered(Box::new(Steering::from(&**document))))
    }

    /// The promise that planned actions break, given the document that their controller has heard of.
    pub(super) fn against_wishes(&self, heard: Option<usize>, actions: &[Action]) -> Option<&'static str> {
        if !self.is_steered() {
            return None;
        }
        let document = heard.and_then(|heard| self.documents.get(heard));
        let stands = document.is_none_or(|control| control.paused.is_some());
        let cancelled = |job: &JobKey| document.is_some_and(|control| cancels(control, job));
        actions.iter().find_map(|action| match action {
            Action::Receive { .. } => stands.then_some("S19: received while paused or unsteered"),
            Action::Claim { claim, .. } | Action::Launch { claim } => {
                let again = cancelled(&claim.job).then_some("S19: a cancelled job is begun");
                again.or(stands.then_some("S19: begun while paused or unsteered"))
            }
            Action::GiveUp { job, terminal } => {
                let other = cancelled(job) && !matches!(terminal.outcome, Outcome::Cancelled(_));
                other.then_some("S19: a cancelled job is given up as something else")
            }
            _ => None,
        })
    }

    /// Whether anybody has wanted so far that a job is cancelled.
    pub(super) fn cancel_was_asked(&self, state: &State, index: usize) -> bool {
        let job = self.requests.get(index).map(transcode_core::message::Request::job);
        let mut written = self.documents.iter().take(state.wanted + 1);
        let asked = |control: &Arc<Control>| job.is_some_and(|job| cancels(control, job));
        written.any(asked) || state.tasks.iter().any(|task| task.job == index && task.by_hand)
    }

    /// A person stops a task with the documented reason.
    pub(super) fn stop_by_hand(state: &mut State, at: usize) -> Option<()> {
        state.left.by_hand -= 1;
        let task = state.tasks.get_mut(at)?;
        (task.stopping, task.by_hand) = (true, true);
        task.stop_reason.get_or_insert("cancel: by hand");
        Some(())
    }
}

impl State {
    /// Whether a task ends for a cancel, or won before it: the two ends of a race that a search must have seen.
    pub(super) fn cancel_ends(&self, obeyed: bool) -> bool {
        self.jobs.first().and_then(|job| job.terminal.as_ref()).is_some_and(|terminal| {
            match &terminal.outcome {
                Outcome::Cancelled(cancelled) => obeyed && !cancelled.attempts.is_empty(),
                Outcome::Succeeded(_) => !obeyed && self.wanted > 0,
                Outcome::Dead(_) | Outcome::Superseded(_) => false,
            }
        })
    }

    /// Whether a person may stop a task.
    pub(super) fn stoppable(&self, at: usize) -> bool {
        let task = self.tasks.get(at);
        self.left.by_hand > 0
            && task.is_some_and(|task| !task.stopping && !matches!(task.phase, Phase::Ended(_)))
    }
}

fn cancels(control: &Control, job: &JobKey) -> bool {
    control.cancels.iter().any(|cancel| matches!(&cancel.what, Cancels::Job(named) if named == job))
}

/// The worlds that are searched, each within seconds: a cancel while a controller crashes, one of two controllers that
/// hear of it at different times, a pause, a stop by hand, and a bus that is away.
pub fn steered_worlds() -> Vec<Small> {
    let nothing = Bounds { waits: 1, ..Bounds::default() };
    let crash = Bounds { crashes: 1, ..nothing };
    let twice = Bounds { expired: 1, waits: 0, ..nothing };
    let told = |controllers, jobs: &[bool], bounds| {
        Small::new(controllers, jobs, bounds, WeakProtocol::None).with_bus()
    };
    vec![
        Small::steered(1, &[true], &[Want::Cancel], crash),
        Small::steered(1, &[true], &[Want::Cancel], Bounds { lost: 1, fails: 1, ..nothing }),
        Small::steered(2, &[true], &[Want::Cancel], twice),
        Small::steered(1, &[true], &[Want::Pause, Want::GoOn], crash),
        Small::steered(1, &[true], &[], Bounds { by_hand: 1, waits: 2, ..crash }),
        told(1, &[true], Bounds { away: 1, lost: 1, waits: 2, ..nothing }),
        told(1, &[false], Bounds { away: 2, waits: 2, ..crash }),
        told(2, &[false], Bounds { away: 1, ..twice }),
    ]
}
