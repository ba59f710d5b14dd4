//! Surveys: one listing of all beacons tells which jobs have to be read ([`transcode_config::contract::Beacon`]).
//!
//! A beacon decides nothing. One that was written again shows that its task was alive between two listings of this
//! controller: no clocks are compared. One that was not, one that is gone, and one that shows a new stage only say that
//! the job's documents are read now. Jobs whose attempt has no beacon are read as often as before: their task is of an
//! older version, or has not come so far, or has ended.

use std::collections::BTreeMap;

use transcode_config::contract::{Attempt, JobKey};

use super::change::Change;
use crate::{
    policy::Policy,
    protocol::{
        clock::{Ms, Now},
        fact::Sighting,
    },
    state::{
        job::{AttemptState, Job, Lit},
        ledger::Ledger,
    },
    weakness::{Weakness, weak},
};

/// Parts of the time without progress that may pass until a heartbeat is read although the beacon moves: the beacon shows
/// whole percent only, and a task that works for days takes hours for one.
const READINGS: Ms = 6;

/// What a listing says of one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// Nothing that matters.
    Nothing,
    /// The task is alive, and its documents need not be read.
    Alive,
    /// The documents have to be read; `alive` if the task showed a sign of life.
    Read { alive: bool },
}

impl Ledger {
    /// Takes in a listing of all beacons. Marks only those jobs as changed whose documents have to be read: of the
    /// others only deadlines move, and only to later times.
    pub(super) fn surveyed(
        &mut self,
        sightings: Vec<Sighting>,
        policy: &Policy,
        now: Now,
        told: &mut Vec<Change>,
    ) {
        self.survey.answered(true, policy.survey_every(), policy, now.mono);
        let listed: BTreeMap<(JobKey, Attempt), Sighting> =
            sightings.into_iter().map(|it| ((it.job.clone(), it.attempt), it)).collect();
        let mut read = Vec::new();
        for (key, job) in self.jobs.unmarked_mut() {
            let decided = job.terminal().is_some();
            let Some(attempt) = job.attempt.as_ref().filter(|_| !decided) else { continue };
            let found = listed.get(&(key.clone(), attempt.claim.attempt));
            let heard = job.hear(found, policy, now.mono);
            if matches!(heard, Heard::Alive | Heard::Read { alive: true }) {
                told.push(Change::Heartbeat { job: key.clone() });
            }
            if matches!(heard, Heard::Read { .. }) {
                read.push(key.clone());
            }
        }
        for key in read {
            if let Some(job) = self.jobs.get_mut(&key) {
                job.inspect_at = job.inspect_at.min(now.mono);
            }
        }
    }
}

impl Job {
    fn hear(&mut self, found: Option<&Sighting>, policy: &Policy, now: Ms) -> Heard {
        let read_at = self.read_at().unwrap_or(0);
        let Some(attempt) = self.attempt.as_mut() else { return Heard::Nothing };
        let (known, unread) = (attempt.beacon, attempt.heartbeat.is_none());
        let Some(Sighting { mark, beacon, .. }) = found else {
            attempt.beacon = None;
            return if known.is_some() { Heard::Read { alive: false } } else { Heard::Nothing };
        };
        let same = known.is_some_and(|known| known.beacon == *beacon);
        let changed_at = known.filter(|_| same).map_or(now, |known| known.changed_at);
        attempt.beacon = Some(Lit { mark: *mark, beacon: *beacon, changed_at });
        let Some(known) = known else {
            // It may have been left by a task that is dead; the next listing shows whether it is written again.
            self.postpone(policy, now);
            return if unread { Heard::Read { alive: false } } else { Heard::Nothing };
        };
        if known.mark == *mark && !weak(Weakness::TakesStandingBeaconForLife) {
            return Heard::Read { alive: false };
        }
        attempt.lives(same, now);
        let stage = known.beacon.stage != beacon.stage || known.beacon.playable != beacon.playable;
        if unread || stage || now >= read_at.max(changed_at) + policy.no_progress / READINGS {
            return Heard::Read { alive: true };
        }
        self.postpone(policy, now);
        Heard::Alive
    }

    /// Reads it later, unless that is due already: a hint must not be lost.
    fn postpone(&mut self, policy: &Policy, now: Ms) {
        if self.inspect_at > now {
            self.inspect_at = self.inspect_at.max(now + policy.covered());
        }
    }
}

impl AttemptState {
    /// Its beacon was written again; `same` if it shows nothing new.
    fn lives(&mut self, same: bool, now: Ms) {
        self.heartbeat_at = now;
        if !same {
            self.progress_at = now;
        }
    }
}
