//! The steps of a small world.

use std::sync::Arc;

use stateright::{Model, Property};
use transcode_core::{
    effects::apply::gave_up,
    protocol::{
        action::Action,
        clock::Now,
        fact::{Fact, Pinned},
        task_view::TaskArn,
        via::Via,
    },
};

use super::{
    answers::{ENCODE_FAILED, STOPPED, index, version, view},
    small::{AHEAD, NEVER, Small},
    state::{Controller, Phase, SmallJob, State, Step},
};
use crate::setup::MINUTE;

impl Small {
    /// A controller absorbs facts and begins its calls. Calls whose order changes nothing are answered at once.
    fn turn(&self, state: &mut State, index: usize, mut facts: Vec<Fact>) {
        loop {
            state.now += 1;
            let now = Now { mono: state.now, wall: state.now + AHEAD };
            let Some(controller) = state.controllers.get_mut(index) else { return };
            let controller = Arc::make_mut(controller);
            let (plan, broken) =
                controller.tenancy.turn(&mut controller.core, std::mem::take(&mut facts), now);
            controller.wake = plan.wake_at.filter(|at| *at < NEVER / 2);
            state.broken = state.broken.or(broken).or(self.against_wishes(controller.heard, &plan.actions));
            let mut at_once = Vec::new();
            for action in plan.actions {
                match action {
                    Action::Resync => {
                        facts.extend(
                            state.tasks.iter().enumerate().map(|(at, task)| Fact::TaskListed(view(at, task))),
                        );
                        facts.push(Fact::Resynced { complete: true });
                    }
                    // Beacons are hints; without an answer there are none, and documents are read as often.
                    Action::Survey => {}
                    Action::Resolve => {
                        let task_definition = "arn:definition:1".into();
                        facts.push(Fact::Resolved(Pinned { task_definition, image_digest: None }));
                    }
                    Action::Extend { lease, for_ms } => {
                        facts.push(Fact::Extended { message: lease.message, for_ms });
                    }
                    Action::Resend { .. } => facts.push(Fact::Resent { sent: 0, kept: None, next: None }),
                    Action::Collect { job, .. } => facts.push(Fact::Collected { job }),
                    other if self.settled_at_once(&other) => at_once.push(other),
                    other => controller.calls.push(Arc::new(other)),
                }
            }
            facts.extend(at_once.iter().flat_map(|action| self.carry_out(state, Some(index), action)));
            if facts.is_empty() {
                return;
            }
        }
    }

    fn take(state: &mut State, host: usize, call: usize) -> Option<Arc<Action>> {
        let controller = Arc::make_mut(state.controllers.get_mut(host)?);
        (call < controller.calls.len()).then(|| controller.calls.remove(call))
    }

    /// A step between a controller and a service.
    fn called(&self, state: &mut State, host: usize, call: usize, step: Step) -> Option<()> {
        let action = Self::take(state, host, call)?;
        let mut facts = gave_up(&action, 0);
        match step {
            Step::Lose(..) => {
                state.left.lost -= 1;
                let _ = self.carry_out(state, Some(host), &action);
            }
            Step::Delay(..) => {
                state.left.delayed -= 1;
                state.wire.push(action);
            }
            Step::Refuse(..) => {
                state.left.refused -= 1;
                if let Action::Launch { claim } = &*action {
                    facts = self.refuse(state, claim);
                }
            }
            Step::Unseen(..) => {
                state.left.unseen -= 1;
                if let Action::Describe { tasks } = &*action {
                    facts = tasks.iter().cloned().map(Fact::TaskMissing).collect();
                }
            }
            Step::Away(..) => state.left.away -= 1,
            Step::CarryOut(..) => {
                state.left.slow -= 1;
                facts = self.carry_out(state, Some(host), &action);
                Arc::make_mut(state.controllers.get_mut(host)?).answers.push(facts);
                return Some(());
            }
            _ => facts = self.carry_out(state, Some(host), &action),
        }
        self.turn(state, host, facts);
        Some(())
    }

