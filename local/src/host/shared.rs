//! State that all parts share behind a lock, and the effects of its changes.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;
use tokio::sync::{Notify, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{clock::Clock, driver, folder::Leftover, spawner::Spawner};
use crate::{
    config::Config,
    model::{
        Millis, envelope,
        state::{Effect, EndpointState},
        task::TaskId,
    },
    upstream::Upstream,
};

/// State that all parts share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    /// `http://127.0.0.1:PORT`, where this endpoint listens.
    pub(crate) endpoint: String,
    pub(crate) spawner: Spawner,
    pub(crate) upstream: Option<Upstream>,
    /// Stops the drivers and the server.
    pub(crate) stop: CancellationToken,
    /// The drivers, and those that wait for the processes' ends.
    pub(crate) running: TaskTracker,
    pub(crate) leftovers: Mutex<VecDeque<Leftover>>,
    state: Mutex<EndpointState>,
    nudges: Mutex<HashMap<TaskId, Arc<Notify>>>,
    events: Option<mpsc::Sender<Value>>,
    clock: Clock,
}

/// The arguments of [`Shared::new`].
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) endpoint: String,
    pub(crate) spawner: Spawner,
    pub(crate) upstream: Option<Upstream>,
    pub(crate) state: EndpointState,
    pub(crate) events: Option<mpsc::Sender<Value>>,
}

/// The lock's content, also after a holder panicked: the state is consistent between any two statements that matter,
/// and a test server that continues is more useful than one that hangs up.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            config: parts.config,
            endpoint: parts.endpoint,
            spawner: parts.spawner,
            upstream: parts.upstream,
            stop: CancellationToken::new(),
            running: TaskTracker::new(),
            leftovers: Mutex::default(),
            state: Mutex::new(parts.state),
            nudges: Mutex::default(),
            events: parts.events,
            clock: Clock::start(),
        })
    }

    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    /// Reads or changes the state, then carries out the effects of the change.
    pub(crate) fn update<T>(self: &Arc<Self>, change: impl FnOnce(&mut EndpointState, Millis) -> T) -> T {
        let mut state = lock(&self.state);
        let result = change(&mut state, self.clock.now());
        for effect in std::mem::take(&mut state.effects) {
            self.carry_out(effect, &mut state);
        }
        result
    }

    /// Runs under the state's lock, so that events are queued in the order of the changes.
    fn carry_out(self: &Arc<Self>, effect: Effect, state: &mut EndpointState) {
        match effect {
            Effect::Launch(id) => {
                let nudge = Arc::new(Notify::new());
                lock(&self.nudges).insert(id.clone(), Arc::clone(&nudge));
                self.running.spawn(driver::drive(Arc::clone(self), id, nudge));
            }
            Effect::Nudge(id) => {
                if let Some(nudge) = lock(&self.nudges).get(&id) {
                    nudge.notify_one();
                }
            }
            Effect::Changed(task, at) => {
                let Some(events) = &self.events else { return };
                let id = uuid::Uuid::new_v4().to_string();
                let event = envelope::state_change(&state.settings.names, &task, &id, at);
                if events.try_send(event).is_err() {
                    state.counters.events_failed += 1;
                }
            }
        }
    }

    /// The task's driver has ended.
    pub(crate) fn forget_driver(&self, id: &str) {
        lock(&self.nudges).remove(id);
    }
}
