//! The heartbeat: shows the controller a working task, and holds the fence that keeps S6.
//!
//! # The fence
//! The controller takes an attempt for lost once its heartbeat has stood still for a while (180 s), and then starts
//! the next one. A task that cannot write its heartbeat must have stopped before that. So it measures, on the
//! monotonic clock, the time since it *began* its last successful write, and stops at 120 s.
//!
//! # The check for a newer state
//! After each write the heartbeat checks whether the job was decided or a newer attempt exists, and stops the attempt
//! if so. The checks end before this attempt writes its own terminal record, or they would take that for another's.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;
use transcode_config::contract::{Beacon, Heartbeat, Layout, SCHEMA, Stage, TaskState, UserMetadata, encode};

use super::{
    beacon::Light,
    ending::End,
    start::{Identity, now_ms},
    stop::{Reason, Stop},
    trace::Stages,
};
use crate::{
    aws::{AwsError, Documents},
    retry::{Patience, retry},
};

/// Wait after a failed write. Shorter than the beat, so that several tries fit before the fence.
const AFTER_FAILURE: Duration = Duration::from_secs(3);
/// Time for a write in progress when the work ends, so that it does not land after the last heartbeat.
const LAST_BEAT: Duration = Duration::from_secs(3);
/// Time for the last heartbeat. The exit code carries the same result with fewer details.
const LAST_WORDS: Duration = Duration::from_secs(6);

/// Times of the heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    /// Time between two heartbeats.
    pub beat: Duration,
    /// Longest time without a successful heartbeat; then the work stops.
    pub fence: Duration,
}

/// The content of the next heartbeat.
#[derive(Debug)]
struct Pulse {
    seq: u64,
    stage: Stage,
    /// When each stage began, for the trace.
    stages: Stages,
    percent: f32,
    speed: Option<f32>,
    playable: Option<String>,
    /// `x-amz-meta-*` of the source.
    user_metadata: UserMetadata,
    /// When the last successful write began.
    heard: Instant,
    /// Whether the heartbeat checks for a terminal record or a newer attempt.
    looking: bool,
}

#[derive(Debug)]
struct Shared {
    documents: Documents,
    me: Identity,
    task_arn: Option<String>,
    rhythm: Rhythm,
    pulse: Mutex<Pulse>,
    light: Light,
}

/// The heartbeat of one attempt.
#[derive(Debug)]
pub(crate) struct Heart {
    shared: Arc<Shared>,
    end: CancellationToken,
    beating: Option<JoinHandle<()>>,
}

impl Heart {
    /// A heartbeat that has not begun.
    pub(crate) fn new(
        documents: Documents,
        environment: &str,
        me: Identity,
        task_arn: Option<String>,
        rhythm: Rhythm,
    ) -> Self {
        let mut stages = Stages::default();
        stages.begin(Stage::Starting, now_ms());
        let pulse = Pulse {
            seq: 0,
            stage: Stage::Starting,
            stages,
            percent: 0.0,
            speed: None,
            playable: None,
            user_metadata: UserMetadata::default(),
            heard: Instant::now(),
            looking: true,
        };
        let light = Light::new(documents.clone(), environment, &me);
        let shared = Shared { documents, me, task_arn, rhythm, pulse: Mutex::new(pulse), light };
        Self { shared: Arc::new(shared), end: CancellationToken::new(), beating: None }
    }

    /// Writes the first heartbeat and then continues in the background. On an error the attempt may not work.
    pub(crate) async fn begin(&mut self, stop: &Stop) -> Result<(), AwsError> {
        let shared = &self.shared;
        let write = || shared.write(TaskState::Working);
        retry(Patience::START, "first heartbeat", stop.token(), write).await?;
        let (shared, stop, end) = (Arc::clone(shared), stop.clone(), self.end.clone());
        self.beating = Some(tokio::spawn(async move { shared.beat(&stop, &end).await }));
        Ok(())
    }

    /// Sets the stage.
    pub(crate) fn stage(&self, stage: Stage) {
        let mut pulse = self.shared.pulse();
        if pulse.stage != stage {
            tracing::info!(stage = stage.name(), "stage");
        }
        (pulse.stage, pulse.speed) = (stage, None);
        pulse.stages.begin(stage, now_ms());
    }

    /// When each stage began.
    pub(crate) fn stages(&self) -> Stages {
        self.shared.pulse().stages.clone()
    }

    /// Sets the progress of the whole attempt (0–100, never falling) and the encoding speed.
    pub(crate) fn progress(&self, percent: f32, speed: Option<f32>) {
        let mut pulse = self.shared.pulse();
        pulse.percent = pulse.percent.max(percent.clamp(0.0, 100.0));
        pulse.speed = speed.filter(|speed| speed.is_finite());
    }

    /// Sets the key of the playlist that can be played already.
    pub(crate) fn playable(&self, key: String) {
        tracing::info!(key, "playable");
        self.shared.pulse().playable = Some(key);
    }

    /// Sets the words that the source has with it.
    pub(crate) fn user_metadata(&self, words: UserMetadata) {
        self.shared.pulse().user_metadata = words;
    }

    /// Ends the checks, because this attempt is about to write the terminal record. Fails with the fence's reason if
    /// the last heartbeat is too old for that.
    pub(crate) fn stop_looking(&self) -> Result<(), Reason> {
        let mut pulse = self.shared.pulse();
        pulse.looking = false;
        let fence = self.shared.rhythm.fence;
        if pulse.heard.elapsed() < fence { Ok(()) } else { Err(Reason::Fenced(fence)) }
    }

    /// Stops the beat and writes the last heartbeat, if S3 accepts it within some seconds.
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
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last heartbeat was not written"),
            Err(_) => tracing::warn!("the last heartbeat was not written in time"),
        }
        self.shared.light.remove().await;
    }
}

impl Shared {
    /// The content, also after a panic: writers set single fields, so it is always consistent.
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
                Ok(Ok(beacon)) => {
                    self.light.after_beat(beacon).await;
                    beat
                }
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

    /// Writes a heartbeat; returns the beacon that belongs to it.
    async fn write(&self, state: TaskState) -> Result<Beacon, AwsError> {
        let began = Instant::now();
        let heartbeat = {
            // After any other ending the attempt's folder is removed.
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
                user_metadata: pulse.user_metadata.clone(),
                state,
            }
        };
        let key = Layout::of(&self.me.job).heartbeat(self.me.attempt);
        self.documents.put(&key, encode(&heartbeat)).await?;
        self.pulse().heard = began;
        Ok(Beacon::of(&heartbeat))
    }

    async fn look(&self, stop: &Stop, patience: Duration) {
        if !self.pulse().looking {
            return;
        }
        let standing = timeout(patience, self.documents.standing(&self.me.job, self.me.attempt)).await;
        // Under the lock: a check that saw this attempt's own terminal record ends after `stop_looking`, and its
        // result is dropped here.
        let pulse = self.pulse();
        match standing {
            Ok(Ok(standing)) if pulse.looking => {
                if let Some(End::Superseded(why)) = End::of_standing(standing) {
                    stop.request(Reason::Superseded(why));
                }
            }
            Ok(Ok(_)) => {}
            // The write succeeded, so S3 is reachable; the next round checks again.
            Ok(Err(error)) => tracing::warn!(%error, "the job could not be looked at"),
            Err(_) => tracing::warn!("the job could not be looked at in time"),
        }
    }
}