    fn crash(&self, state: &mut State, host: usize) -> Option<()> {
        state.left.crashes -= 1;
        let boot = state.controllers.get(host)?.boot + 1;
        let old = std::mem::replace(state.controllers.get_mut(host)?, Arc::new(self.process(host, boot)));
        state.wire.extend(old.calls.iter().filter(|action| delayable(action)).cloned());
        self.turn(state, host, Vec::new());
        Some(())
    }

    /// A step of a task.
    fn tasks_step(&self, state: &mut State, step: Step) -> Option<()> {
        match step {
            Step::Beat(at) => state.tasks.get_mut(at)?.phase = Phase::Looking,
            Step::Begin(at) => self.begin(state, at),
            Step::Succeed(at) => self.succeed(state, at),
            Step::Fail(at) => {
                state.left.fails -= 1;
                state.tasks.get_mut(at)?.phase = Phase::Ended(ENCODE_FAILED);
            }
            Step::Stop(at) => state.tasks.get_mut(at)?.phase = Phase::Ended(STOPPED),
            Step::ByHand(at) => Self::stop_by_hand(state, at)?,
            Step::Want => state.wanted += 1,
            Step::Hear(host) => {
                let heard = self.hear(state, host)?;
                self.turn(state, host, vec![heard]);
            }
            _ => return None,
        }
        Some(())
    }
}

/// Whether a late arrival of the request changes anything.
fn delayable(action: &Action) -> bool {
    matches!(
        action,
        Action::Claim { .. }
            | Action::Launch { .. }
            | Action::GiveUp { .. }
            | Action::Delete { .. }
            | Action::Stop { .. }
    )
}

/// Whether an event is sent to the bus.
fn to_the_bus(action: &Action) -> bool {
    matches!(action, Action::Announce { via: Via::Bus(_), .. })
}

/// Whether a late answer may be outdated.
fn reads(action: &Action) -> bool {
    matches!(
        action,
        Action::Inspect { .. } | Action::Describe { .. } | Action::Claim { .. } | Action::Launch { .. }
    )
}

/// Whether ECS' answer would contain anything that the controller does not know.
fn news(state: &State, controller: &Controller, tasks: &[TaskArn]) -> bool {
    tasks.iter().any(|arn| {
        let known = controller.core.ledger.tasks.get(arn).and_then(|task| task.view.as_ref());
        let there = index(arn).and_then(|at| state.tasks.get(at));
        there.is_some_and(|task| Some(version(task)) != known.map(|view| view.version))
    })
}

/// The steps that a controller's calls allow.
fn call_steps(state: &State, host: usize, controller: &Controller, steps: &mut Vec<Step>) {
    let left = &state.left;
    for (call, action) in controller.calls.iter().enumerate() {
        // An empty receive is a wait; so is a description without changes.
        let waits = match &**action {
            Action::Receive { .. } => !state.messages.iter().any(|message| message.visible),
            Action::Describe { tasks } => !news(state, controller, tasks),
            _ => false,
        };
        if waits {
            continue;
        }
        steps.push(Step::Answer(host, call));
        for (allowed, step) in [
            (left.slow > 0 && reads(action), Step::CarryOut(host, call)),
            (left.lost > 0, Step::Lose(host, call)),
            (left.delayed > 0 && delayable(action), Step::Delay(host, call)),
            (left.refused > 0 && matches!(**action, Action::Launch { .. }), Step::Refuse(host, call)),
            (left.unseen > 0 && matches!(**action, Action::Describe { .. }), Step::Unseen(host, call)),
            (left.away > 0 && to_the_bus(action), Step::Away(host, call)),
        ] {
            if allowed {
                steps.push(step);
            }
        }
    }
    steps.extend((0..controller.answers.len()).map(|answer| Step::Deliver(host, answer)));
    if left.crashes > 0 {
        steps.push(Step::Crash(host));
    }
    if left.waits > 0 && controller.wake.is_some() {
        steps.push(Step::Wait(host));
    }
}

