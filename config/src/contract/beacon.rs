//! `live/<environment>/<j>-<n>`: the beacon of the task of attempt n. It shows many working tasks in one listing.
//!
//! A listing gives each object's key, size, entity tag and time of writing, and nothing of what is in it. So a beacon
//! says by its *length* how far the task is, and by being written again that the task is alive. A task writes it after
//! every third heartbeat and removes it when it ends. It is a hint: who sees one that is gone, or that is not written
//! again, reads the job's documents, and those decide.

use std::str::FromStr;

use super::{
    heartbeat::{Heartbeat, Stage},
    job::{Attempt, JobKey},
};

/// The stages in their order; the place of a stage is part of the length.
const STAGES: [Stage; 6] = [
    Stage::Starting,
    Stage::Downloading,
    Stage::Probing,
    Stage::Transcoding,
    Stage::Verifying,
    Stage::Publishing,
];

/// Percentages of a stage: 0–100.
const PERCENTS: usize = 101;

/// How far a task is, as coarse as a listing can show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Beacon {
    /// What the task is busy with.
    pub stage: Stage,
    /// Progress of the whole attempt in whole percent, 0–100.
    pub percent: u8,
    /// The heartbeat names a playlist that can be played already.
    pub playable: bool,
}

impl Beacon {
    /// The beacon that belongs to a heartbeat.
    pub fn of(heartbeat: &Heartbeat) -> Self {
        // The cast saturates, and gives 0 for what is no number.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded before")]
        let percent = heartbeat.percent.clamp(0.0, 100.0) as u8;
        Self { stage: heartbeat.stage, percent, playable: heartbeat.playable.is_some() }
    }

    /// Length of the object, in bytes: 1–1212.
    pub fn length(self) -> usize {
        let stage = STAGES.iter().position(|stage| *stage == self.stage).unwrap_or_default();
        1 + 2 * (stage * PERCENTS + usize::from(self.percent.min(100))) + usize::from(self.playable)
    }

    /// The beacon of an object of this length; none if no beacon has it.
    pub fn of_length(length: usize) -> Option<Self> {
        let code = length.checked_sub(1)?;
        let (place, playable) = (code / 2, code % 2 == 1);
        let stage = *STAGES.get(place / PERCENTS)?;
        Some(Self { stage, percent: u8::try_from(place % PERCENTS).ok()?, playable })
    }

    /// The object's bytes. Only their number means something.
    pub fn body(self) -> Vec<u8> {
        vec![b'.'; self.length()]
    }
}

/// `live/<environment>/`: the prefix of all beacons of an environment.
pub fn beacon_prefix(environment: &str) -> String {
    format!("live/{environment}/")
}

/// `live/<environment>/<j>-<n>`: the key of an attempt's beacon.
pub fn beacon_key(environment: &str, job: &JobKey, attempt: Attempt) -> String {
    format!("live/{environment}/{job}-{:06}", attempt.number())
}

/// Job and attempt of a beacon, from its key without the prefix; none for any other key.
pub fn beacon_of(name: &str) -> Option<(JobKey, Attempt)> {
    let (job, number) = name.split_once('-')?;
    Some((JobKey::from_str(job).ok()?, Attempt::new(number.parse().ok()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_length_up_to_the_longest_is_one_beacon_and_gives_it_back() {
        let longest = Beacon { stage: Stage::Publishing, percent: 100, playable: true }.length();
        for length in 1..=longest {
            let beacon = Beacon::of_length(length).unwrap();
            assert_eq!((beacon.length(), beacon.body().len()), (length, length), "{beacon:?}");
        }
        assert_eq!([0, longest + 1, usize::MAX].map(Beacon::of_length), [None; 3]);
    }

    #[test]
    fn a_key_names_its_job_and_attempt_and_no_other_key_does() {
        let (job, attempt) = (JobKey::of(&["x"]), Attempt::new(12).unwrap());
        let key = beacon_key("prod", &job, attempt);
        let name = key.strip_prefix(&beacon_prefix("prod")).unwrap();
        assert_eq!(beacon_of(name), Some((job.clone(), attempt)));
        for other in ["", "x-1", &format!("{job}"), &format!("{job}-0"), &format!("{job}-x")] {
            assert_eq!(beacon_of(other), None, "{other}");
        }
    }
}
