//! A small world: its controllers, its messages and its possible faults.

use std::sync::Arc;

use transcode_config::contract::{Control, JobKey, JobSpec};
use transcode_core::{
    message::{Parsed, Request, Rules, parse},
    policy::Policy,
    protocol::clock::Ms,
    reconciler::Reconciler,
};

use super::{
    state::{Bounds, Controller, SmallMessage, WeakProtocol},
    tenancy::Tenancy,
};
use crate::setup::{MINUTE, SECOND, Setup};

/// Longer than any wait in these worlds.
pub(super) const NEVER: Ms = 1 << 36;

/// Difference of the wall clock and the monotonic clock.
pub(super) const AHEAD: Ms = 1_700_000_000_000;

/// The model.
#[derive(Debug, Clone)]
pub struct Small {
    /// Number of controllers.
    pub controllers: usize,
    /// Most faults of each kind.
    pub bounds: Bounds,
    /// The weakness of the protocol.
    pub weakness: WeakProtocol,
    pub(super) policy: Policy,
    pub(super) bodies: Vec<String>,
    pub(super) rules: Rules,
    /// The job of each message.
    pub(super) requests: Vec<Request>,
    /// Messages that are there from the begin; the others arrive at any time.
    pub(super) there: usize,
    /// The control document before and after each change; empty if nobody steers.
    pub(super) documents: Vec<Arc<Control>>,
}

impl Small {
    /// A world with one message for each of `jobs`: an upload that can be transcoded (`true`), or one that is refused.
    pub fn new(controllers: usize, jobs: &[bool], bounds: Bounds, weakness: WeakProtocol) -> Self {
        let Setup { mut policy, rules, uploads, .. } = Setup::plain();
        policy.max_tasks = 1;
        policy.launch_deadline = MINUTE;
        policy.heartbeat_stale = MINUTE;
        (policy.retry_base, policy.retry_cap) = (SECOND, SECOND);
        // Longer than the launch deadline: one delayed launch is enough to miss the deadline.
        (policy.call_retry_base, policy.call_retry_cap) = (2 * MINUTE, 2 * MINUTE);
        policy.refused_retry_cap = policy.call_retry_cap;
        policy.launch_burst = 100;
        policy.cooldown = SECOND;
        // Periodic calls would only multiply states.
        policy.resync_every = NEVER;
        policy.describe_every = NEVER;
        policy.visibility = NEVER;
        policy.lease_margin = NEVER / 2;
        policy.orphan_grace = 2 * NEVER;
        // Rates and progress are not part of the protocol.
        (policy.stop_interval, policy.read_interval, policy.no_progress) = (1, 1, NEVER);
        let (bad, good): (Vec<_>, Vec<_>) = uploads.into_iter().map(|upload| upload.body).partition(|body| {
            matches!(parse(body, &rules, 0), Parsed::Jobs(requests, _)
                if requests.iter().any(|it| matches!(it, Request::Refuse { .. })))
        });
        let bodies: Vec<String> = jobs
            .iter()
            .enumerate()
            .filter_map(|(at, runs)| if *runs { good.get(at) } else { bad.first() }.cloned())
            .collect();
        let there = bodies.len();
        let mut world = Self {
            controllers,
            bounds,
            weakness,
            policy,
            bodies: Vec::new(),
            rules,
            requests: Vec::new(),
            there,
            documents: Vec::new(),
        };
        world.ask(bodies);
        world
    }

    /// Replaces the messages by one for each body.
    pub(super) fn ask(&mut self, bodies: Vec<String>) {
        let requests = bodies.iter().filter_map(|body| match parse(body, &self.rules, 0) {
            Parsed::Jobs(requests, _) => requests.into_iter().next(),
            Parsed::Ignore(_) | Parsed::Park(_) => None,
        });
        self.requests = requests.collect();
        self.bodies = bodies;
    }

    pub(super) fn messages(&self) -> Vec<SmallMessage> {
        let message =
            |at| SmallMessage { visible: at < self.there, put_back: false, deleted: false, receipt: 0 };
        (0..self.bodies.len()).map(message).collect()
    }

    /// The index of a job.
    pub(super) fn job(&self, key: &JobKey) -> usize {
        self.requests.iter().position(|known| known.job() == key).unwrap_or(usize::MAX)
    }

    /// The specification of a job.
    pub(super) fn spec(&self, key: &JobKey) -> Option<Box<JobSpec>> {
        match self.requests.get(self.job(key))? {
            Request::Run(spec) => Some(Box::new((**spec).clone())),
            Request::Refuse { .. } => None,
        }
    }

    pub(super) fn process(&self, index: usize, boot: u8) -> Controller {
        let mut core = Reconciler::new(format!("c{index}-{boot}"), self.policy.clone(), self.rules.clone());
        core.ledger.unsteered = self.is_steered();
        Controller {
            core,
            tenancy: Tenancy::default(),
            boot,
            heard: None,
            wake: None,
            calls: Vec::new(),
            answers: Vec::new(),
        }
    }
}
