//! Dead letters of messages that were put aside.
//!
//! A message may ask for a job that is dead and, beside it, for one that only a newer version understands (S15). The dead
//! one's letter is sent and the message put aside, and it comes back for as long as the other is not understood. What was
//! sent is remembered, so that it is sent once; a controller that was started since sends it once more.

use std::collections::{BTreeSet, VecDeque};

use transcode_config::contract::JobKey;

use crate::protocol::fact::MessageId;

/// Messages that are remembered. The oldest is forgotten first, which costs a letter.
const MOST: usize = 1000;

/// Messages that were put aside, each with the jobs whose letter has been acknowledged on its behalf.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Letters(VecDeque<(MessageId, BTreeSet<JobKey>)>);

impl Letters {
    /// A message is put aside.
    pub(crate) fn put_aside(&mut self, message: &MessageId, sent: BTreeSet<JobKey>) {
        if sent.is_empty() {
            return;
        }
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back((message.clone(), sent));
    }

    /// It is back.
    pub(crate) fn back(&mut self, message: &MessageId) -> BTreeSet<JobKey> {
        let known = self.0.iter().position(|(known, _)| known == message);
        known.and_then(|at| self.0.remove(at)).map(|(_, sent)| sent).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_remembered_and_the_newest_of_them() {
        let id = |n: usize| MessageId(n.to_string().into());
        let sent = || BTreeSet::from([JobKey::of(&["x"])]);
        let mut letters = Letters::default();
        (0..=MOST).for_each(|n| letters.put_aside(&id(n), sent()));
        letters.put_aside(&id(MOST + 1), BTreeSet::new());
        assert_eq!([0, 1, MOST, MOST + 1].map(|n| letters.back(&id(n)).len()), [0, 1, 1, 0]);
        assert!(letters.back(&id(1)).is_empty(), "it is held again");
    }
}
