//! Small worlds of tenants (L9): which messages are sent, and when.

use serde_json::json;
use transcode_core::protocol::action::Action;

use super::{
    small::Small,
    state::{Bounds, Phase, State, WeakProtocol},
};
use crate::setup;

/// The tenants of a small world. The first part of a key names the tenant; one rule with a capture is for all.
#[derive(Debug, Clone, Copy)]
pub struct Fair<'a> {
    /// The key of each upload.
    pub keys: &'a [&'a str],
    /// Uploads that are there from the begin; the others arrive at any time.
    pub there: usize,
    /// Free slots.
    pub slots: usize,
    /// Most tasks of each tenant; 0 sets no limit.
    pub max_tasks: u32,
    /// Jobs that may wait for a slot.
    pub look_ahead: usize,
}

impl Small {
    /// A world of tenants.
    pub fn of_tenants(controllers: usize, fair: Fair<'_>, bounds: Bounds) -> Self {
        let mut world = Self::new(controllers, &[], bounds, WeakProtocol::None);
        let mut rule = setup::tenant_rule("{id}");
        rule.max_tasks = fair.max_tasks;
        world.rules.sources.iter_mut().for_each(|source| source.tenants = vec![rule.clone()]);
        world.policy.max_tasks = fair.slots;
        world.policy.look_ahead = Some(fair.look_ahead);
        world.policy.max_leases = fair.keys.len() + 1;
        world
            .ask(fair.keys.iter().map(|key| json!({ "Records": [setup::keyed(key)] }).to_string()).collect());
        world.there = fair.there;
        world
    }

    /// Whether a call is answered at once. With tenants, what matters is when uploads arrive, and when slots are taken
    /// and become free; the worlds without tenants have the calls of settling in every order.
    pub(super) fn settled_at_once(&self, action: &Action) -> bool {
        let settles = matches!(
            action,
            Action::Inspect { .. } | Action::ReadSpec { .. } | Action::Publish { .. } | Action::Delete { .. }
        );
        // Only with a bus does the order of listing and telling matter.
        let tells = matches!(action, Action::Index { .. } | Action::Announce { .. });
        settles && self.policy.look_ahead.is_some() || tells && self.policy.announcing.is_none()
    }

    /// Whether the tenant of a job has no more tasks than it may, in truth. A controller that has died knew of claims
    /// that its successor has not read yet, and two controllers do not know of each other's, so the true number is
    /// bounded only by a single controller that lives.
    pub(super) fn tenant_keeps_its_limit(&self, state: &State, job: usize) -> bool {
        let single = self.controllers == 1 && self.bounds.crashes == 0;
        let tenant = |job: usize| self.rules.tenant_of(self.requests.get(job)?);
        let Some(of) = tenant(job).filter(|_| single) else { return true };
        let lives = state.tasks.iter().filter(|task| !matches!(task.phase, Phase::Ended(_)));
        lives.filter(|task| tenant(task.job).is_some_and(|it| it.name == of.name)).count()
            <= of.terms.max_tasks
    }
}

/// The worlds of tenants that are searched: a flood and a newcomer, a limit, a crash, and more uploads than may wait.
pub fn fair_worlds() -> [(usize, Fair<'static>, Bounds); 4] {
    let flood: &[&str] = &["a/0.mp4", "a/1.mp4", "a/2.mp4", "b/0.mp4"];
    let fair = Fair { keys: flood, there: 3, slots: 1, max_tasks: 0, look_ahead: 8 };
    let limited = Fair { keys: &["a/0.mp4", "a/1.mp4", "b/0.mp4"], there: 2, slots: 2, max_tasks: 1, ..fair };
    let few = Fair { keys: &["a/0.mp4", "b/0.mp4"], there: 1, ..fair };
    // One for each task: time passes until it is described.
    let nothing = Bounds { waits: 4, ..Bounds::default() };
    [
        (1, fair, nothing),
        (1, limited, Bounds { waits: 2, ..nothing }),
        (1, few, Bounds { crashes: 1, waits: 1, ..nothing }),
        (1, Fair { look_ahead: 2, ..fair }, nothing),
    ]
}
