//! Messages that are put back because too many jobs wait.

use std::collections::{BTreeMap, BinaryHeap};

use transcode_config::contract::JobKey;

use crate::{
    policy::Policy,
    protocol::{clock::Now, fact::MessageId},
    state::{
        job::Job,
        lease::{Content, Spare},
        ledger::Ledger,
    },
    weakness::{Weakness, weak},
};

impl Ledger {
    /// Marks messages to be put back while more jobs wait for a slot than `look_ahead`: each time the last job of the
    /// line that is longest for its weight. So a flood of one tenant makes way for the others, and the messages sent
    /// first stay. Only a job that was looked up and never tried is put back: a task may be working on any other.
    /// Returns whether any message is marked; the next turn gives them back.
    pub(crate) fn put_back_excess(&mut self, policy: &Policy, now: Now) -> bool {
        let Some(place) = policy.look_ahead else { return false };
        let mut excess = self.jobs.waiting().saturating_sub(place);
        if excess == 0 {
            return false;
        }
        let lines = self.jobs.lines().map(|(line, jobs)| (self.length(line, jobs), jobs, line));
        let mut longest: BinaryHeap<(u64, usize, u32)> = lines.collect();
        let mut ends = BTreeMap::new();
        let mut last = Vec::new();
        while let Some((_, jobs, line)) = longest.pop().filter(|_| excess > 0) {
            let end = ends.entry(line).or_insert_with(|| {
                let jobs = self.jobs.in_line_of(line).rev();
                jobs.filter(|(_, _, job)| self.may_be_put_back(job)).map(|(_, key, _)| key.clone())
            });
            if let Some(key) = end.next() {
                last.push(key);
                excess -= 1;
                longest.push((self.length(line, jobs - 1), jobs - 1, line));
            }
        }
        drop(ends);
        for key in &last {
            self.put_back(key);
            self.count_job(key, policy, now);
        }
        !last.is_empty()
    }

    /// Length of a line divided by the weight of its tenant, in thousandths.
    fn length(&self, line: u32, jobs: usize) -> u64 {
        if weak(Weakness::PutsBackWhateverCameLast) {
            return self.jobs.in_line_of(line).next_back().map_or(0, |(since, ..)| since);
        }
        let weight = self.tenants.get(line).map_or(1, |account| account.terms.weight);
        (jobs as u64).saturating_mul(1000) / weight
    }

    fn may_be_put_back(&self, job: &Job) -> bool {
        let alone = |message: &MessageId| {
            let content = self.leases.get(message).map(|lease| &lease.content);
            matches!(content, Some(Content::Jobs(jobs)) if jobs.len() == 1)
        };
        job.attempt.is_none() && job.tasks.is_empty() && job.call.is_none() && job.leases.keys().all(alone)
    }

    fn put_back(&mut self, key: &JobKey) {
        let Some(job) = self.jobs.get_mut(key) else { return };
        job.put_back = true;
        self.tenants.changed(job.tenant);
        for message in job.leases.clone().into_keys() {
            if let Some(lease) = self.leases.get_mut(&message) {
                lease.spare = Some(Spare::Excess);
                self.spares.insert(message);
            }
        }
    }
}
