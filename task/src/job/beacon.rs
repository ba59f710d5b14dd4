//! The beacon: tells the controller by a listing that the task is alive and how far it is
//! ([`transcode_config::contract::Beacon`]). It is a hint: nothing of the attempt depends on it, and an error only makes
//! the controller read the job's documents.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

use tokio::time::timeout;
use transcode_config::contract::{Beacon, beacon_key};

use super::start::Identity;
use crate::aws::{AwsError, Documents};

/// A beacon is written after every such number of heartbeats: with one each 15 s, at least once in each minute that the
/// controller waits between two listings.
const BEATS: u32 = 3;

/// Most time for one write or the removal; it passes between two heartbeats.
const PATIENCE: Duration = Duration::from_secs(5);

/// The beacon of one attempt.
#[derive(Debug)]
pub(super) struct Light {
    documents: Documents,
    key: String,
    /// Heartbeats since the start.
    beats: AtomicU32,
    /// It may be there.
    lit: AtomicBool,
    /// A failure was logged. The role of an older deployment may not write beacons.
    told: AtomicBool,
}

impl Light {
    /// The beacon of an attempt, which is not written yet.
    pub(super) fn new(documents: Documents, environment: &str, me: &Identity) -> Self {
        let key = beacon_key(environment, &me.job, me.attempt);
        let (lit, told) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { documents, key, beats: AtomicU32::new(0), lit, told }
    }

    /// Writes the beacon if it is due after this heartbeat.
    pub(super) async fn after_beat(&self, beacon: Beacon) {
        let beats = self.beats.fetch_add(1, Ordering::Relaxed) + 1;
        if beats.is_multiple_of(BEATS) {
            // Also a write without an answer may have put it there.
            self.lit.store(true, Ordering::Relaxed);
            self.tell(timeout(PATIENCE, self.documents.put(&self.key, beacon.body())).await.ok());
        }
    }

    /// Removes it. The controller then reads how the attempt ended, so the last heartbeat comes before.
    pub(super) async fn remove(&self) {
        if self.lit.swap(false, Ordering::Relaxed) {
            self.tell(timeout(PATIENCE, self.documents.remove(&self.key)).await.ok());
        }
    }

    fn tell(&self, result: Option<Result<(), AwsError>>) {
        let why = match result {
            Some(Ok(())) => return,
            Some(Err(error)) => error.to_string(),
            None => "no answer in time".to_owned(),
        };
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                error = why,
                key = self.key,
                "the beacon was not written; the controller reads more instead"
            );
        }
    }
}
