//! The simulated world: one virtual clock, one queue of events, models of SQS, ECS and S3, tasks, and controllers that
//! run the production core.
//!
//! Everything is a function of the seed. The models follow the worst behaviour that AWS' documentation allows: answers
//! are lost after the call took effect, requests arrive after their caller stopped waiting, lists omit entries.

mod agenda;
mod bus;
mod calls;
mod direct;
mod ecs;
mod ends;
mod event;
mod fate;
mod host;
mod meter;
mod patience;
mod prefix;
mod process;
mod refusals;
mod shares;
mod slots;
mod sqs;
mod steer;
mod store;
mod told;
mod trace;
mod turn;
mod witness;

use std::collections::{BTreeMap, BTreeSet};

use transcode_config::contract::JobKey;
use transcode_core::{message, protocol::clock::Ms};

use self::{
    agenda::Agenda,
    bus::Outbox,
    calls::Call,
    ecs::Token,
    event::Event,
    host::Host,
    prefix::PrefixTruth,
    shares::Had,
    sqs::{Message, Queue},
    trace::Trace,
};
use crate::{
    fault::{Fault, Faults},
    invariants::{self, Violation},
    rng::{Rng, mix},
    rows::Reached,
    setup::{Episode, Kind, Setup},
    truth::{JobTruth, Task},
};

/// The wall clock at the start of every run (ms since 1970).
pub const EPOCH: Ms = 1_700_000_000_000;

/// A kill -9 at one numbered effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kill {
    /// The number of the effect, from 1 on.
    pub effect: u64,
    /// `true`: the effect happens and the controller never learns of it. `false`: it does not happen.
    pub after: bool,
}

/// The world.
pub struct World {
    /// The drawn setup.
    pub setup: Setup,
    /// The faults.
    pub faults: Faults,
    /// Rows of the fault catalogue that were reached.
    pub reached: Reached,
    /// Virtual time.
    pub now: Ms,
    /// Events so far.
    pub steps: u64,
    /// The first broken promise.
    pub violation: Option<Violation>,
    /// The true state of all jobs.
    pub jobs: Vec<JobTruth>,
    /// The true state of all tasks.
    pub tasks: Vec<Task>,
    /// The events, as a hash and on request as text.
    pub trace: Trace,
    /// Milliseconds that tasks worked.
    pub worked: Ms,
    /// Of those, the milliseconds after another attempt had decided the job.
    pub wasted: Ms,
    /// Number of tasks that began to work.
    pub began: u64,
    /// Number of deleted messages of which a copy will return.
    pub returning: u64,
    /// Number of effects of controllers' calls so far.
    pub effects: u64,
    /// The effect at which its controller is killed, if one is chosen.
    pub kill_at: Option<Kill>,
    /// Each turn is taken twice, the second time by a copy that visits every row: both plans must be equal.
    pub compared: bool,
    rng: Rng,
    agenda: Agenda,
    by_key: BTreeMap<JobKey, usize>,
    prefixes: BTreeMap<String, PrefixTruth>,
    /// Each tenant's use of the slots.
    had: BTreeMap<String, Had>,
    /// Number of superseded jobs.
    pub reached_superseded: u64,
    /// Tasks that were stopped because something newer was live.
    pub reached_stopped_early: u64,
    messages: Vec<Message>,
    queues: Vec<Queue>,
    /// Bodies in the dead-letter queue, one for each letter.
    letters: Vec<String>,
    /// Events that the bus did not take in time.
    outbox: Outbox,
    tokens: BTreeMap<String, Token>,
    /// Tasks that a list may contain.
    listed: Vec<usize>,
    hosts: Vec<Host>,
    calls: Vec<Option<Call>>,
    free_calls: Vec<u32>,
    definition: u32,
    /// The newest revision of the control document.
    revision: Option<usize>,
}

