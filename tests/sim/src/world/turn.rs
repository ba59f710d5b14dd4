//! A controller's turn, and the checks of its calls.

use transcode_config::contract::Claim;
use transcode_core::{
    invariant,
    plan::{Plan, Scope, plan_of},
    protocol::{action::Action, clock::Ms, fact::MessageId},
    state::{in_flight::InFlight, limiter::CallKind},
};

use super::{EPOCH, World, slots::history};
use crate::{invariants, newcomers::Newcomers, setup::MINUTE};

impl World {
    /// A controller absorbs the facts that have arrived, and plans.
    pub(super) fn plan(&mut self, index: usize) {
        self.hears_what_is_wanted(index);
        let Some(host) = self.hosts.get(index) else { return };
        let now = self.host_now(host);
        let sampled = self.rng.below(16) == 0;
        let Some(host) = self.hosts.get_mut(index) else { return };
        if host.paused {
            return;
        }
        let Some(core) = &mut host.core else { return };
        let mut facts = std::mem::take(&mut host.inbox);
        for fact in &facts {
            host.witness.hears(fact, &core.ledger, core.policy());
            host.patience.hears(fact, &core.ledger, now.mono);
            host.refusals.hears(fact, &core.ledger, now.mono);
            host.meter.hears(fact, core.policy(), now.mono);
        }
        let history = history(&facts, &core.ledger);
        let thorough = self.compared.then(|| {
            let mut core = core.clone();
            core.ledger.requeue_all();
            core.turn(facts.clone(), now).0
        });
        host.newcomers.wait(&core.ledger);
        let waiting = Newcomers::waiting(&core.ledger);
        let (planned, changes) = core.turn(facts.drain(..), now);
        host.inbox = facts;
        host.witness.sees(&planned.actions);
        let boot = host.boot;
        let again = if sampled && !planned.actions.is_empty() {
            plan_of(Scope::Due, core.policy(), &core.ledger, now).actions
        } else {
            Vec::new()
        };
        let seen = invariant::of_plan(&planned.actions, core.policy(), &core.ledger);
        let claims = planned.actions.iter().filter(|action| matches!(action, Action::Claim { .. })).count();
        let counted = (self.compared || (sampled && claims > 0))
            .then(|| InFlight::of(&core.ledger.jobs, &core.ledger.tasks, core.policy(), now));
        let found = invariants::looks_at_enough(&planned, thorough.as_ref())
            .and_then(|()| invariants::in_flight_is_right(&core.ledger.in_flight, counted.as_ref()))
            .and_then(|()| invariants::plans_once(&planned.actions, &again))
            .and_then(|()| {
                invariants::limit_is_kept(claims > 0, core.ledger.in_flight.usage(), core.policy())
            })
            .and_then(|()| invariants::nothing_is_seen(seen.first()));
        let found = found
            .and(host.told.hears(&changes, &core.ledger))
            .and(host.newcomers.passed(&planned.actions, &waiting, &core.ledger))
            .and(invariants::l9_limits_are_kept(&planned.actions, &core.ledger))
            .and(host.witness.claims(claims, now.mono, core.policy()))
            .and(invariants::rests_on_a_fresh_reading(&planned.actions, &core.ledger, now.mono))
            .and(invariants::s7_planned_in_time(&planned.actions, now.wall))
            .and(invariants::earlier_was_looked_for(&planned.actions, &core.ledger))
            .and(invariants::l5_one_uploader_stops_nobody(self.setup.ordinary, &core.ledger, core.policy()))
            .and(invariants::nothing_is_held_in_vain(&planned.actions, &core.ledger))
            .and(host.patience.allows(&planned.actions, &core.ledger, core.policy(), now.mono))
            .and(host.refusals.allows(&planned, &core.ledger, core.policy(), now.mono))
            .and(invariants::kept_while_it_is_settled(
                &planned.actions,
                &core.ledger,
                core.policy(),
                now.mono,
            ))
            .and(invariants::steps_are_in_sight(&planned, &core.ledger))
            .and(invariants::history_takes_no_slot(&history, &core.ledger));
        let found = planned.actions.iter().fold(found, |found, action| {
            found.and(kind(action).map_or(Ok(()), |kind| host.meter.counts(kind, core.policy(), now.mono)))
        });
        self.check(found);
        self.check_steering(index, &planned.actions);
        self.make_calls(index, boot, planned, now.mono);
    }

    /// Begins the calls of a plan, and sets the time of the next turn.
    fn make_calls(&mut self, index: usize, boot: u32, planned: Plan, now: Ms) {
        if self.trace.kept() {
            let notes: Vec<_> = planned.jobs.iter().filter_map(|visit| visit.note.as_ref()).collect();
            self.trace.value(
                self.now,
                format_args!("c{index} wakes {:?} at {}", planned.wake_at, now),
                &notes,
            );
        }
        let wake = planned.wake_at.map(|at| at.saturating_sub(now).max(1));
        self.count_calls(index, 1 + planned.actions.len() as u64, now);
        for action in planned.actions {
            self.trace.value(self.now, format_args!("c{index} ->"), &action);
            self.call(index, boot, action);
        }
        if let Some(delay) = wake {
            // A controller that is slow with its log is slow with everything.
            let late = self.rng.below(self.setup.slack);
            self.plan_by(index, delay + late);
        }
    }

    /// Counts turns and calls: no busy loop, whatever the answers are (L6).
    fn count_calls(&mut self, index: usize, calls: u64, now: Ms) {
        let things = (self.jobs.len() + self.messages.len() + self.tasks.len()) as u64;
        let Some(host) = self.hosts.get_mut(index) else { return };
        if host.minute != now / MINUTE {
            host.minute = now / MINUTE;
            host.calls = 0;
        }
        host.calls += calls;
        let used = host.calls;
        self.check(invariants::l6_within_budget("turns and calls in a minute", used, 1000 + 80 * things));
    }

    /// Row 9: the controller that holds a message knows its age, so that it is reported before its retention ends.
    pub(super) fn check_age(&mut self, index: usize, message: &MessageId) {
        if !self.setup.old {
            return;
        }
        self.reached.reach(9);
        let core = self.hosts.get(index).and_then(|host| host.core.as_ref());
        let lease = core.and_then(|core| core.ledger.leases.get(message));
        let found = lease.map_or(Ok(()), |lease| invariants::age_is_known(message, lease.sent_at_ms, EPOCH));
        self.check(found);
    }

    /// Spot must pause after it had no capacity.
    pub(super) fn check_spot(&mut self, index: usize, claim: &Claim) {
        let now = self.now;
        let Some(host) = self.hosts.get(index) else { return };
        let rests = now - host.booted_at < host.spot_rests_until;
        self.check(invariants::spot_is_rested(claim, rests));
    }
}

fn kind(action: &Action) -> Option<CallKind> {
    match action {
        Action::Launch { .. } => Some(CallKind::Launch),
        Action::Stop { .. } => Some(CallKind::Stop),
        Action::Describe { .. } | Action::Resync => Some(CallKind::Read),
        _ => None,
    }
}
