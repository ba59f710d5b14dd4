//! S3: a state bucket with conditional writes, and the published objects.

use std::{collections::BTreeSet, sync::Arc};

use transcode_config::contract::{
    Attempt, Beacon, Claim, Heartbeat, JobKey, Outcome, SCHEMA, Stage, TaskState, Terminal, UserMetadata,
};
use transcode_core::{
    judge::outcome::unproven,
    protocol::{
        clock::Ms,
        fact::{Hint, Sighting, Snapshot},
    },
    weakness::{Weakness, weak},
};

use super::{EPOCH, World};
use crate::{
    invariants,
    setup::{BEAT_EVERY, HOUR},
    truth::{JobTruth, Proc, Task},
};

/// A task writes its beacon after every such number of heartbeats.
const BEATS: Ms = 3;

impl World {
    pub(super) fn job_of(&self, key: &JobKey) -> Option<usize> {
        self.by_key.get(key).copied()
    }

    /// The documents of a job that a listing names now: the newest claim, the terminal record, and the heartbeats that
    /// exist. Claims and the record are written once, so their contents are those of any later time.
    pub(super) fn listed(&self, key: &JobKey) -> Snapshot {
        let Some(job) = self.job_of(key).and_then(|job| self.jobs.get(job)) else {
            return Snapshot::default();
        };
        let (claim, terminal) = (job.claims.last().cloned(), job.terminal.clone());
        let Some(claim) = claim else { return Snapshot { terminal, ..Snapshot::default() } };
        let over = |attempt| terminal.as_ref().is_some_and(|terminal| terminal.outcome.ends(attempt));
        let heartbeat = self.newest_beat(job, claim.attempt).filter(|_| !over(claim.attempt));
        let doubtful = claim.history.iter().filter(|past| unproven(past) && terminal.is_none());
        let earlier = doubtful.filter_map(|past| self.newest_beat(job, past.attempt)).collect();
        Snapshot { heartbeat, earlier, claim: Some(claim), terminal }
    }

    /// Reads the listed heartbeats, as they are now.
    pub(super) fn read_heartbeats(&self, key: &JobKey, snapshot: &mut Snapshot) {
        let Some(job) = self.job_of(key).and_then(|job| self.jobs.get(job)) else { return };
        for beat in snapshot.heartbeat.iter_mut().chain(&mut snapshot.earlier) {
            if let Some(newer) = self.newest_beat(job, beat.attempt) {
                *beat = newer;
            }
        }
    }

    /// Puts the claim that a controller knows in the place of the one that it does not read for that reason.
    pub(super) fn take_known(&mut self, known: Option<&Arc<Claim>>, snapshot: &mut Snapshot) {
        let Some(there) = &mut snapshot.claim else { return };
        let Some(known) = known.filter(|known| known.attempt == there.attempt) else { return };
        let found = invariants::s2_claimed_once(known, there);
        *there = Arc::clone(known);
        self.check(found);
    }

    fn newest_beat(&self, job: &JobTruth, attempt: Attempt) -> Option<Heartbeat> {
        let own = job.tasks.iter().filter_map(|task| self.tasks.get(*task));
        let written = own.filter(|task| task.attempt() == attempt);
        let newest = written.filter_map(|task| Some((self.last_beat(task)?, task))).max_by_key(|(at, _)| *at);
        newest.map(|(at, task)| self.heartbeat(task, at))
    }

    pub(super) fn read_terminal_record(&self, key: &JobKey) -> Option<Arc<Terminal>> {
        self.job_of(key).and_then(|job| self.jobs.get(job))?.terminal.clone()
    }

    pub(super) fn is_newer(&self, key: &JobKey) -> bool {
        self.job_of(key).and_then(|job| self.jobs.get(job)).is_some_and(|job| job.newer)
    }

    /// When a task's newest heartbeat was written. Heartbeats are not events: they are computed when they are read.
    pub(super) fn last_beat(&self, task: &Task) -> Option<Ms> {
        let from = task.beat_from?;
        if let Some((at, _)) = task.last_word {
            return Some(at);
        }
        let mut until = self.now.min(task.beat_until);
        if let Some((begin, end)) = task.quiet
            && (begin..end).contains(&until)
        {
            until = begin;
        }
        Some(from + (until.max(from) - from) / BEAT_EVERY * BEAT_EVERY)
    }

