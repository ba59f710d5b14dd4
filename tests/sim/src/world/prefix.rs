//! S3's pointers and stable names, and the requests of a publisher.

use std::{ops::ControlFlow, sync::Arc};

use transcode_config::contract::{
    Attempt, JobKey, JobSpec, Layout, Outcome, Published, SCHEMA, SourceObject, SourceOrder, Succeeded,
};
use transcode_core::{
    message::Request,
    protocol::publishing::{Answer, If, Publication, Publishing, Step, Tag},
    weakness::{Weakness, weak},
};

use super::{EPOCH, World, event::Event};
use crate::{
    fault::Fault,
    invariants,
    setup::{HOUR, SECOND},
    truth::JobTruth,
};

/// Stable names under each prefix.
pub(super) const ENTRIES: usize = 2;

/// The contents of one output prefix.
#[derive(Debug, Clone, Default)]
pub(super) struct PrefixTruth {
    /// The pointer, the index of its job, its tag.
    pointer: Option<(Box<Published>, usize, Tag)>,
    /// For each stable name: the index of the job, and the tag.
    entries: [Option<(usize, Tag)>; ENTRIES],
    /// Jobs with this prefix that have a specification.
    jobs: Vec<usize>,
    writes: u64,
}

fn holds(tag: Option<&Tag>, condition: &If) -> bool {
    match condition {
        If::Absent => tag.is_none(),
        If::Still(seen) => tag == Some(seen),
        If::Whatever => true,
    }
}

impl World {
    /// Creates the specification unless it exists; returns whether this call created it.
    pub(super) fn put_spec(&mut self, spec: &Arc<JobSpec>) -> bool {
        let Some(index) = self.job_of(&spec.job) else { return false };
        let Some(job) = self.jobs.get_mut(index).filter(|job| job.spec.is_none()) else { return false };
        job.spec = Some(Arc::clone(spec));
        self.prefixes.entry(spec.output.prefix.clone()).or_default().jobs.push(index);
        true
    }

    /// Checks a specification that a controller takes for the job's.
    pub(super) fn check_spec(&mut self, key: &JobKey, taken: Option<&JobSpec>) {
        let Some(taken) = taken else { return };
        let job = self.job_of(key).and_then(|job| self.jobs.get(job));
        let found = invariants::s20_the_specification(job, taken);
        self.check(found);
    }

    /// A publisher for a winner; `None` for a job without a specification.
    pub(super) fn publishing(&self, key: &JobKey, winner: &Succeeded) -> Option<Publishing> {
        let spec = self.jobs.get(self.job_of(key)?)?.spec.as_ref()?;
        let order = SourceOrder::of(spec, winner.source.as_ref(), EPOCH + self.now);
        let next = Published {
            schema: SCHEMA,
            output: spec.output.clone(),
            source: SourceObject { bucket: spec.source.bucket.clone(), key: spec.source.key.clone() },
            job: key.clone(),
            attempt: winner.attempt,
            folder: Layout::of(key).folder(winner.attempt),
            highest_sequencer: order.sequencer.clone(),
            order,
            serial: 1,
            published_at_ms: EPOCH + self.now,
        };
        Some(Publishing::new(next, ENTRIES))
    }

    /// Carries out one step of a publisher. `Break` when it has ended: with its result, or with `None` if it gave up.
    pub(super) fn publish_step(
        &mut self,
        key: &JobKey,
        attempt: Attempt,
        publishing: &mut Publishing,
    ) -> ControlFlow<Option<Publication>> {
        let step = publishing.step();
        let answer = match &step {
            Step::Done(publication) => {
                self.check_superseded(key, publication);
                return ControlFlow::Break(Some(publication.clone()));
            }
            Step::Busy => return ControlFlow::Break(None),
            Step::MovePointer(..) | Step::Write(..) if self.fault(Fault::WriteDelayed) => {
                // The request is sent, and arrives after its caller has stopped waiting.
                let delay = self.rng.spread(SECOND, HOUR);
                self.after(delay, Event::Straggler(key.clone(), attempt, Box::new(step.clone())));
                Answer::Written(false)
            }
            step => match self.prefix_step(key, attempt, step) {
                Some(answer) => answer,
                None => return ControlFlow::Continue(()),
            },
        };
        publishing.answer(answer);
        ControlFlow::Continue(())
    }

    /// A write whose sender has given up arrives.
    pub(super) fn straggles(&mut self, key: &JobKey, attempt: Attempt, step: &Step) {
        let _ = self.prefix_step(key, attempt, step);
    }

