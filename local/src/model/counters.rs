//! Counters for the tests.

use std::collections::BTreeMap;

use serde::Serialize;

/// Jobs counted one by one; later ones count in the totals only.
const MAX_JOBS: usize = 100_000;
/// Different operation and exception names counted; more than the API has.
const MAX_NAMES: usize = 200;

/// Tasks of one job, or of all.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TaskCounts {
    /// Tasks that RunTask created.
    pub(crate) launched: u64,
    /// Tasks whose processes were started.
    pub(crate) started: u64,
    /// Tasks with a live process now.
    pub(crate) running: u64,
    /// The most that had one at the same time.
    pub(crate) max_running: u64,
}

/// All counters; what `GET /_control/counters` answers.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counters {
    /// Calls by operation, refused and lost ones included.
    pub(crate) calls: BTreeMap<String, u64>,
    /// Refusals by exception name.
    pub(crate) errors: BTreeMap<String, u64>,
    /// Faults that hit, by kind.
    pub(crate) faults: BTreeMap<String, u64>,
    /// RunTask calls answered from their token.
    pub(crate) replays: u64,
    /// Tasks that ended with files left in their folder.
    pub(crate) leftovers: u64,
    /// Events handed over to the queue.
    pub(crate) events_sent: u64,
    /// Events given up: the queue was away or too slow.
    pub(crate) events_failed: u64,
    /// Of all tasks.
    pub(crate) tasks: TaskCounts,
    /// Of the tasks of each job.
    pub(crate) jobs: BTreeMap<String, TaskCounts>,
}

impl Counters {
    /// Zero, except for running tasks.
    pub(crate) fn continuing(old: &Self) -> Self {
        let running = |counts: &TaskCounts| TaskCounts {
            running: counts.running,
            max_running: counts.running,
            ..TaskCounts::default()
        };
        let jobs = old.jobs.iter().filter(|(_, counts)| counts.running > 0);
        Self {
            tasks: running(&old.tasks),
            jobs: jobs.map(|(job, counts)| (job.clone(), running(counts))).collect(),
            ..Self::default()
        }
    }

    /// One call of an operation.
    pub(crate) fn call(&mut self, operation: &str) {
        bump(&mut self.calls, operation);
    }

    /// One refusal.
    pub(crate) fn error(&mut self, code: &str) {
        bump(&mut self.errors, code);
    }

    /// One hit of a fault.
    pub(crate) fn fault(&mut self, kind: &str) {
        bump(&mut self.faults, kind);
    }

    pub(crate) fn launched(&mut self, job: Option<&str>) {
        self.each(job, |counts| counts.launched += 1);
    }

    pub(crate) fn started(&mut self, job: Option<&str>) {
        self.each(job, |counts| {
            counts.started += 1;
            counts.running += 1;
            counts.max_running = counts.max_running.max(counts.running);
        });
    }

    pub(crate) fn ended(&mut self, job: Option<&str>) {
        self.each(job, |counts| counts.running = counts.running.saturating_sub(1));
    }

    fn each(&mut self, job: Option<&str>, change: impl Fn(&mut TaskCounts)) {
        change(&mut self.tasks);
        let Some(job) = job else { return };
        if self.jobs.contains_key(job) || self.jobs.len() < MAX_JOBS {
            change(self.jobs.entry(job.to_owned()).or_default());
        }
    }
}

fn bump(map: &mut BTreeMap<String, u64>, name: &str) {
    if let Some(count) = map.get_mut(name) {
        *count += 1;
    } else if map.len() < MAX_NAMES {
        map.insert(name.to_owned(), 1);
    }
}