    #[allow(clippy::cast_precision_loss, reason = "for show")]
    fn heartbeat(&self, task: &Task, at: Ms) -> Heartbeat {
        let from = task.beat_from.unwrap_or(at);
        let last_word = task.last_word.as_ref();
        Heartbeat {
            schema: SCHEMA,
            job: task.claim.job.clone(),
            attempt: task.attempt(),
            task_arn: Some(task.view.arn.0.to_string()),
            seq: 1 + (at - from) / BEAT_EVERY + u64::from(last_word.is_some()),
            written_at_ms: self.wall(task.offset),
            stage: Stage::Transcoding,
            percent: ((at.min(task.stalls_at.unwrap_or(at)).max(from) - from) / BEAT_EVERY) as f32,
            speed: None,
            playable: None,
            user_metadata: UserMetadata::default(),
            state: last_word.map_or(TaskState::Working, |(_, state)| state.clone()),
        }
    }

    /// The beacons that a listing shows now. A task that ends in order has removed its own; that of a killed one stays
    /// until the bucket's lifecycle rule takes it away.
    pub(super) fn beacons(&self) -> Vec<Sighting> {
        let lit = |(index, task): (usize, &Task)| {
            let (from, last) = (task.beat_from?, self.last_beat(task)?);
            let written = (last - from) / BEAT_EVERY / BEATS * BEATS;
            if written == 0 || task.last_word.is_some() || self.now >= last + 24 * HOUR {
                return None;
            }
            let beacon = Beacon::of(&self.heartbeat(task, from + written * BEAT_EVERY));
            let (job, attempt) = (task.claim.job.clone(), task.attempt());
            Some(Sighting { job, attempt, mark: (index as u64) << 32 | written, beacon })
        };
        self.tasks.iter().enumerate().filter_map(lit).collect()
    }

    /// Writes the index entries of a job that is accepted.
    pub(super) fn put_accepted(&mut self, key: &JobKey) {
        if let Some(job) = self.job_of(key).and_then(|job| self.jobs.get_mut(job)) {
            job.listed = true;
        }
    }

    /// Writes the index entry of a decided job; and those of its acceptance, if its record knows of no attempt.
    pub(super) fn put_ended(&mut self, terminal: &Terminal, asked: bool) {
        let Some(job) = self.job_of(&terminal.job).and_then(|job| self.jobs.get_mut(job)) else { return };
        let found = invariants::s20_listed_as_it_ended(job, terminal);
        job.listed |= terminal.outcome.never_claimed() && (asked || job.spec.is_some());
        job.indexed = true;
        self.check(found);
    }

    /// Creates the claim unless it exists; returns the existing claim. It depends on a reading from `read_at`.
    pub(super) fn put_claim(&mut self, claim: &Arc<Claim>, read_at: Ms, late: bool) -> Option<Arc<Claim>> {
        let index = self.job_of(&claim.job)?;
        let number = claim.attempt.number() as usize;
        let job = self.jobs.get(index)?;
        if let Some(there) = job.claims.get(number - 1) {
            return Some(Arc::clone(there));
        }
        let tasks: Vec<&Task> = job.tasks.iter().filter_map(|task| self.tasks.get(*task)).collect();
        let policy = &self.setup.policy;
        let asked_at = EPOCH + if self.setup.steering.is_empty() { 0 } else { job.last_sent_at };
        let found = invariants::s5_previous_is_over(job, claim, &tasks)
            .and_then(|()| invariants::s5_lost_was_stopped(claim.history.last(), &tasks))
            .and_then(|()| invariants::waits_between_attempts(job, claim, &tasks, self.now, policy))
            .and_then(|()| invariants::spot_gives_way(claim, asked_at, policy))
            .and_then(|()| invariants::s5_undecided(job, &tasks, read_at, late))
            .and_then(|()| invariants::s9_budgets(job, claim, policy))
            .and_then(|()| invariants::s10_platform_pays(&job.platform, &claim.history))
            .and_then(|()| invariants::s15_newer_is_left_alone(job, "a claim"))
            .and_then(|()| invariants::s20_listed_when_claimed(job))
            .and_then(|()| invariants::s19_never_again(claim))
            .and_then(|()| invariants::s16_no_secrets(&claim));
        self.check(found);
        let now = self.now;
        if let Some(job) = self.jobs.get_mut(index) {
            job.claims.push(Arc::clone(claim));
            job.claimed_at.push(now);
        }
        if number == 1 {
            self.begun(index);
        }
        Some(Arc::clone(claim))
    }

