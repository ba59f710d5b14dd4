//! Messages of a queue that were put back and are not visible yet. They count against SQS' limit of messages in flight.

use std::collections::BTreeMap;

use crate::protocol::clock::Ms;

/// Resolution of the times (ms).
const SLICE: Ms = 60_000;

/// Most messages of one queue that are held or put back at the same time: somewhat less than 120,000, SQS' limit of
/// messages in flight in a standard queue. At that limit SQS delivers no more.
pub const MOST: usize = 100_000;

/// The number of returns by time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Away(BTreeMap<Ms, usize>);

impl Away {
    /// A message was put back until `until` (monotonic).
    pub(crate) fn add(&mut self, until: Ms, now: Ms) {
        self.0 = self.0.split_off(&(now / SLICE));
        *self.0.entry(until / SLICE).or_default() += 1;
    }

    /// Number of messages that are put back and not visible yet.
    pub fn count(&self, now: Ms) -> usize {
        self.0.range(now / SLICE..).map(|(_, messages)| messages).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_back_counts_until_it_is_visible_again() {
        let mut away = Away::default();
        for minute in [1, 5, 5, 700] {
            away.add(minute * SLICE, 0);
        }
        assert_eq!([0, 2, 6, 701].map(|minute| away.count(minute * SLICE)), [4, 3, 1, 0]);
        away.add(800 * SLICE, 10 * SLICE);
        assert_eq!((away.0.len(), away.count(0)), (2, 2), "what is over is forgotten");
    }
}