/// Whether no controller holds a message any more: SQS delivers it again.
fn forgotten(state: &State, message: usize, receipt: u32) -> bool {
    let handle = format!("{message}/{receipt}");
    !state.controllers.iter().any(|controller| {
        controller.core.ledger.leases.values().any(|lease| lease.receipt == handle)
            || controller.answers.iter().flatten().any(|fact| matches!(fact, Fact::Received { .. }))
    })
}

impl Model for Small {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let mut state = State {
            now: MINUTE,
            controllers: (0..self.controllers).map(|index| Arc::new(self.process(index, 0))).collect(),
            wire: Vec::new(),
            messages: self.messages(),
            jobs: vec![SmallJob::default(); self.bodies.len()],
            tasks: Vec::new(),
            wanted: 0,
            put_aside: false,
            left: self.bounds,
            broken: None,
        };
        (0..self.controllers).for_each(|index| self.turn(&mut state, index, Vec::new()));
        vec![state]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        if state.broken.is_some() || state.at_rest() {
            return;
        }
        for (host, controller) in state.controllers.iter().enumerate() {
            call_steps(state, host, controller, steps);
            if self.is_steered() && controller.heard != Some(state.wanted) {
                steps.push(Step::Hear(host));
            }
        }
        if state.wanted + 1 < self.documents.len() {
            steps.push(Step::Want);
        }
        steps.extend((0..state.wire.len()).map(Step::Arrive));
        for (index, message) in state.messages.iter().enumerate() {
            let hidden = !message.visible && !message.deleted;
            let free =
                forgotten(state, index, message.receipt) && (!message.put_back || state.left.returns > 0);
            if hidden && (free || state.left.expired > 0) {
                steps.push(Step::Expire(index));
            }
        }
        for (index, task) in state.tasks.iter().enumerate() {
            match task.phase {
                Phase::Starting => steps.push(Step::Beat(index)),
                Phase::Looking => steps.push(Step::Begin(index)),
                Phase::Working => {
                    steps.push(Step::Succeed(index));
                    if state.left.fails > 0 {
                        steps.push(Step::Fail(index));
                    }
                }
                Phase::Ended(_) => continue,
            }
            if state.stoppable(index) {
                steps.push(Step::ByHand(index));
            }
            if task.stopping {
                steps.push(Step::Stop(index));
            }
        }
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut state = last.clone();
        state.now += 1;
        match step {
            Step::Answer(host, call)
            | Step::CarryOut(host, call)
            | Step::Lose(host, call)
            | Step::Delay(host, call)
            | Step::Refuse(host, call)
            | Step::Unseen(host, call)
            | Step::Away(host, call) => self.called(&mut state, host, call, step)?,
            Step::Deliver(host, answer) => {
                let facts = Arc::make_mut(state.controllers.get_mut(host)?).answers.remove(answer);
                self.turn(&mut state, host, facts);
            }
            Step::Arrive(index) => {
                let action = state.wire.remove(index);
                let _ = self.carry_out(&mut state, None, &action);
            }
            Step::Crash(host) => self.crash(&mut state, host)?,
            Step::Expire(index) => {
                let held = !forgotten(&state, index, state.messages.get(index)?.receipt);
                state.left.expired -= u8::from(held);
                let message = state.messages.get_mut(index)?;
                message.visible = true;
                if std::mem::take(&mut message.put_back) && !held {
                    state.left.returns = state.left.returns.saturating_sub(1);
                }
            }
            Step::Wait(host) => {
                state.left.waits -= 1;
                state.now = state.now.max(state.controllers.get(host)?.wake?);
                self.turn(&mut state, host, Vec::new());
            }
            other => self.tasks_step(&mut state, other)?,
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("every promise is kept", |_, state: &State| state.broken.is_none()),
            Property::sometimes("every job is settled and every message gone", |_, state: &State| {
                state.at_rest()
            }),
            Property::sometimes("a cancel is obeyed", |_, state: &State| state.cancel_ends(true)),
            Property::sometimes("a cancel comes too late", |_, state: &State| state.cancel_ends(false)),
            Property::sometimes("an event waits in the outbox", |_, state: &State| state.put_aside),
        ]
    }
}