impl World {
    /// The world of a seed, before its first event.
    pub fn new(setup: Setup, without: &[Fault], keep_text: bool) -> Self {
        let seed = setup.seed;
        let mut world = Self {
            faults: Faults::draw(seed, setup.sort, without),
            reached: Reached::default(),
            now: 0,
            steps: 0,
            violation: None,
            jobs: Vec::new(),
            tasks: Vec::new(),
            trace: Trace::new(keep_text),
            worked: 0,
            wasted: 0,
            began: 0,
            returning: 0,
            effects: 0,
            kill_at: None,
            compared: false,
            rng: Rng::new(mix(&[seed, 4])),
            agenda: Agenda::default(),
            by_key: BTreeMap::new(),
            prefixes: BTreeMap::new(),
            had: BTreeMap::new(),
            reached_superseded: 0,
            reached_stopped_early: 0,
            messages: Vec::new(),
            queues: setup.policy.queues.keys().map(|name| Queue::new(name)).collect(),
            letters: Vec::new(),
            outbox: Outbox::new(),
            tokens: BTreeMap::new(),
            listed: Vec::new(),
            hosts: Vec::new(),
            calls: Vec::new(),
            free_calls: Vec::new(),
            definition: 1,
            revision: None,
            setup,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        for upload in std::mem::take(&mut self.setup.uploads) {
            let queue =
                if self.setup.policy.queues.len() > 1 && self.rng.chance(0.5) { "low" } else { "jobs" };
            if upload.kind == Kind::Unknown {
                self.reached.reach(13);
            }
            self.send(queue, upload.body, upload.kind, upload.at);
        }
        let times = [
            (self.setup.redrives.clone(), Event::Redrive),
            (self.setup.definitions.clone(), Event::Definition),
            (self.setup.foreign.clone(), Event::Foreign),
        ];
        for (at, event) in
            times.into_iter().flat_map(|(times, event)| times.into_iter().map(move |at| (at, event.clone())))
        {
            self.at(at, event);
        }
        if self.setup.newer > 0 {
            for job in 0..self.jobs.len() {
                if self.rng.below(self.setup.newer) == 0 {
                    let at = self.rng.below(self.setup.heal_at);
                    self.at(at, Event::Newer(job));
                }
            }
        }
        self.begin_steering();
        self.begin_hosts();
    }

    /// The wall clock of a machine with this offset.
    fn wall(&self, offset: i64) -> Ms {
        (EPOCH + self.now).saturating_add_signed(offset)
    }

    /// Whether a fault happens now; counts its rows.
    fn fault(&mut self, fault: Fault) -> bool {
        let hit = self.faults.strikes(fault);
        if hit {
            for row in fault.rows() {
                self.reached.reach(*row);
            }
        }
        hit
    }

    fn during(&self, episode: Episode) -> bool {
        self.faults.on && self.setup.during(episode, self.now)
    }

    /// Notes a broken promise; only the first is kept.
    fn check(&mut self, found: Result<(), Violation>) {
        if let Err(violation) = found
            && self.violation.is_none()
        {
            self.trace.note(self.now, || format!("VIOLATION {violation}"));
            self.violation = Some(violation);
        }
    }

    /// Checks leftovers (L7) and the ends of the jobs, once everything is at rest.
    pub fn check_leftovers(&mut self) {
        self.check_prefixes();
        self.check_shares();
        let wanted = self.wanted_jobs();
        // A message that stays for a newer version's job is settled, and its leftovers collected, by that version.
        let kept: BTreeSet<usize> =
            self.messages.iter().filter(|it| it.there()).flat_map(|it| it.jobs.iter().copied()).collect();
        let settled = self.jobs.iter().zip(wanted).enumerate();
        let mut settled =
            settled.filter(|(index, (job, wanted))| *wanted && !job.newer && !kept.contains(index));
        let ordinary = self.setup.ordinary;
        let found = settled.try_for_each(|(_, (job, _))| {
            invariants::l7_losers_are_collected(job)?;
            if ordinary { invariants::good_jobs_succeed(job) } else { Ok(()) }
        });
        self.check(found);
    }

    /// Carries out the next event, if it is due before `until`. Returns whether there was one.
    pub fn step(&mut self, until: Ms) -> bool {
        let Some((at, event)) = self.agenda.take(until) else { return false };
        self.now = at;
        self.steps += 1;
        self.trace.event(at, &event);
        match event {
            Event::Effect(call) => self.effect(call),
            Event::Launch(host, boot, claim) => self.launch_late(host, boot, claim),
            Event::Answer(call) => self.answer(call),
            Event::Plan(host) => self.plan(host),
            Event::Up(host, boot) => self.up(host, boot),
            Event::Crash(host, boot) => self.crash(host, boot),
            Event::Pause(host, boot) => self.pause(host, boot),
            Event::Resume(host) => self.resume(host),
            Event::Jump(host) => self.jump(host),
            Event::Hint(host, hint) => self.hinted(host, hint),
            Event::Task(task, epoch, step) => self.task_step(task, epoch, step),
            Event::Returns(message) => self.returns(message),
            Event::Straggler(job, attempt, step) => self.straggles(&job, attempt, &step),
            Event::Wanted(index) => self.wanted(index),
            Event::Reads(host, boot) => self.reads_control(host, boot),
            Event::StopByHand => self.stop_by_hand(),
            Event::Redrive => self.redrive(),
            Event::Definition => {
                self.definition += 1;
                self.reached.reach(35);
            }
            Event::Foreign => self.foreign_task(),
            Event::Newer(job) => {
                if let Some(job) = self.jobs.get_mut(job).filter(|job| job.terminal.is_none()) {
                    job.newer = true;
                    self.reached.reach(50);
                }
            }
        }
        true
    }

    /// Faults stop: every controller is up, every machine runs, every service answers.
    pub fn heal(&mut self) {
        self.faults.on = false;
        self.trace.note(self.now, || "faults stop".to_owned());
        self.heal_tasks();
        self.heal_hosts();
    }

    /// The index of a job, which is created when it is named for the first time.
    fn job_index(&mut self, request: &message::Request) -> usize {
        if let Some(index) = self.by_key.get(request.job()) {
            return *index;
        }
        let index = self.jobs.len();
        let nature = self.nature(index);
        self.jobs.push(JobTruth::new(request.clone(), nature));
        self.by_key.insert(request.job().clone(), index);
        index
    }

    /// Sends a message that becomes visible at `at`.
    fn send(&mut self, queue: &str, body: String, kind: Kind, at: Ms) {
        let requests = match message::parse(&body, &self.setup.rules, EPOCH) {
            message::Parsed::Jobs(requests, _) => requests,
            message::Parsed::Ignore(_) | message::Parsed::Park(_) => Vec::new(),
        };
        let jobs: Vec<usize> = requests.iter().map(|request| self.job_index(request)).collect();
        for (request, job) in requests.iter().zip(&jobs) {
            if matches!(request, message::Request::Refuse { .. }) {
                self.reached.reach(13);
            }
            let messages = self.jobs.get_mut(*job).map(|job| {
                job.messages += 1;
                if job.messages == 1 {
                    job.sent_at = at;
                }
                job.sent_at = job.sent_at.min(at);
                job.last_sent_at = job.last_sent_at.max(at);
                job.messages
            });
            if messages > Some(1) {
                self.reached.reach(12);
            }
        }
        let queue = self.queue(queue).unwrap_or(0);
        let message = Message::new(self.messages.len(), (queue, at), body, kind, jobs);
        self.messages.push(message);
        self.shows(self.messages.len() - 1, at);
    }
}
