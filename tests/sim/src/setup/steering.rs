//! What people want in a seed: the revisions of the control document, and tasks that they stop by hand.

use std::sync::Arc;

use transcode_config::contract::{Cancel, Cancels, Control, JobKey, Told};
use transcode_core::{
    message::{Parsed, Request, parse},
    protocol::clock::Ms,
};

use super::Setup;
use crate::{rng::Rng, world::EPOCH};

/// A revision of the control document, and when it is written.
pub type Revision = (Ms, Arc<Control>);

/// By whom, why, and when something is wanted.
fn told(at: Ms) -> Told {
    Told { who: "ann".into(), why: format!("at {at}"), at_ms: EPOCH + at }
}

/// Appends a revision that differs by `change` from the one before.
pub(super) fn revise(steering: &mut Vec<Revision>, at: Ms, change: impl FnOnce(&mut Control, Told)) {
    let mut control = steering.last().map(|(_, control)| (**control).clone()).unwrap_or_default();
    control.revision += 1;
    control.last = Some(told(at));
    change(&mut control, told(at));
    steering.push((at, Arc::new(control)));
}

/// Nothing is paused or drained any more.
pub(super) fn goes_on(control: &mut Control) {
    (control.paused, control.drained) = (None, None);
    control.paused_queues.clear();
    control.paused_tenants.clear();
}

/// A cancel.
pub(super) fn cancel(control: &mut Control, what: Cancels, told: Told) {
    control.cancels.push(Cancel { what, told });
}

impl Setup {
    /// The jobs that the messages ask for, in their order.
    pub(super) fn asked_jobs(&self) -> Vec<JobKey> {
        let parsed = self.uploads.iter().map(|upload| parse(&upload.body, &self.rules, EPOCH));
        let requests = parsed.filter_map(|parsed| match parsed {
            Parsed::Jobs(requests, _) => Some(requests),
            Parsed::Ignore(_) | Parsed::Park(_) => None,
        });
        let run = |request: &Request| matches!(request, Request::Run(_));
        requests.flatten().filter(run).map(|request| request.job().clone()).collect()
    }

    /// Draws some revisions, the last of which lets everything go on before faults stop, and stops by hand.
    pub(super) fn draw_steering(&mut self, rng: &mut Rng) {
        let jobs = self.asked_jobs();
        let mut times: Vec<Ms> = (0..rng.between(1, 16)).map(|_| rng.below(self.heal_at - 1)).collect();
        times.sort_unstable();
        for at in times {
            let (kind, tenants) = (rng.below(9), self.policy.look_ahead.is_some());
            let job = usize::try_from(rng.below(jobs.len().max(1) as u64)).ok().and_then(|it| jobs.get(it));
            let queues: Vec<String> = self.policy.queues.keys().cloned().collect();
            let queue = rng.pick(&[0, 1], 0);
            revise(&mut self.steering, at, |control, told| match kind {
                0 => control.paused = control.paused.take().xor(Some(told)),
                1 => control.drained = control.drained.take().xor(Some(told)),
                2 => drop(queues.get(queue).map(|it| control.paused_queues.insert(it.clone(), told))),
                3 if tenants => drop(control.paused_tenants.insert("uploads/a/".into(), told)),
                4 if tenants => cancel(control, Cancels::Tenant("uploads/b/".into()), told),
                5 => cancel(control, Cancels::Prefix { bucket: "uploads".into(), prefix: "1".into() }, told),
                6 => goes_on(control),
                _ => drop(job.map(|job| cancel(control, Cancels::Job(job.clone()), told))),
            });
        }
        revise(&mut self.steering, self.heal_at - 1, |control, _| goes_on(control));
        while rng.chance(0.5) {
            self.stops_by_hand.push(rng.below(self.heal_at));
        }
        // The age of messages is their own. Each pause and drain costs receives: SQS itself gives none up.
        self.old = false;
        self.max_receives = 0;
    }
}
