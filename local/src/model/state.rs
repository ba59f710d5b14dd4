//! The endpoint's state: clusters, definitions, tasks, tokens, faults, counters.
//!
//! The operations in [`super::ops`] read and change it. Effects of a change on the outside are added to
//! [`EndpointState::effects`], which the shell takes after each change.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde_json::Value;

use super::{
    Millis,
    counters::Counters,
    definitions::Definitions,
    error::ApiError,
    fault::FaultKind,
    faults::Faults,
    machine::{self, Next, Timing},
    names::{self, Names},
    task::{Phase, Process, Task, TaskId},
    tokens::{Lifetimes, Tokens},
};

/// Parameters of the rules.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) names: Names,
    pub(crate) timing: Timing,
    pub(crate) tokens: Lifetimes,
    /// How long a STOPPED task stays visible.
    pub(crate) stopped_lifetime: Millis,
    /// Tasks that are not STOPPED; RunTask refuses more.
    pub(crate) max_live: usize,
    /// STOPPED tasks kept, even when their time is not up.
    pub(crate) max_stopped: usize,
    /// Whether changes are reported as effects.
    pub(crate) events: bool,
}

/// An effect on the outside.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Start a driver for this new task.
    Launch(TaskId),
    /// Wake this task's driver.
    Nudge(TaskId),
    /// Send this task's state-change event.
    Changed(Box<Task>, Millis),
}

/// The endpoint's state.
#[derive(Debug)]
pub(crate) struct EndpointState {
    pub(crate) settings: Settings,
    /// By name; the cluster as `DescribeClusters` answers it, without the counts.
    pub(crate) clusters: BTreeMap<String, Value>,
    pub(crate) definitions: Definitions,
    /// Digests that the registry gives for images, by the image's name in definitions.
    pub(crate) digests: BTreeMap<String, String>,
    pub(crate) tokens: Tokens,
    pub(crate) faults: Faults,
    pub(crate) counters: Counters,
    pub(crate) effects: Vec<Effect>,
    /// In the order of creation.
    tasks: BTreeMap<u64, Task>,
    ids: HashMap<TaskId, u64>,
    stopped: VecDeque<(Millis, u64)>,
    last_sequence: u64,
    /// How far the clock of expiries is ahead of the real one, in milliseconds.
    expiry_ahead: Millis,
    /// No task may start any more.
    pub(crate) closed: bool,
}

