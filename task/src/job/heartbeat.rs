//! The heartbeat: what the controller sees of a working task, and the fence that keeps S6.
//!
//! # The fence
//! The controller takes an attempt for lost once its heartbeat stood still for a while (180 s) and then starts the next
//! one. A task that cannot write its heartbeat must therefore have stopped before. So it measures, on the monotonic
//! clock, the time since it *began* the last write that got through, and stops at 120 s.
//!
//! # The look
//! After each write it looks whether the job was decided or a newer attempt exists, and stops if so. The look ends
//! before this attempt's own terminal record is written, or it would take that for somebody else's.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;
use transcode_config::contract::{Heartbeat, Layout, SCHEMA, Stage, TaskState, encode};

use super::{
    ending::End,
    start::{Identity, now_ms},
    stop::{Reason, Stop},
};
use crate::{
    aws::{AwsError, Documents},
    retry::{Patience, retry},
};

/// Wait after a write that failed. Shorter than the beat: several tries must fit before the fence.
const AFTER_FAILURE: Duration = Duration::from_secs(3);
/// A write under way when the work ends gets this long, so that it does not land after the last one.
const LAST_BEAT: Duration = Duration::from_secs(3);
/// The last heartbeat as a whole. The exit code says the same, less exactly.
const LAST_WORDS: Duration = Duration::from_secs(6);

/// How often, and for how long without success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    /// Time between two heartbeats.
    pub beat: Duration,
    /// Longest time without one; then the work stops.
    pub fence: Duration,
}

/// What the next heartbeat will say.
#[derive(Debug)]
struct Pulse {
    seq: u64,
    stage: Stage,
    percent: f32,
    speed: Option<f32>,
    playable: Option<String>,
    /// When the last write that got through was begun.
    heard: Instant,
    /// Whether the terminal record or a newer attempt is looked for.
    looking: bool,
}

#[derive(Debug)]
struct Shared {
    documents: Documents,
    me: Identity,
    task_arn: Option<String>,
    rhythm: Rhythm,
    pulse: Mutex<Pulse>,
}

/// The heart of one attempt.
#[derive(Debug)]
pub(crate) struct Heart {
    shared: Arc<Shared>,
    end: CancellationToken,
    beating: Option<JoinHandle<()>>,
}

impl Heart {
    /// A heart that does not beat yet.
    pub(crate) fn new(documents: Documents, me: Identity, task_arn: Option<String>, rhythm: Rhythm) -> Self {
        let pulse = Pulse {
            seq: 0,
            stage: Stage::Starting,
            percent: 0.0,
            speed: None,
            playable: None,
            heard: Instant::now(),
            looking: true,
        };
        let shared = Shared { documents, me, task_arn, rhythm, pulse: Mutex::new(pulse) };
        Self { shared: Arc::new(shared), end: CancellationToken::new(), beating: None }
    }

    /// Writes the first heartbeat and goes on by itself from there. On an error no work may be done.
    pub(crate) async fn begin(&mut self, stop: &Stop) -> Result<(), AwsError> {
        let shared = &self.shared;
        let write = || shared.write(TaskState::Working);
        retry(Patience::START, "first heartbeat", stop.token(), write).await?;
        let (shared, stop, end) = (Arc::clone(shared), stop.clone(), self.end.clone());
        self.beating = Some(tokio::spawn(async move { shared.beat(&stop, &end).await }));
        Ok(())
    }

    /// Says what the task is busy with from now on.
    pub(crate) fn stage(&self, stage: Stage) {
        let mut pulse = self.shared.pulse();
        if pulse.stage != stage {
            tracing::info!(stage = stage.name(), "stage");
        }
        (pulse.stage, pulse.speed) = (stage, None);
    }

    /// Says how far the whole attempt is (0–100, never going back) and how fast it encodes.
    pub(crate) fn progress(&self, percent: f32, speed: Option<f32>) {
        let mut pulse = self.shared.pulse();
        pulse.percent = pulse.percent.max(percent.clamp(0.0, 100.0));
        pulse.speed = speed.filter(|speed| speed.is_finite());
    }