    pub(super) fn prefix_step(&mut self, key: &JobKey, attempt: Attempt, step: &Step) -> Option<Answer> {
        let index = self.job_of(key)?;
        let name = self.jobs.get(index)?.spec.as_ref()?.output.prefix.clone();
        let prefix = self.prefixes.get(&name)?;
        match step {
            Step::Look(entry) => {
                Some(Answer::Seen(prefix.entries.get(*entry)?.as_ref().map(|(_, tag)| tag.clone())))
            }
            Step::ReadPointer => {
                let there = prefix.pointer.clone();
                Some(Answer::Pointer(there.map(|(pointer, _, tag)| (pointer, tag))))
            }
            Step::MovePointer(next, condition) => {
                let there = prefix.pointer.as_ref();
                let written = holds(there.map(|(.., tag)| tag), condition);
                if written {
                    let before = there.and_then(|(_, job, _)| self.jobs.get(*job));
                    let found = invariants::s17_moves_forward("the pointer", before, self.jobs.get(index)?);
                    self.check(found);
                    let prefix = self.prefixes.get_mut(&name)?;
                    prefix.writes += 1;
                    prefix.pointer = Some((next.clone(), index, prefix.writes.to_string()));
                    self.published(&name);
                }
                Some(Answer::Written(written))
            }
            Step::Write(entry, condition) => {
                let there = prefix.entries.get(*entry)?.as_ref();
                let written = holds(there.map(|(_, tag)| tag), condition);
                if written {
                    let before = there.and_then(|(job, _)| self.jobs.get(*job));
                    let found = invariants::s17_moves_forward("a stable name", before, self.jobs.get(index)?);
                    self.check(found);
                    self.write_entry(&name, index, attempt, *entry);
                }
                Some(Answer::Written(written))
            }
            Step::Done(_) | Step::Busy => None,
        }
    }

    fn write_entry(&mut self, name: &str, index: usize, attempt: Attempt, entry: usize) {
        let newest = self.jobs.get(index).and_then(|job| job.claims.last()).map(|claim| claim.attempt);
        let attempt = newest.filter(|_| weak(Weakness::PublishesNewestAttempt)).unwrap_or(attempt);
        self.check(invariants::s4_published_is_the_winner(self.jobs.get(index), attempt));
        if let Some(prefix) = self.prefixes.get_mut(name) {
            prefix.writes += 1;
            let tag = prefix.writes.to_string();
            if let Some(there) = prefix.entries.get_mut(entry) {
                *there = Some((index, tag));
            }
        }
        self.published(name);
    }

    /// Marks the jobs of a prefix that are published: a newer job is live, or all stable names lead to the job or to
    /// newer ones.
    fn published(&mut self, name: &str) {
        let Some(prefix) = self.prefixes.get(name) else { return };
        let rank = |job: usize| self.jobs.get(job).map_or(0, invariants::rank);
        let lowest = prefix.entries.iter().map(|entry| entry.as_ref().map_or(0, |(job, _)| rank(*job))).min();
        let pointer = prefix.pointer.as_ref().map_or(0, |(_, job, _)| rank(*job));
        let jobs = prefix.jobs.iter().copied();
        let settled: Vec<usize> =
            jobs.filter(|job| pointer > rank(*job) || lowest.unwrap_or(0) >= rank(*job)).collect();
        for job in settled {
            let Some(job) = self.jobs.get_mut(job) else { continue };
            if let Some(Outcome::Succeeded(winner)) = job.terminal.as_ref().map(|terminal| &terminal.outcome)
            {
                job.published = Some(winner.attempt);
            }
        }
    }

    fn check_superseded(&mut self, key: &JobKey, publication: &Publication) {
        let Some(job) = self.job_of(key).and_then(|job| self.jobs.get(job)) else { return };
        let Some(name) = job.spec.as_ref().map(|spec| spec.output.prefix.clone()) else { return };
        let Some(prefix) = self.prefixes.get(&name) else { return };
        if let Publication::Superseded(_) = publication {
            let live = prefix.pointer.as_ref().and_then(|(_, job, _)| self.jobs.get(*job));
            let found = invariants::s17_superseded_by_newer(job, live);
            self.reached_superseded += 1;
            self.check(found);
            // The job may have been decided after a newer job went live.
            self.published(&name);
        }
    }

    /// The job that is live under the prefix of `job`.
    pub(super) fn live_instead_of(&self, job: &JobTruth) -> Option<&JobTruth> {
        let Request::Run(spec) = &job.request else { return None };
        let (_, live, _) = self.prefixes.get(&spec.output.prefix)?.pointer.as_ref()?;
        self.jobs.get(*live)
    }

    /// At rest the newest job that succeeded must be live. Where SQS moved the message of the job that was about to be,
    /// its letter brings it back: the pointer keeps its place until then.
    pub(super) fn check_prefixes(&mut self) {
        let mut found = Ok(());
        for prefix in self.prefixes.values() {
            let half_way = |job: usize| self.jobs.get(job).is_some_and(|job| job.published.is_none());
            if prefix.pointer.as_ref().is_some_and(|(_, job, _)| self.given_up(*job) && half_way(*job)) {
                continue;
            }
            let succeeded = prefix
                .jobs
                .iter()
                .filter_map(|job| self.jobs.get(*job))
                .filter(|job| job.published.is_some() && !job.newer);
            let Some(newest) = succeeded.max_by_key(|job| invariants::rank(job)) else { continue };
            for entry in &prefix.entries {
                let live = entry.as_ref().and_then(|(job, _)| self.jobs.get(*job));
                found = found.and_then(|()| invariants::s17_newest_is_live(newest, live));
            }
        }
        self.check(found);
    }
}
