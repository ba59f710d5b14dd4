//! The calls that the loop makes.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::task::{Id, JoinError, JoinSet};
use transcode_core::{
    effects::{apply::gave_up, batch::Work},
    protocol::{action::Action, fact::Fact},
};

/// Limits of the loop, from the settings.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most calls under way at the same time, without long polls.
    pub concurrency: usize,
    /// An action that takes longer is given up. Longer than the sum of the adapters' own timeouts.
    pub give_up: Duration,
    /// Longest time for draining.
    pub drain: Duration,
}

/// The calls under way, each with its actions, so that a call that panics is answered too; and those that wait until one
/// of them is answered. What waits is a line of a list: a call under way takes kilobytes, and after a start there are as
/// many to make as there are tasks.
pub(super) struct Calls<M> {
    /// Makes a call and returns its answer.
    make: M,
    pub(super) set: JoinSet<Vec<Fact>>,
    works: HashMap<Id, Arc<Work>>,
    waiting: VecDeque<Work>,
    /// Calls under way, without long polls.
    bounded: usize,
    limits: Limits,
}

impl<M: Fn(Work) -> F, F: Future<Output = Vec<Fact>> + Send + 'static> Calls<M> {
    pub(super) fn new(make: M, limits: Limits) -> Self {
        let (set, works, waiting) = (JoinSet::new(), HashMap::new(), VecDeque::new());
        Self { make, set, works, waiting, bounded: 0, limits }
    }

    /// Makes a call now, or once a place is free, first come, first served.
    pub(super) fn start(&mut self, work: Work) {
        if is_long_poll(&work) {
            self.begin(work);
        } else {
            self.waiting.push_back(work);
            self.fill();
        }
    }

    /// Begins calls that wait while places are free.
    fn fill(&mut self) {
        while self.bounded < self.limits.concurrency.max(1) {
            let Some(work) = self.waiting.pop_front() else { return };
            self.bounded += 1;
            self.begin(work);
        }
    }

    fn begin(&mut self, work: Work) {
        let (call, give_up, work) = ((self.make)(work.clone()), self.limits.give_up, Arc::new(work));
        let copy = Arc::clone(&work);
        let handle = self.set.spawn(async move {
            match tokio::time::timeout(give_up, call).await {
                Ok(facts) => facts,
                Err(_) => all_gave_up(&work, u64::try_from(give_up.as_millis()).unwrap_or(u64::MAX)),
            }
        });
        self.works.insert(handle.id(), copy);
    }

    pub(super) fn answer(&mut self, joined: Result<(Id, Vec<Fact>), JoinError>) -> Vec<Fact> {
        let (id, answer) = match joined {
            Ok((id, facts)) => (id, Ok(facts)),
            Err(error) => (error.id(), Err(error)),
        };
        let work = self.works.remove(&id);
        self.bounded -= usize::from(work.as_deref().is_some_and(|work| !is_long_poll(work)));
        self.fill();
        answer.unwrap_or_else(|error| {
            tracing::error!(action = work.as_deref().map(Work::name), %error, "a call ended abnormally");
            work.map(|work| all_gave_up(&work, 0)).unwrap_or_default()
        })
    }
}

/// A call that waits for a message for seconds: it takes nobody's place.
fn is_long_poll(work: &Work) -> bool {
    matches!(work, Work::One(Action::Receive { .. }))
}

fn all_gave_up(work: &Work, after_ms: u64) -> Vec<Fact> {
    work.actions().iter().flat_map(|action| gave_up(action, after_ms)).collect()
}

#[cfg(test)]
mod tests;
