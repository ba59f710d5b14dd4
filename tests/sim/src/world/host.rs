//! Controllers: the production reconciler in a process that may crash, be suspended, and have a wrong clock.

use std::sync::Arc;

use transcode_config::contract::{Capacity, Control};
use transcode_core::{
    protocol::{
        clock::{Ms, Now},
        fact::{ErrorClass, Fact, Hint, Refusal},
    },
    reconciler::Reconciler,
};

use super::{
    World, event::Event, meter::Meter, patience::Patience, refusals::Refusals, told::Told, witness::Witness,
};
use crate::{
    fault::Fault,
    newcomers::Newcomers,
    setup::{Episode, HOUR, MINUTE, SECOND, Sort},
};

/// A machine that runs a controller.
pub(super) struct Host {
    /// Number of processes so far; facts for an earlier one are lost.
    pub(super) boot: u32,
    /// The process; `None` while it is down.
    pub(super) core: Option<Reconciler>,
    pub(super) booted_at: Ms,
    pub(super) offset: i64,
    pub(super) paused: bool,
    pub(super) inbox: Vec<Fact>,
    /// Calls in the current minute.
    pub(super) minute: Ms,
    pub(super) calls: u64,
    /// Its calls to ECS.
    pub(super) meter: Meter,
    /// Checks its waits.
    pub(super) patience: Patience,
    /// The refusals that last until somebody removes the cause.
    pub(super) refusals: Refusals,
    /// The failures that it has seen.
    pub(super) witness: Witness,
    pub(super) told: Told,
    /// The control document that it goes by; `None` before it knows.
    pub(super) heard: Option<Arc<Control>>,
    /// New tenants that its claims passed over.
    pub(super) newcomers: Newcomers,
    /// Spot must pause until then (monotonic).
    pub(super) spot_rests_until: Ms,
}

impl World {
    pub(super) fn begin_hosts(&mut self) {
        for index in 0..self.setup.controllers {
            let offset = self.draw_offset();
            self.hosts.push(Host {
                boot: 0,
                core: None,
                booted_at: 0,
                offset,
                paused: false,
                inbox: Vec::new(),
                minute: 0,
                calls: 0,
                meter: Meter::default(),
                patience: Patience::default(),
                refusals: Refusals::default(),
                witness: Witness::default(),
                told: Told::default(),
                heard: None,
                newcomers: Newcomers::default(),
                spot_rests_until: 0,
            });
            let at = self.rng.below(MINUTE);
            self.at(at, Event::Up(index, 0));
        }
        if self.setup.pace > 10 * SECOND {
            self.reached.reach(55);
        }
        for (episode, from, _) in self.setup.episodes.clone() {
            let row = match episode {
                Episode::StateDenied | Episode::WritesDenied => Some(45),
                Episode::Credentials => Some(53),
                Episode::BrownOut => Some(63),
                Episode::HintsDead => Some(39),
                Episode::AllDown => Some(24),
                // The catalogue has no bus.
                Episode::BusAway => None,
            };
            if episode == Episode::AllDown {
                (0..self.setup.controllers).for_each(|index| self.at(from, Event::Crash(index, u32::MAX)));
            } else if let Some(row) = row {
                self.reached.reach(row);
            }
        }
    }

    pub(super) fn host_now(&self, host: &Host) -> Now {
        Now { mono: self.now - host.booted_at, wall: self.wall(host.offset) }
    }

    /// A host's wall clock.
    pub(super) fn host_wall(&self, index: usize) -> Ms {
        self.hosts.get(index).map_or(0, |host| self.wall(host.offset))
    }

    pub(super) fn up(&mut self, index: usize, boot: u32) {
        let (policy, rules) = (self.setup.policy.clone(), self.setup.rules.clone());
        let now = self.now;
        let Some(host) = self.hosts.get_mut(index).filter(|host| host.boot == boot && host.core.is_none())
        else {
            return;
        };
        let mut core = Reconciler::new(format!("c{index}-{boot}"), policy, rules);
        core.ledger.unsteered = !self.setup.steering.is_empty();
        host.core = Some(core);
        host.heard = None;
        host.booted_at = now;
        host.inbox.clear();
        (host.meter, host.patience, host.witness, host.told, host.spot_rests_until) = Default::default();
        host.newcomers = Newcomers::default();
        host.refusals = Refusals::default();
        self.agenda.cancel_plan(index);
        self.plan_by(index, 0);
        if !self.setup.steering.is_empty() {
            self.after(SECOND, Event::Reads(index, boot));
        }
        if self.faults.on {
            for (every, event) in [
                (self.setup.crash_every, Event::Crash(index, boot)),
                (self.setup.pause_every, Event::Pause(index, boot)),
                (if self.setup.jumps { 3 * HOUR } else { 0 }, Event::Jump(index)),
            ] {
                if every > 0 {
                    let delay = self.rng.spread(every / 4, every * 4);
                    self.after(delay, event);
                }
            }
        }
    }

