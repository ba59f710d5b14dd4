//! Dead letters of messages that were put aside.
//!
//! A message may name a dead job and one that only a newer version can read (S15). The dead job's letter is sent and
//! the message is put aside; it returns for as long as the other job cannot be read. The controller remembers the sent
//! letters, so that each is sent once per controller process.

use std::collections::{BTreeSet, VecDeque};

use transcode_config::contract::JobKey;

use crate::protocol::fact::MessageId;

/// Most messages that are remembered. The oldest is forgotten first; its letter is then sent twice.
const MOST: usize = 1000;

/// Messages that were put aside, each with the jobs whose letters were acknowledged for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Letters(VecDeque<(MessageId, BTreeSet<JobKey>)>);

impl Letters {
    /// Notes that a message is put aside, with the jobs whose letters were sent for it.
    pub(crate) fn put_aside(&mut self, message: &MessageId, sent: BTreeSet<JobKey>) {
        if sent.is_empty() {
            return;
        }
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back((message.clone(), sent));
    }

    /// Notes that a message is back. Returns the jobs whose letters were sent for it.
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
