//! Client tokens: a repeated RunTask gives the answer of the first one.
//!
//! A token belongs to a cluster and lives for the shorter of [`Lifetimes::longest`] after its first use and
//! [`Lifetimes::after_stop`] after the last of its tasks has stopped.

use std::collections::HashMap;

use serde_json::Value;

use super::{Millis, task::TaskId};

/// Tokens kept; the oldest gives way to a new one.
const MAX_TOKENS: usize = 50_000;

/// How long tokens are remembered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetimes {
    pub(crate) longest: Millis,
    pub(crate) after_stop: Millis,
}

/// The result of the first call with a token.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Hash of the request without the token.
    fingerprint: String,
    /// Id and ARN of each task.
    pub(crate) tasks: Vec<(TaskId, String)>,
    /// The answer's `failures`.
    pub(crate) failures: Vec<Value>,
    created: Millis,
    running: usize,
    over_at: Option<Millis>,
}

/// The table's answer about a call.
#[derive(Debug)]
pub(crate) enum Lookup {
    /// Never seen, or forgotten.
    Fresh,
    /// The same call again.
    Replay(Entry),
    /// Another call had this token; the ARNs of its tasks.
    Conflict(Vec<String>),
}

/// All tokens of all clusters.
#[derive(Debug)]
pub(crate) struct Tokens {
    lifetimes: Lifetimes,
    entries: HashMap<String, Entry>,
}

/// The key of a token, which is unique in its cluster only.
pub(crate) fn key(cluster: &str, token: &str) -> String {
    format!("{cluster}/{token}")
}

impl Tokens {
    pub(crate) fn new(lifetimes: Lifetimes) -> Self {
        Self { lifetimes, entries: HashMap::new() }
    }

    /// Looks a call's token up.
    pub(crate) fn look(&mut self, key: &str, fingerprint: &str, now: Millis) -> Lookup {
        let Some(entry) = self.entries.get(key) else { return Lookup::Fresh };
        if entry.is_expired(self.lifetimes, now) {
            self.entries.remove(key);
            return Lookup::Fresh;
        }
        if entry.fingerprint == fingerprint {
            Lookup::Replay(entry.clone())
        } else {
            Lookup::Conflict(entry.tasks.iter().map(|(_, arn)| arn.clone()).collect())
        }
    }

    /// Remembers the result of a call.
    pub(crate) fn keep(
        &mut self,
        key: String,
        fingerprint: String,
        tasks: Vec<(TaskId, String)>,
        failures: Vec<Value>,
        now: Millis,
    ) {
        if self.entries.len() >= MAX_TOKENS {
            self.make_room(now);
        }
        let running = tasks.len();
        self.entries
            .insert(key, Entry { fingerprint, tasks, failures, created: now, running, over_at: None });
    }

    /// Records that one of the token's tasks has stopped.
    pub(crate) fn task_stopped(&mut self, key: &str, id: &str, now: Millis) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        // A token that was forgotten and used again has other tasks.
        if entry.tasks.iter().any(|(task, _)| task == id) {
            entry.running = entry.running.saturating_sub(1);
            if entry.running == 0 {
                entry.over_at = Some(now);
            }
        }
    }

    fn make_room(&mut self, now: Millis) {
        let lifetimes = self.lifetimes;
        self.entries.retain(|_, entry| !entry.is_expired(lifetimes, now));
        if self.entries.len() >= MAX_TOKENS {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.created);
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                self.entries.remove(&key);
            }
        }
    }
}

impl Entry {
    fn is_expired(&self, lifetimes: Lifetimes, now: Millis) -> bool {
        now >= self.created.saturating_add(lifetimes.longest)
            || self.over_at.is_some_and(|over| now >= over.saturating_add(lifetimes.after_stop))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> Tokens {
        let mut tokens = Tokens::new(Lifetimes { longest: 1000, after_stop: 100 });
        let tasks = vec![("t1".to_owned(), "arn1".to_owned()), ("t2".to_owned(), "arn2".to_owned())];
        tokens.keep(key("c", "k"), "same".to_owned(), tasks, Vec::new(), 0);
        tokens
    }

    #[test]
    fn a_token_lives_until_its_longest_age_while_a_task_runs() {
        let mut tokens = tokens();
        tokens.task_stopped("c/k", "t1", 10);
        assert!(matches!(tokens.look("c/k", "same", 999), Lookup::Replay(_)));
        assert!(matches!(tokens.look("c/k", "same", 1000), Lookup::Fresh));
    }

    #[test]
    fn a_token_is_forgotten_some_time_after_its_last_task_stopped() {
        let mut tokens = tokens();
        tokens.task_stopped("c/k", "t1", 10);
        tokens.task_stopped("c/k", "t2", 20);
        assert!(matches!(tokens.look("c/k", "same", 119), Lookup::Replay(_)));
        assert!(matches!(tokens.look("c/k", "same", 120), Lookup::Fresh));
    }

    #[test]
    fn another_request_conflicts_in_the_same_cluster_only() {
        let mut tokens = tokens();
        assert!(matches!(tokens.look("c/k", "other", 1), Lookup::Conflict(arns) if arns == ["arn1", "arn2"]));
        assert!(matches!(tokens.look("d/k", "other", 1), Lookup::Fresh));
    }
}