    /// Creates the terminal record unless it exists; returns whether this call created it. It depends on a reading from
    /// `read_at`.
    pub(super) fn put_terminal_record(&mut self, terminal: &Arc<Terminal>, read_at: Ms) -> bool {
        let Some(index) = self.job_of(&terminal.job) else { return false };
        let policy = &self.setup.policy;
        let blind = match terminal.outcome {
            Outcome::Dead(_) | Outcome::Superseded(_) | Outcome::Cancelled(_) => {
                weak(Weakness::ControllerOverwritesRecord)
            }
            Outcome::Succeeded(_) => weak(Weakness::TaskOverwritesRecord),
        };
        let Some(job) = self.jobs.get(index).filter(|job| job.terminal.is_none() || blind) else {
            return false;
        };
        let found = match &terminal.outcome {
            Outcome::Dead(dead) => {
                let claims = job.claimed_at.iter().filter(|at| **at <= read_at).count();
                let known = |task: &&Task| task.attempt().number() as usize <= claims;
                let tasks: Vec<&Task> =
                    job.tasks.iter().filter_map(|task| self.tasks.get(*task)).filter(known).collect();
                invariants::s5_dead_when_over(job, &tasks)
                    .and_then(|()| invariants::s5_lost_was_stopped(dead.attempts.last(), &tasks))
                    .and_then(|()| invariants::s9_dead_when_spent(job, dead, policy))
                    .and_then(|()| invariants::s10_platform_pays(&job.platform, &dead.attempts))
                    .and_then(|()| invariants::s11_dead_says_why(job, dead, claims))
                    .and_then(|()| invariants::s15_newer_is_left_alone(job, "a terminal record"))
                    .and_then(|()| invariants::s16_no_secrets(dead))
            }
            Outcome::Superseded(superseded) => {
                let claims = job.claimed_at.iter().filter(|at| **at <= read_at).count();
                let known = |task: &&Task| task.attempt().number() as usize <= claims;
                let tasks: Vec<&Task> =
                    job.tasks.iter().filter_map(|task| self.tasks.get(*task)).filter(known).collect();
                invariants::s5_dead_when_over(job, &tasks)
                    .and_then(|()| invariants::s5_lost_was_stopped(superseded.attempts.last(), &tasks))
                    .and_then(|()| invariants::s17_superseded_by_newer(job, self.live_instead_of(job)))
                    .and_then(|()| invariants::s15_newer_is_left_alone(job, "a register"))
                    .and_then(|()| invariants::s16_no_secrets(superseded))
            }
            Outcome::Cancelled(cancelled) => {
                let claims = job.claimed_at.iter().filter(|at| **at <= read_at).count();
                let known = |task: &&Task| task.attempt().number() as usize <= claims;
                let tasks: Vec<&Task> =
                    job.tasks.iter().filter_map(|task| self.tasks.get(*task)).filter(known).collect();
                invariants::s5_dead_when_over(job, &tasks)
                    .and_then(|()| invariants::s5_lost_was_stopped(cancelled.attempts.last(), &tasks))
                    .and_then(|()| invariants::s15_newer_is_left_alone(job, "a terminal record"))
                    .and_then(|()| invariants::s19_cancel_was_asked(job, self.cancel_was_asked(job)))
                    .and_then(|()| invariants::s16_no_secrets(cancelled))
            }
            Outcome::Succeeded(winner) => invariants::s3_files_are_there(job, winner),
        };
        self.check(found);
        if let Some(job) = self.jobs.get_mut(index) {
            job.records += 1;
            job.decided_at = self.now;
            job.terminal = Some(Arc::clone(terminal));
            let key = job.key().clone();
            self.check(invariants::s2_written_once(self.jobs.get(index)));
            self.hint(&Hint::TerminalRecord(key));
        }
        true
    }

    /// Empties folders.
    pub(super) fn collect(&mut self, key: &JobKey, attempts: &[Attempt]) {
        let Some(index) = self.job_of(key) else { return };
        self.check(invariants::l7_only_losers_are_collected(self.jobs.get(index), attempts));
        let tasks = self.jobs.get(index).into_iter().flat_map(|job| &job.tasks);
        let working = tasks.filter_map(|task| self.tasks.get(*task));
        let working = working.filter(|task| matches!(task.proc, Proc::Working(_)));
        // An attempt that is working goes on writing.
        let writing: BTreeSet<Attempt> = working.map(Task::attempt).collect();
        if let Some(job) = self.jobs.get_mut(index) {
            job.files.retain(|attempt| !attempts.contains(attempt) || writing.contains(attempt));
        }
    }

    pub(super) fn not_collected(&mut self, key: &JobKey) {
        if let Some(job) = self.job_of(key).and_then(|job| self.jobs.get_mut(job)) {
            job.uncollected += 1;
        }
    }
}
