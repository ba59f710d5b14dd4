//! The loop: wake → absorb → plan → begin → apply.
//!
//! Its only input is facts and its only memory is the ledger. A hundred events on one job cost one decision, because
//! all facts that have arrived are absorbed before anything is planned. The reason for a wake-up is logged and never
//! branched on. A restart is an ordinary case: with an empty ledger, the first plan reads SQS, ECS and S3.
//!
//! [`Reconciler::turn`] is a whole turn without input or output. The simulator calls it with its own world and its own
//! clock; the controller's `runtime/turns.rs` calls it with AWS and the machine's clocks.
//!
//! [`Reconciler::turn`]: crate::reconciler::Reconciler::turn

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
    state::{failing::Failing, ledger::Ledger},
};

/// Ledger and policy.
#[derive(Debug, Clone)]
pub struct Reconciler {
    policy: Policy,
    /// The known state.
    pub ledger: Ledger,
    last_turn: Ms,
    standing: Standing,
}

impl Reconciler {
    /// Returns a reconciler with an empty ledger. `instance` must differ between any two processes.
    pub fn new(instance: impl Into<String>, policy: Policy, rules: Rules) -> Self {
        Self { policy, ledger: Ledger::new(instance, rules), last_turn: 0, standing: Standing::default() }
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The policy in force, mutable.
    pub fn policy_mut(&mut self) -> &mut Policy {
        self.ledger.requeue_all();
        &mut self.policy
    }

    /// Replaces policy and rules as a whole, and visits every row in the next turn. A job that was accepted before runs
    /// with the specification that was accepted.
    pub fn reload(&mut self, policy: Policy, rules: Rules) {
        *self.policy_mut() = policy;
        self.ledger.rules = rules;
        self.ledger.attribute_anew(self.last_turn);
        // The person who changed the settings may also have removed the cause of refusals.
        self.ledger.try_again(Failing::lasts);
    }

    /// One turn: absorbs the facts, plans, and notes the planned calls as begun. Returns the plan and the changes. The
    /// caller carries the actions out, passes their answers to a later turn, and calls again at `wake_at` at the
    /// latest.
    ///
    /// No two turns share a millisecond, however coarse the clock is. Therefore a call that began in an earlier turn
    /// counts as older than a fact absorbed in this one: the terminal record must be read after the end of the attempt
    /// that it is compared with.
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
        // A tenant that came below its limit by a fact of this turn competes in this turn already: level with the others.
        self.ledger.settle_tenants(&self.policy, now);
        let mut plan = plan_of(Scope::Due, &self.policy, &self.ledger, now);
        let broken = invariant::of_plan(&plan.actions, &self.policy, &self.ledger);
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

    /// Copies the notes of the visited jobs into the ledger, before the calls of the turn begin. Reports the ends of
    /// attempts to the breaker: the planner has judged them.
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