    /// Says under which key something can be played already.
    pub(crate) fn playable(&self, key: String) {
        tracing::info!(key, "playable");
        self.shared.pulse().playable = Some(key);
    }

    /// Ends the look, because this attempt is about to write the terminal record. Gives the fence's reason if the last
    /// heartbeat is too old for that.
    pub(crate) fn stop_looking(&self) -> Result<(), Reason> {
        let mut pulse = self.shared.pulse();
        pulse.looking = false;
        let fence = self.shared.rhythm.fence;
        if pulse.heard.elapsed() < fence { Ok(()) } else { Err(Reason::Fenced(fence)) }
    }

    /// Ends the beat and writes the last heartbeat, if S3 takes it within some seconds.
    pub(crate) async fn last(mut self, state: TaskState) {
        self.end.cancel();
        if let Some(mut beating) = self.beating.take()
            && timeout(LAST_BEAT, &mut beating).await.is_err()
        {
            beating.abort();
        }
        if state == TaskState::Finished {
            self.progress(100.0, None);
        }
        let never = CancellationToken::new();
        let write =
            retry(Patience::LAST_WORDS, "last heartbeat", &never, || self.shared.write(state.clone()));
        match timeout(LAST_WORDS, write).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last heartbeat was not written"),
            Err(_) => tracing::warn!("the last heartbeat was not written in time"),
        }
    }
}

impl Shared {
    /// The pulse. What a panic left behind is still whole: each writer sets single fields.
    fn pulse(&self) -> MutexGuard<'_, Pulse> {
        self.pulse.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn beat(&self, stop: &Stop, end: &CancellationToken) {
        let Rhythm { beat, fence } = self.rhythm;
        let mut wait = beat;
        loop {
            let fenced = self.pulse().heard + fence;
            let next = Instant::now() + wait;
            tokio::select! {
                biased;
                () = end.cancelled() => return,
                () = sleep_until(next.min(fenced)) => {}
            }
            wait = match timeout_at(fenced, self.write(TaskState::Working)).await {
                Ok(Ok(())) => beat,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "a heartbeat was not written");
                    beat.min(AFTER_FAILURE)
                }
                Err(_) => return stop.request(Reason::Fenced(fence)),
            };
            if wait == beat && !end.is_cancelled() {
                self.look(stop, beat).await;
            }
        }
    }

    async fn write(&self, state: TaskState) -> Result<(), AwsError> {
        let began = Instant::now();
        let heartbeat = {
            // Of an attempt that ends in any other way the folder is removed.
            let stays = matches!(state, TaskState::Working | TaskState::Finished);
            let mut pulse = self.pulse();
            pulse.seq += 1;
            Heartbeat {
                schema: SCHEMA,
                job: self.me.job.clone(),
                attempt: self.me.attempt,
                task_arn: self.task_arn.clone(),
                seq: pulse.seq,
                written_at_ms: now_ms(),
                stage: pulse.stage,
                percent: pulse.percent,
                speed: pulse.speed,
                playable: pulse.playable.clone().filter(|_| stays),
                state,
            }
        };
        let key = Layout::of(&self.me.job).heartbeat(self.me.attempt);
        self.documents.put(&key, encode(&heartbeat)).await?;
        self.pulse().heard = began;
        Ok(())
    }

    async fn look(&self, stop: &Stop, patience: Duration) {
        if !self.pulse().looking {
            return;
        }
        let standing = timeout(patience, self.documents.standing(&self.me.job, self.me.attempt)).await;
        // Under the lock: a look that saw this attempt's own terminal record ends after `stop_looking`, and is dropped here.
        let pulse = self.pulse();
        match standing {
            Ok(Ok(standing)) if pulse.looking => {
                if let Some(End::Superseded(why)) = End::of_standing(standing) {
                    stop.request(Reason::Superseded(why));
                }
            }
            Ok(Ok(_)) => {}
            // The write got through, so S3 is there; the next round looks again.
            Ok(Err(error)) => tracing::warn!(%error, "the job could not be looked at"),
            Err(_) => tracing::warn!("the job could not be looked at in time"),
        }
    }
}
