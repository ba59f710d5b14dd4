//! Messages of a queue that were put back and are not visible yet. They count against what SQS lets be in flight.

use std::collections::BTreeMap;

use crate::protocol::clock::Ms;

/// Times are told apart by this.
const SLICE: Ms = 60_000;

/// So many messages of one queue may be held or put back at a time: some less than the 120,000 that SQS lets be in flight
/// in a standard queue, above which it hands out nothing any more.
pub const MOST: usize = 100_000;

/// How many come back when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Away(BTreeMap<Ms, usize>);

impl Away {
    /// A message was put back until `until`.
    pub(crate) fn add(&mut self, until: Ms, now: Ms) {
        self.0 = self.0.split_off(&(now / SLICE));
        *self.0.entry(until / SLICE).or_default() += 1;
    }

    /// How many are away.
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
