//! The loop: wake → absorb → plan → begin → apply.
//!
//! It has no inputs but facts and no memory but the ledger. A hundred events on one job cost one decision, because
//! everything that has arrived is absorbed before anything is planned. Why it woke is logged and never branched on.
//! A restart is the ordinary path: an empty ledger plans to look first.
//!
//! [`Reconciler::turn`] is the whole of it without input or output; the simulator drives it with its own world and its
//! own clock, [`crate::runtime`] with AWS and the machine's.

use crate::{
    absorb::{change::Change, standing::Standing},
    invariant,
    message::Rules,
    plan::{Plan, Scope, plan_of},
    policy::Policy,
    protocol::{
        clock::{Ms, Now},
        fact::Fact,
    },
    state::ledger::Ledger,
};

/// Ledger and policy.
#[derive(Debug, Clone)]
pub struct Reconciler {
    policy: Policy,
    /// What is known.
    pub ledger: Ledger,
    last_turn: Ms,
    standing: Standing,
}

impl Reconciler {
    /// A controller that has seen nothing yet. `instance` must differ between any two processes.
    pub fn new(instance: impl Into<String>, policy: Policy, rules: Rules) -> Self {
        Self { policy, ledger: Ledger::new(instance, rules), last_turn: 0, standing: Standing::default() }
    }

    /// The numbers in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The numbers in force, to be changed.
    pub fn policy_mut(&mut self) -> &mut Policy {
        self.ledger.requeue_all();
        &mut self.policy
    }

    /// New numbers and rules, as a whole. Everything is looked at anew; jobs that were accepted run as they were accepted.
    pub fn reload(&mut self, policy: Policy, rules: Rules) {
        *self.policy_mut() = policy;
        self.ledger.rules = rules;
        self.ledger.attribute_anew(self.last_turn);
    }

    /// One turn: takes the facts in, plans, and notes the planned calls as begun. Returns the plan and what has changed.
    /// The caller carries the actions out, brings their answers to a later turn, and comes back not later than `wake_at`.
    ///
    /// No two turns share a moment: a call that began in an earlier turn than a fact was absorbed in counts as older
    /// than it, however coarse the clock is. A reading of the terminal record must be newer than the end it is held against.
    pub fn turn(&mut self, facts: impl IntoIterator<Item = Fact>, now: Now) -> (Plan, Vec<Change>) {
        let now = Now { mono: now.mono.max(self.last_turn + 1), ..now };
        self.last_turn = now.mono;
        let mut told = Vec::new();
        for fact in facts {
            let broken = invariant::of_fact(&fact, &self.ledger);
            told.extend(broken.map(|violation| Change::PromiseBroken { violation }));
            told.extend(self.ledger.absorb(fact, &self.policy, now));
        }
        self.ledger.drop_lapsed(now.mono, &mut told);
        self.ledger.spread_news();
        self.ledger.sweep(&self.policy, now);
        self.ledger.count(&self.policy, now);
        let mut plan = plan_of(Scope::Due, &self.policy, &self.ledger, now);
        let broken = invariant::of_plan(&plan.actions, &self.ledger);
        told.extend(broken.into_iter().map(|violation| Change::PromiseBroken { violation }));
        self.note_visits(&mut plan, now);
        for action in &plan.actions {
            self.ledger.begin(action, &self.policy, now);
        }
        self.ledger.requeue_tasks();
        if self.ledger.put_back_excess(&self.policy, now) {
            plan.wake_by(Some(now.mono), now);
        }
        self.ledger.settle_tenants(&self.policy, now);
        plan.wake_by(self.ledger.next_at(now), now);
        plan.wake_by(self.standing.update(&self.ledger, &self.policy, now, &mut told), now);
        (plan, told)
    }

    /// Notes what the visits of a turn say, before its calls begin. The breaker learns here how attempts ended: the
    /// planner has judged them.
    fn note_visits(&mut self, plan: &mut Plan, now: Now) {
        for (message, requeue) in plan.leases.drain(..) {
            self.ledger.leases.requeue(&message, requeue, None);
        }
        self.ledger.held = plan.held.take();
        for visit in &plan.jobs {
            let Some(job) = self.ledger.jobs.requeue(&visit.job, visit.requeue, visit.rank) else { continue };
            job.note.clone_from(&visit.note);
            self.ledger.tenants.changed(job.tenant);
            if let (Some(over), Some(attempt)) = (visit.over, &mut job.attempt) {
                attempt.told = true;
                if let Some(stage) = over.stage {
                    self.ledger.breaker.failed(stage, &visit.job, &self.policy, now.mono);
                }
            }
        }
    }
}
