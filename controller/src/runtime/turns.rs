//! The loop on a real clock: carries out the actions of [`transcode_core::reconciler`] and feeds their answers back as
//! facts.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use transcode_core::{
    absorb::change::Change,
    effects::{
        apply::carry_out,
        batch::batches,
        ports::{Bus, Cluster, Ports, Queue, Store},
    },
    message::Rules,
    plan::Plan,
    policy::Policy,
    protocol::{
        clock::{Ms, Now},
        fact::Fact,
    },
    reconciler::Reconciler,
    state::ledger::Ledger,
};

use super::calls::{Calls, Limits};

/// Most facts absorbed in one turn, so that a flood of facts cannot delay the planner.
const FACTS_PER_TURN: usize = 1000;

/// Longest time without a turn (ms), so that a health check can tell an idle loop from one that hangs.
const IDLE: Ms = 60_000;

/// Receives every turn; changes nothing.
pub trait Observer: Send + Sync + 'static {
    /// Called after each turn, with its plan and the changes. `reason` says why the turn was taken; it is for logs
    /// only. Returns when the observer needs the next turn at the latest (monotonic), even if nothing happens.
    fn turn(
        &self,
        reason: &'static str,
        turn: (&Plan, &[Change]),
        ledger: &Ledger,
        policy: &Policy,
        now: Now,
    ) -> Option<Ms>;

    /// Called once, when no turn follows.
    fn ended(&self, ledger: &Ledger, policy: &Policy, now: Now) {
        let _ = (ledger, policy, now);
    }
}

/// What holds from now on.
#[derive(Debug, Clone, Default)]
pub struct Reload {
    /// Policy and rules that replace those in force, as a whole; `None` keeps them. Jobs that were accepted before keep
    /// their specification.
    pub decisions: Option<(Policy, Rules)>,
    /// What people want, absorbed once policy and rules are replaced.
    pub steering: Vec<Fact>,
}

/// The inputs of the loop, beside the answers to its own calls.
#[derive(Debug)]
pub struct Inputs {
    /// Facts from the events queue.
    pub hints: mpsc::Receiver<Fact>,
    /// New settings, and what people want.
    pub reloads: mpsc::Receiver<Reload>,
}

/// The machine's clocks.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Instant);

/// Milliseconds since 1970 by the machine's clock.
pub fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Clock {
    /// Starts the clock.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The current time. Both values fit into 64 bits for the next 500 million years.
    pub fn now(&self) -> Now {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        // The clock starts at one hour, so that no subtraction from early times goes below zero.
        let mono = 3_600_000 + millis(self.0.elapsed());
        Now { mono, wall: wall_ms() }
    }

    fn until(&self, mono: u64) -> Duration {
        Duration::from_millis(mono.saturating_sub(self.now().mono))
    }
}

/// Runs until `stop`, then drains. Returns whether every call under way was answered.
pub async fn run<Q: Queue, C: Cluster, S: Store, B: Bus>(
    mut reconciler: Reconciler,
    ports: Ports<Q, C, S, B>,
    mut inputs: Inputs,
    observer: Arc<dyn Observer>,
    limits: Limits,
    stop: CancellationToken,
) -> bool {
    let (clock, ports) = (Clock::start(), Arc::new(ports));
    let make = |work| {
        let ports = Arc::clone(&ports);
        async move { carry_out(work, &ports).await }
    };
    let mut calls = Calls::new(make, limits);
    let (mut reason, mut facts, mut drain_by) = ("start", Vec::new(), None);
    loop {
        let now = clock.now();
        let (plan, told) = reconciler.turn(facts.drain(..), now);
        let watch_at = observer.turn(reason, (&plan, &told), &reconciler.ledger, reconciler.policy(), now);
        for work in batches(&plan.actions) {
            calls.start(work);
        }
        if drain_by.is_some_and(|by| calls.set.is_empty() || Instant::now() >= by) {
            observer.ended(&reconciler.ledger, reconciler.policy(), clock.now());
            return calls.set.is_empty();
        }
        let wake_at = [plan.wake_at, watch_at].into_iter().flatten().fold(now.mono + IDLE, Ms::min);
        let wake = clock.until(wake_at);
        reason = tokio::select! {
            Some(joined) = calls.set.join_next_with_id() => {
                facts.extend(calls.answer(joined));
                "answer"
            }
            Some(hint) = inputs.hints.recv() => {
                facts.push(hint);
                "hint"
            }
            Some(new) = inputs.reloads.recv() => {
                if let Some((policy, rules)) = new.decisions {
                    reconciler.reload(policy, rules);
                }
                facts.extend(new.steering);
                "reload"
            }
            () = stop.cancelled(), if drain_by.is_none() => {
                facts.push(Fact::DrainRequested);
                drain_by = Some(Instant::now() + limits.drain);
                "drain"
            }
            () = tokio::time::sleep(wake) => "deadline",
        };
        while facts.len() < FACTS_PER_TURN {
            if let Some(joined) = calls.set.try_join_next_with_id() {
                facts.extend(calls.answer(joined));
            } else if let Ok(hint) = inputs.hints.try_recv() {
                facts.push(hint);
            } else {
                break;
            }
        }
    }
}