    /// kill -9. `u32::MAX` stands for the current process.
    pub(super) fn crash(&mut self, index: usize, boot: u32) {
        let on = self.faults.on;
        let Some(host) = self.hosts.get_mut(index) else { return };
        if !on || host.core.is_none() || (boot != host.boot && boot != u32::MAX) {
            return;
        }
        let settling = host.core.as_ref().is_some_and(|core| {
            core.ledger.jobs.values().any(|job| job.terminal().is_some() && !job.published)
        });
        host.core = None;
        host.paused = false;
        host.boot += 1;
        let boot = host.boot;
        self.reached.reach(48);
        if settling {
            self.reached.reach(47);
        }
        if self.setup.sort == Sort::Crowd {
            self.reached.reach(51);
        }
        let end =
            self.setup.episodes.iter().filter(|(kind, from, until)| {
                *kind == Episode::AllDown && (*from..*until).contains(&self.now)
            });
        let wait = end.map(|(_, _, until)| until - self.now).max().unwrap_or(0);
        let delay = wait + self.rng.spread(SECOND, 3 * HOUR);
        self.after(delay, Event::Up(index, boot));
    }

    /// SIGSTOP.
    pub(super) fn pause(&mut self, index: usize, boot: u32) {
        let on = self.faults.on;
        let Some(host) = self.hosts.get_mut(index).filter(|host| host.boot == boot && host.core.is_some())
        else {
            return;
        };
        if on && !host.paused {
            host.paused = true;
            let delay = self.rng.spread(MINUTE, 4 * HOUR);
            if delay > HOUR {
                self.reached.reach(49);
            }
            self.after(delay, Event::Resume(index));
        }
    }

    pub(super) fn resume(&mut self, index: usize) {
        if let Some(host) = self.hosts.get_mut(index).filter(|host| host.paused) {
            host.paused = false;
            self.plan_by(index, 0);
            if self.faults.on && self.setup.pause_every > 0 {
                let boot = self.hosts.get(index).map_or(0, |host| host.boot);
                let delay = self.rng.spread(self.setup.pause_every / 4, self.setup.pause_every * 4);
                self.after(delay, Event::Pause(index, boot));
            }
        }
    }

    pub(super) fn jump(&mut self, index: usize) {
        if self.faults.on {
            let offset = self.draw_offset();
            if let Some(host) = self.hosts.get_mut(index) {
                host.offset = offset;
            }
        }
    }

    /// Facts arrive at a process, unless it has ended.
    pub(super) fn deliver(&mut self, index: usize, boot: u32, facts: Vec<Fact>) {
        let now = self.now;
        for fact in &facts {
            self.trace.value(now, format_args!("c{index} <-"), fact);
        }
        let no_spot = facts.iter().any(|fact| self.refuses_spot(fact));
        let Some(host) = self.hosts.get_mut(index).filter(|host| host.boot == boot && host.core.is_some())
        else {
            return;
        };
        if no_spot {
            let until = now - host.booted_at + self.setup.policy.spot_pause;
            host.spot_rests_until = host.spot_rests_until.max(until);
        }
        host.inbox.extend(facts);
        let delay = self.rng.between(1, self.setup.pace);
        self.plan_by(index, delay);
    }

    /// The controller plans in `delay` at the latest.
    pub(super) fn plan_by(&mut self, index: usize, delay: Ms) {
        self.agenda.plan_by(index, self.now + delay);
    }

    /// Whether a fact says that Spot had no capacity for a job's newest attempt.
    fn refuses_spot(&self, fact: &Fact) -> bool {
        let Fact::LaunchRefused { job, attempt, refusal } = fact else { return false };
        let capacity = match refusal {
            Refusal::Definitive(_) => true,
            Refusal::Failed(error) => error.class == ErrorClass::Capacity,
        };
        let newest = self.job_of(job).and_then(|job| self.jobs.get(job)).and_then(|job| job.claims.last());
        capacity
            && newest.is_some_and(|claim| {
                claim.attempt == *attempt && claim.variant.capacity == Capacity::FargateSpot
            })
    }

    /// Sends an event to each controller, after a delay of its own, or not at all.
    pub(super) fn hint(&mut self, hint: &Hint) {
        if !self.setup.hints || self.during(Episode::HintsDead) {
            return;
        }
        for index in 0..self.hosts.len() {
            if self.hosts.get(index).is_none_or(|host| host.core.is_none()) {
                continue;
            }
            let mut delay = self.rng.between(100, 3000);
            if self.fault(Fault::HintTrouble) {
                if self.rng.chance(0.5) {
                    continue;
                }
                delay = self.rng.spread(SECOND, HOUR);
                self.after(delay * 2, Event::Hint(index, hint.clone()));
            }
            self.after(delay, Event::Hint(index, hint.clone()));
        }
        if self.fault(Fault::HintForged) {
            let forged = self.jobs.last().map(|job| Hint::TerminalRecord(job.key().clone()));
            if let Some(forged) = forged {
                self.after(SECOND, Event::Hint(0, forged));
            }
        }
    }

    pub(super) fn hinted(&mut self, index: usize, hint: Hint) {
        let boot = self.hosts.get(index).map_or(0, |host| host.boot);
        self.deliver(index, boot, vec![Fact::Hinted(hint)]);
    }

    pub(super) fn heal_hosts(&mut self) {
        for index in 0..self.hosts.len() {
            self.resume(index);
            let down = self.hosts.get(index).filter(|host| host.core.is_none()).map(|host| host.boot);
            if let Some(boot) = down {
                self.up(index, boot);
            }
        }
    }
}