impl EndpointState {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            tokens: Tokens::new(settings.tokens),
            settings,
            clusters: BTreeMap::new(),
            definitions: Definitions::default(),
            digests: BTreeMap::new(),
            faults: Faults::default(),
            counters: Counters::default(),
            effects: Vec::new(),
            tasks: BTreeMap::new(),
            ids: HashMap::new(),
            stopped: VecDeque::new(),
            last_sequence: 0,
            expiry_ahead: 0,
            closed: false,
        }
    }

    /// The time by which tokens and STOPPED records expire.
    pub(crate) fn expiry_clock(&self, now: Millis) -> Millis {
        now.saturating_add(self.expiry_ahead)
    }

    /// Makes tokens and STOPPED records older at once.
    pub(crate) fn advance_expiry(&mut self, by: Millis, now: Millis) {
        self.expiry_ahead = self.expiry_ahead.saturating_add(by);
        self.forget_old(now);
    }

    /// Drops STOPPED records whose time is up, or that are too many.
    pub(crate) fn forget_old(&mut self, now: Millis) {
        let clock = self.expiry_clock(now);
        while let Some((at, sequence)) = self.stopped.front().copied() {
            let expired = clock >= at.saturating_add(self.settings.stopped_lifetime);
            if !expired && self.stopped.len() <= self.settings.max_stopped {
                break;
            }
            self.stopped.pop_front();
            if let Some(task) = self.tasks.remove(&sequence) {
                self.ids.remove(&task.id);
            }
        }
    }

    /// The cluster's name if it is there and ACTIVE.
    pub(crate) fn active_cluster(&self, reference: Option<&str>) -> Result<String, ApiError> {
        let name = names::cluster(reference);
        let cluster = self.clusters.get(name).ok_or_else(ApiError::cluster_not_found)?;
        if cluster["status"].as_str().is_some_and(|status| status != "ACTIVE") {
            return Err(ApiError::client("The referenced cluster was inactive."));
        }
        Ok(name.to_owned())
    }

    pub(crate) fn live_count(&self) -> usize {
        self.tasks.len() - self.stopped.len()
    }

    /// Every task with its place in the order of creation.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = (u64, &Task)> {
        self.tasks.iter().map(|(sequence, task)| (*sequence, task))
    }

    pub(crate) fn task(&self, id: &str) -> Option<&Task> {
        self.tasks.get(self.ids.get(id)?)
    }

    /// Adds a new task.
    pub(crate) fn add_task(&mut self, task: Task, now: Millis) {
        self.last_sequence += 1;
        self.ids.insert(task.id.clone(), self.last_sequence);
        self.counters.launched(task.job.as_deref());
        self.effects.push(Effect::Launch(task.id.clone()));
        if self.settings.events {
            self.effects.push(Effect::Changed(Box::new(task.clone()), now));
        }
        self.tasks.insert(self.last_sequence, task);
    }

    /// Changes a task. `change` returns whether there is something to report; `None` for an unknown task.
    fn change(&mut self, id: &str, now: Millis, change: impl FnOnce(&mut Task) -> bool) -> Option<bool> {
        let sequence = *self.ids.get(id)?;
        let task = self.tasks.get_mut(&sequence)?;
        let before = task.phase;
        let changed = change(task);
        if changed {
            task.version += 1;
            if self.settings.events {
                self.effects.push(Effect::Changed(Box::new(task.clone()), now));
            }
        }
        if before != Phase::Stopped && task.phase == Phase::Stopped {
            let (id, token) = (task.id.clone(), task.token.clone());
            let clock = self.expiry_clock(now);
            self.stopped.push_back((clock, sequence));
            if let Some(token) = token {
                self.tokens.task_stopped(&token, &id, clock);
            }
            self.forget_old(now);
        }
        Some(changed)
    }

    /// Moves a task on and returns its driver's next step.
    pub(crate) fn advance(&mut self, id: &str, now: Millis) -> Next {
        let timing = self.settings.timing;
        let mut next = Next::Over;
        self.change(id, now, |task| {
            let before = (task.phase, task.stop.is_some());
            next = machine::advance(task, &timing, now);
            before != (task.phase, task.stop.is_some())
        });
        next
    }

    /// Records that the task's processes were started. Returns whether they may run; if not, the caller ends them.
    pub(crate) fn started(&mut self, id: &str, pids: &[u32], now: Millis) -> bool {
        let started = self.change(id, now, |task| machine::started(task, pids, now)) == Some(true);
        if started {
            let job = self.task(id).and_then(|task| task.job.clone());
            self.counters.started(job.as_deref());
        }
        started
    }

    /// Records that the task could not start. Returns whether that changed anything.
    pub(crate) fn start_failed(&mut self, id: &str, reason: String, now: Millis) -> bool {
        self.effects.push(Effect::Nudge(id.to_owned()));
        self.change(id, now, |task| machine::start_failed(task, reason, now)) == Some(true)
    }

    /// Records that a container's process ended.
    pub(crate) fn exited(&mut self, id: &str, index: usize, code: i32, now: Millis) {
        self.change(id, now, |task| {
            machine::exited(task, index, code, now);
            !task.script.never_stopped
        });
        if let Some(task) = self.task(id) {
            let over = task.containers.iter().all(|container| container.process == Process::Ended);
            let job = task.job.clone();
            if over {
                self.counters.ended(job.as_deref());
            }
        }
        self.effects.push(Effect::Nudge(id.to_owned()));
    }

    /// Requests a stop. Returns whether it was the first request; `None` for an unknown task.
    pub(crate) fn stop(&mut self, id: &str, stop: super::task::Stop, now: Millis) -> Option<bool> {
        self.effects.push(Effect::Nudge(id.to_owned()));
        self.change(id, now, |task| machine::request_stop(task, stop, now))
    }

    /// Empties a task's tags, or adds to them.
    pub(crate) fn retag(&mut self, id: &str, now: Millis, retag: impl FnOnce(&mut Vec<Value>)) {
        self.change(id, now, |task| {
            retag(&mut task.tags);
            false
        });
    }

    /// Records the memory of a container's processes; over the limit they are killed.
    pub(crate) fn measured(&mut self, id: &str, resident: &[u64], now: Millis) {
        let mut over = false;
        self.change(id, now, |task| {
            for (container, bytes) in task.containers.iter_mut().zip(resident) {
                container.resident = *bytes;
            }
            over = machine::mark_out_of_memory(task);
            false
        });
        if over {
            self.effects.push(Effect::Nudge(id.to_owned()));
        }
    }

    /// Takes the first fault that matches, and counts it.
    pub(crate) fn take_fault(
        &mut self,
        operation: &str,
        job: Option<&str>,
        wanted: impl Fn(&FaultKind) -> bool,
    ) -> Option<FaultKind> {
        let kind = self.faults.take(operation, job, wanted)?;
        self.counters.fault(kind.name());
        Some(kind)
    }
}
