//! The object keys of jobs, for log lines: people know their uploads by these.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use transcode_config::contract::JobKey;

/// Most jobs that are remembered, about 4 MB. Lines about a job come also after it is settled, when its last task ends.
const MAX: usize = 20_000;

/// Which object key each job belongs to. The oldest are forgotten beyond a limit.
#[derive(Debug, Default)]
pub struct Sources(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    keys: BTreeMap<JobKey, Arc<str>>,
    order: VecDeque<JobKey>,
}

impl Sources {
    /// Remembers the object key of a job.
    pub fn learn(&self, job: &JobKey, key: &str) {
        let mut known = self.lock();
        if known.keys.contains_key(job) {
            return;
        }
        known.keys.insert(job.clone(), key.into());
        known.order.push_back(job.clone());
        if known.order.len() > MAX
            && let Some(oldest) = known.order.pop_front()
        {
            known.keys.remove(&oldest);
        }
    }

    /// The object key of a job, if its source is known.
    pub fn key_of(&self, job: &JobKey) -> Option<Arc<str>> {
        self.lock().keys.get(job).cloned()
    }

    /// A panic elsewhere must not end the log: every state of the map is valid.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_remembered_up_to_a_limit_and_the_oldest_are_forgotten() {
        let sources = Sources::default();
        let job = |n: usize| JobKey::of(&[&n.to_string()]);
        for n in 0..=MAX {
            sources.learn(&job(n), &format!("{n}.mp4"));
            sources.learn(&job(n), "once is enough");
        }
        assert_eq!(sources.key_of(&job(0)), None);
        assert_eq!(sources.key_of(&job(1)).as_deref(), Some("1.mp4"));
        assert_eq!(sources.key_of(&job(MAX)).as_deref(), Some(&*format!("{MAX}.mp4")));
    }
}
