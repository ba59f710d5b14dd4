//! Counts of the queues, as they are read for the metrics.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use transcode_config::contract::QueueStatus;
use transcode_core::effects::ports::Depth;

/// The newest counts of each queue, by its name.
#[derive(Debug, Default)]
pub struct QueueCounts(Mutex<BTreeMap<String, QueueStatus>>);

impl QueueCounts {
    /// Notes the counts of a queue at a time (ms since 1970).
    pub fn note(&self, queue: &str, depth: Depth, dead_letters: Option<u64>, counted_at_ms: u64) {
        let Depth { visible, in_flight, delayed } = depth;
        let status = QueueStatus { visible, in_flight, delayed, dead_letters, counted_at_ms };
        self.lock().insert(queue.to_owned(), status);
    }

    /// All counts.
    pub fn all(&self) -> BTreeMap<String, QueueStatus> {
        self.lock().clone()
    }

    /// Every state is a valid one, so a panic elsewhere does no harm.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, QueueStatus>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
