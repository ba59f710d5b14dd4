//! Changes that no event announced.
//!
//! Everything ends without events, only more slowly, so a broken rule or queue policy would go unnoticed. This module
//! compares the changes that reads have shown with the hints that came. Several controllers share one events queue and
//! each gets a part of it; so with more than one controller the count is too high.

use std::collections::HashMap;

use transcode_core::protocol::{clock::Ms, fact::Hint};

/// An event may still come for this long (ms) after the read that showed its change.
const GRACE: Ms = 60_000;

/// An event that came earlier than this (ms) before a change does not announce it. Allows for a difference between ECS'
/// clock and ours.
const SKEW: Ms = 10_000;

/// How long events are remembered (ms): longer than the time between reads.
const KEEP: Ms = 600_000;

/// Hints that came, and changes found without one. All times by the wall clock: ECS' times are compared with ours.
#[derive(Debug, Default)]
pub(super) struct Missed {
    hinted: HashMap<Hint, Ms>,
    found: HashMap<Hint, Ms>,
    swept_at: Ms,
}

impl Missed {
    /// Notes an event.
    pub(super) fn hinted(&mut self, hint: &Hint, now: Ms) {
        self.found.remove(hint);
        self.hinted.insert(hint.clone(), now);
    }

    /// Notes a change that a read has shown and that happened at `at` (ms since 1970).
    pub(super) fn found(&mut self, hint: Hint, at: Ms, now: Ms) {
        let told = self.hinted.get(&hint).is_some_and(|hinted| *hinted + SKEW >= at);
        if !told {
            self.found.entry(hint).or_insert(now);
        }
    }

    /// Returns the changes that no event announced in time, each once.
    pub(super) fn overdue(&mut self, now: Ms) -> Vec<Hint> {
        if now.saturating_sub(self.swept_at) < GRACE / 6 {
            return Vec::new();
        }
        self.swept_at = now;
        self.hinted.retain(|_, at| now.saturating_sub(*at) < KEEP);
        self.found.extract_if(|_, at| now.saturating_sub(*at) >= GRACE).map(|(hint, _)| hint).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use transcode_core::protocol::task_view::TaskArn;

    const NOW: Ms = 1_700_000_000_000;

    fn task() -> Hint {
        Hint::Task(TaskArn("arn:task/1".into()))
    }

    #[test]
    fn an_event_before_or_soon_after_tells() {
        let mut missed = Missed::default();
        missed.hinted(&task(), NOW);
        missed.found(task(), NOW - 1000, NOW);
        assert_eq!(missed.overdue(NOW + GRACE), []);

        let mut late = Missed::default();
        late.found(task(), NOW, NOW);
        late.hinted(&task(), NOW + GRACE - 1);
        assert_eq!(late.overdue(NOW + 2 * GRACE), []);
    }

    #[test]
    fn no_event_or_one_of_something_earlier_does_not_and_counts_once() {
        let mut missed = Missed::default();
        missed.hinted(&task(), NOW - SKEW - 1);
        missed.found(task(), NOW, NOW);
        assert_eq!(missed.overdue(NOW + GRACE - 1), []);
        assert_eq!(missed.overdue(NOW + 2 * GRACE), [task()]);
        assert_eq!(missed.overdue(NOW + 3 * GRACE), []);
    }

    #[test]
    fn events_are_forgotten() {
        let mut missed = Missed::default();
        missed.hinted(&task(), NOW);
        missed.overdue(NOW + KEEP);
        assert!(missed.hinted.is_empty());
    }
}
