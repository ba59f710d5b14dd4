//! Controllers: the production reconciler in a process that may crash, stand still, and have a wrong clock.

use transcode_config::contract::{Capacity, Intent, Outcome};
use transcode_controller::{
    action::Action,
    breaker::Trouble,
    clock::{Ms, Now},
    fact::{Class, Fact, Hint, MessageId, Refusal},
    invariant,
    limiter::Lane,
    plan::{Scope, plan_of},
    reconciler::Reconciler,
    usage::Usage,
};

use super::{EPOCH, Event, JobTruth, World};
use crate::{
    fault::Fault,
    invariants,
    setup::{Episode, HOUR, MINUTE, SECOND},
};

/// Where a controller runs.
pub(super) struct Host {
    /// Processes so far; facts for an earlier one are lost.
    pub(super) boot: u32,
    /// The process; none while it is down.
    pub(super) core: Option<Reconciler>,
    booted_at: Ms,
    pub(super) offset: i64,
    pub(super) paused: bool,
    inbox: Vec<Fact>,
    /// When it plans next, and the number of that plan.
    plan_at: Ms,
    plan_token: u64,
    /// Calls in the present minute.
    minute: Ms,
    calls: u64,
    /// Calls to ECS of this process, by lane.
    lanes: [u64; 3],
    /// Jobs that this process claimed first.
    claims: u64,
    /// Spot is given a rest until then (monotonic).
    spot_rests_until: Ms,
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
                plan_at: Ms::MAX,
                plan_token: 0,
                minute: 0,
                calls: 0,
                lanes: [0; 3],
                claims: 0,
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
                Episode::StateDenied => 45,
                Episode::Credentials => 53,
                Episode::BrownOut => 63,
                Episode::HintsDead => 39,
                Episode::AllDown => 24,
            };
            if episode == Episode::AllDown {
                (0..self.setup.controllers).for_each(|index| self.at(from, Event::Crash(index, u32::MAX)));
            } else {
                self.reached.reach(row);
            }
        }
    }

    fn host_now(&self, host: &Host) -> Now {
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
        host.core = Some(Reconciler::new(format!("c{index}-{boot}"), policy, rules));
        host.booted_at = now;
        host.inbox.clear();
        host.plan_at = Ms::MAX;
        (host.lanes, host.claims, host.spot_rests_until) = ([0; 3], 0, 0);
        self.plan_by(index, 0);
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

    /// kill -9. `u32::MAX` stands for whichever process is there.
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
        if self.setup.crowd {
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

    /// Facts arrive at a process, unless it is not there any more.
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

    /// Lets a controller plan not later than in `delay`.
    fn plan_by(&mut self, index: usize, delay: Ms) {
        let at = self.now + delay;
        let Some(host) = self.hosts.get_mut(index) else { return };
        if at < host.plan_at {
            host.plan_at = at;
            host.plan_token += 1;
            let token = host.plan_token;
            self.at(at, Event::Plan(index, token));
        }
    }

    pub(super) fn plan(&mut self, index: usize, token: u64) {
        let Some(host) = self.hosts.get(index) else { return };
        if host.plan_token != token {
            return;
        }
        let now = self.host_now(host);
        let sampled = self.rng.below(16) == 0;
        let Some(host) = self.hosts.get_mut(index) else { return };
        host.plan_at = Ms::MAX;
        if host.paused {
            return;
        }
        let Some(core) = &mut host.core else { return };
        let facts = std::mem::take(&mut host.inbox);
        let thorough = self.compared.then(|| {
            let mut core = core.clone();
            core.ledger.look_again_at_all();
            core.turn(facts.clone(), now)
        });
        let planned = core.turn(facts, now);
        let boot = host.boot;
        let again = if sampled && !planned.actions.is_empty() {
            plan_of(Scope::Due, core.policy(), &core.ledger, now).actions
        } else {
            Vec::new()
        };
        let seen = invariant::of_plan(&planned.actions, &core.ledger);
        let claimed = planned.actions.iter().any(|action| matches!(action, Action::Intend { .. }));
        let in_flight = if claimed { core.ledger.usage(core.policy(), now) } else { Usage::default() };
        let found = invariants::looks_at_enough(&planned, thorough.as_ref())
            .and_then(|()| invariants::plans_once(&planned.actions, &again))
            .and_then(|()| invariants::limit_is_kept(claimed, in_flight, core.policy()))
            .and_then(|()| invariants::nothing_is_seen(seen.first()));
        self.check(found);
        if self.trace.kept() {
            let notes: Vec<_> = planned.notes.values().collect();
            self.trace.value(
                self.now,
                format_args!("c{index} wakes {:?} at {}", planned.wake_at, now.mono),
                &notes,
            );
        }
        let wake = planned.wake_at.map(|at| at.saturating_sub(now.mono).max(1));
        self.count_calls(index, 1 + planned.actions.len() as u64, now.mono);
        for action in planned.actions {
            self.trace.value(self.now, format_args!("c{index} ->"), &action);
            self.call(index, boot, action);
        }
        if let Some(delay) = wake {
            // A controller that writes its log slowly does everything slowly.
            let late = self.rng.below(self.setup.slack);
            self.plan_by(index, delay + late);
        }
    }

    /// Counts turns and calls: no hot loops, whatever the world answers (L6).
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

    /// Row 9: whoever holds a message knows its age, so that it is reported before its retention ends.
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

    /// Counts a call to ECS against its rate (L6).
    pub(super) fn count_call(&mut self, index: usize, lane: Lane) {
        let rate = self.setup.policy.rate(lane);
        let Some(host) = self.hosts.get_mut(index) else { return };
        let Some(calls) = host.lanes.get_mut(lane as usize) else { return };
        *calls += 1;
        let allowed = rate.burst + (self.now - host.booted_at) / rate.interval + 1;
        let what = ["launches", "stops", "reads"].get(lane as usize).copied().unwrap_or_default();
        let found = invariants::l6_within_budget(what, *calls, allowed);
        self.check(found);
    }

    /// Counts a job that is claimed for the first time: not many once the breaker knows that all fail.
    pub(super) fn count_claim(&mut self, index: usize, intent: &Intent) {
        let policy = &self.setup.policy;
        let Some(host) = self.hosts.get_mut(index) else { return };
        let now = self.now - host.booted_at;
        let found = invariants::spot_is_rested(intent, now < host.spot_rests_until);
        if self.setup.bad == 100 && policy.breaker_jobs > 0 && intent.history.is_empty() {
            host.claims += 1;
            // Attempts of whose end the breaker makes nothing: the job is tried again, or dies of it.
            let blameless = |job: &&JobTruth| match job.terminal.as_ref().map(|terminal| &terminal.outcome) {
                _ if job.intents.len() > 1 => true,
                Some(Outcome::Dead(dead)) => Trouble::of(dead.failure.code) != Some(Trouble::Failed),
                _ => !job.platform.is_empty(),
            };
            let blameless = self.jobs.iter().filter(blameless).count();
            // What is under way when it opens, and what has ended and not been read yet.
            let unknown = 2 * policy.max_tasks + policy.breaker_jobs + blameless + 10;
            let allowed = unknown as u64 + now / policy.breaker_probe;
            let claims = host.claims;
            self.check(invariants::breaker_is_open(claims, allowed));
        }
        self.check(found);
    }

    /// Whether a fact says that Spot had no capacity for the newest attempt of a job.
    fn refuses_spot(&self, fact: &Fact) -> bool {
        let Fact::LaunchRefused { job, attempt, refusal } = fact else { return false };
        let capacity = match refusal {
            Refusal::Definitive(_) => true,
            Refusal::Failed(error) => error.class == Class::Capacity,
        };
        let newest = self.job_of(job).and_then(|job| self.jobs.get(job)).and_then(|job| job.intents.last());
        capacity
            && newest.is_some_and(|intent| {
                intent.attempt == *attempt && intent.variant.capacity == Capacity::FargateSpot
            })
    }

    /// Sends an event to all controllers, in its own time, or not at all.
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
            let forged = self.jobs.last().map(|job| Hint::Register(job.key().clone()));
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
