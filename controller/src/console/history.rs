//! What the controller reported since the console started: the numbers behind the small curves.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use transcode_config::contract::StatusReport;

/// Reports that are kept: two hours where the controller writes each ten seconds.
const KEPT: usize = 720;

/// The numbers of one report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) at_ms: u64,
    /// Messages that wait, in all queues.
    pub(super) waiting: u64,
    /// Messages in all dead-letter queues.
    pub(super) letters: u64,
    pub(super) tasks: u64,
    pub(super) max_tasks: u64,
}

impl Sample {
    /// The numbers of a report.
    pub(super) fn of(report: &StatusReport) -> Self {
        let queues = report.queues.values();
        Self {
            at_ms: report.written_at_ms,
            waiting: queues.clone().map(|queue| queue.visible + queue.delayed).sum(),
            letters: queues.filter_map(|queue| queue.dead_letters).sum(),
            tasks: report.tasks_in_flight,
            max_tasks: report.max_tasks,
        }
    }
}

/// The newest samples, the oldest first.
#[derive(Debug, Default)]
pub(super) struct History(Mutex<VecDeque<Sample>>);

impl History {
    /// Keeps a sample, unless its report is known already or older.
    pub(super) fn keep(&self, sample: Sample) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.back().is_some_and(|last| last.at_ms >= sample.at_ms) {
            return;
        }
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(sample);
    }

    /// All samples, the oldest first.
    pub(super) fn all(&self) -> Vec<Sample> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_kept_once_and_old_ones_go() {
        let history = History::default();
        let at = |at_ms| Sample { at_ms, ..Sample::default() };
        for ms in [5, 5, 4, 6] {
            history.keep(at(ms));
        }
        assert_eq!(history.all(), [at(5), at(6)]);
        (7..2_000).for_each(|ms| history.keep(at(ms)));
        assert_eq!((history.all().len(), history.all().last()), (KEPT, Some(&at(1_999))));
    }
}
