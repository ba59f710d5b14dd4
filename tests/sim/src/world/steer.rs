//! What people want reaches the controllers: by the control document, which each of them reads when it can, and by tasks
//! that are stopped by hand.

use std::sync::Arc;

use transcode_config::contract::Control;
use transcode_core::protocol::{action::Action, clock::Ms, fact::Fact, steering::Steering};

use super::{EPOCH, World, event::Event};
use crate::{
    invariants,
    rng::{Rng, mix},
    setup::{Episode, MINUTE, SECOND},
    truth::JobTruth,
};

/// Time between two readings of the control document.
const POLL: Ms = 5 * SECOND;

/// A controller that cannot read the document begins without after this time.
const WAIT: Ms = 5 * MINUTE;

impl World {
    pub(super) fn begin_steering(&mut self) {
        let times: Vec<Ms> = self.setup.steering.iter().map(|(at, _)| *at).collect();
        times.into_iter().enumerate().for_each(|(index, at)| self.at(at, Event::Wanted(index)));
        let stops = self.setup.stops_by_hand.clone();
        for at in stops {
            self.at(at, Event::StopByHand);
        }
    }

    /// A time within `most`, without a number from the seed's own: what people want changes no other draw.
    fn within(&self, most: Ms, salt: u64) -> Ms {
        Rng::new(mix(&[self.setup.seed, 12, self.now, salt])).below(most)
    }

    /// A revision of the control document is written.
    pub(super) fn wanted(&mut self, index: usize) {
        self.revision = Some(index);
        for host in 0..self.hosts.len() {
            let up = self.hosts.get(host).filter(|host| host.core.is_some()).map(|host| host.boot);
            if let Some(boot) = up {
                self.after(self.within(POLL, host as u64), Event::Reads(host, boot));
            }
        }
    }

    /// The control document of now.
    fn control(&self) -> Arc<Control> {
        let there = self.revision.and_then(|index| self.setup.steering.get(index));
        there.map(|(_, control)| Arc::clone(control)).unwrap_or_default()
    }

    /// A controller reads the control document.
    pub(super) fn reads_control(&mut self, index: usize, boot: u32) {
        let Some(host) = self.hosts.get(index).filter(|host| host.boot == boot && host.core.is_some()) else {
            return;
        };
        let (knows, since) = (host.heard.is_some(), host.booted_at);
        let readable = !self.during(Episode::StateDenied) && !self.during(Episode::BrownOut);
        let fact = if readable {
            Fact::Steered(Box::new(Steering::from(&*self.control())))
        } else if !knows && self.now >= since + WAIT {
            Fact::Steered(Box::default())
        } else {
            Fact::SteeringRefused { error: "Access Denied".into() }
        };
        if !readable {
            self.after(MINUTE, Event::Reads(index, boot));
        }
        self.deliver(index, boot, vec![fact]);
    }

    /// A person stops a task that runs, with the documented reason.
    pub(super) fn stop_by_hand(&mut self) {
        let running = |index: &usize| {
            let task = self.tasks.get(*index);
            task.is_some_and(|it| it.job.is_some() && it.alive() && !it.view.ended() && !it.view.stopping)
        };
        let running: Vec<usize> = (0..self.tasks.len()).filter(running).collect();
        let chosen = usize::try_from(self.within(running.len().max(1) as Ms, 99)).unwrap_or(0);
        let Some(index) = running.get(chosen).copied() else { return };
        if let Some(task) = self.tasks.get_mut(index) {
            (task.told_to_stop, task.stopped_by_hand) = (true, true);
        }
        self.change(index, |view| {
            view.stopping = true;
            view.stop_code = Some("UserInitiated".into());
            view.stopped_reason = Some("cancel: by hand".into());
        });
        self.terminate(index);
    }

    /// Whether somebody has wanted so far that a job is cancelled.
    pub(super) fn cancel_was_asked(&self, job: &JobTruth) -> bool {
        let written = self.revision.map_or(0, |index| index + 1);
        let revisions = self.setup.steering.iter().take(written);
        let by_hand = |task: &usize| self.tasks.get(*task).is_some_and(|task| task.stopped_by_hand);
        revisions.into_iter().any(|(_, control)| invariants::names(control, job, EPOCH + job.sent_at))
            || job.tasks.iter().any(by_hand)
    }

    /// Checks planned actions against what their controller has heard that people want.
    pub(super) fn check_steering(&mut self, index: usize, actions: &[Action]) {
        if self.setup.steering.is_empty() {
            return;
        }
        let Some(host) = self.hosts.get(index) else { return };
        let Some(core) = &host.core else { return };
        let heard = host.heard.clone();
        let truth = |key: &_| self.by_key.get(key).and_then(|index| self.jobs.get(*index));
        let found = actions.iter().try_for_each(|action| {
            invariants::s19_steered(action, heard.as_deref(), &core.ledger, |key| {
                truth(key).filter(|job| {
                    let heard = heard.as_deref();
                    heard.is_some_and(|it| invariants::names(it, job, EPOCH + job.last_sent_at))
                })
            })
        });
        self.check(found);
    }

    /// Notes which document a controller goes by once it has absorbed the facts that have arrived.
    pub(super) fn hears_what_is_wanted(&mut self, index: usize) {
        let Some(host) = self.hosts.get_mut(index).filter(|host| !host.paused) else { return };
        let revision = host.inbox.iter().rev().find_map(|fact| match fact {
            Fact::Steered(steering) => Some(steering.revision),
            _ => None,
        });
        let Some(revision) = revision else { return };
        let index = usize::try_from(revision).ok().and_then(|revision| revision.checked_sub(1));
        let there = index.and_then(|index| self.setup.steering.get(index));
        host.heard = Some(there.map(|(_, control)| Arc::clone(control)).unwrap_or_default());
    }
}
