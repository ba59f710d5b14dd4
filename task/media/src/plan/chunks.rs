//! Divides the video into chunks that are encoded separately and joined without a seam. Pure.
//!
//! Each chunk begins with a segment, so with a closed group, and has the frames that one run would have given these
//! segments: the filters count frames on the source's own clock, wherever reading begins.

use transcode_config::ladder::ChunkSettings;

use super::{
    types::Plan,
    video::{SLACK_FRAMES, VideoPlan},
};

/// How long before the result reading begins, in seconds.
pub(super) const RUN_UP: f64 = 5.0;

/// Frames of the result that are encoded in one run, at the full rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// The first, from 0.
    pub first: u64,
    /// Number of frames, at least 1.
    pub frames: u64,
}

impl Chunk {
    /// One chunk that covers several consecutive ones; none for none.
    pub fn joined(chunks: &[Self]) -> Option<Self> {
        let first = chunks.first()?.first;
        Some(Self { first, frames: chunks.iter().map(|chunk| chunk.frames).sum() })
    }
}

impl Plan {
    /// The result's video in chunks. The last one is the longest, because it includes the rest. Empty if the video
    /// has to be encoded in one run, because it is short or the container has no index.
    pub fn chunks(&self, settings: &ChunkSettings) -> Vec<Chunk> {
        let Some(video) = self.video.as_ref().filter(|_| self.indexed) else { return Vec::new() };
        let segment = u64::from(video.gop_frames) * u64::from(video.segment_gops);
        let length = video.rate.frames_in(f64::from(settings.seconds)).div_ceil(segment.max(1)) * segment;
        // A chunk cannot begin after the last frame of the source.
        let own = video.frames.saturating_sub(video.pad_frames.saturating_sub(SLACK_FRAMES));
        let count = own / length.max(1);
        if count < 2 {
            return Vec::new();
        }
        let end = |number| if number + 1 == count { video.frames } else { (number + 1) * length };
        (0..count)
            .map(|number| Chunk { first: number * length, frames: end(number) - number * length })
            .collect()
    }

    /// The plan of one chunk: the same video in the same rungs, without audio.
    #[must_use]
    pub fn of_chunk(&self, chunk: Chunk) -> Self {
        let Some(whole) = &self.video else { return self.clone() };
        let rate = whole.rate;
        let first = rate.frames_in(self.begin) + chunk.first;
        let begin = rate.seconds_of(first);
        let video = VideoPlan { lead_frames: first, frames: chunk.frames, ..whole.clone() };
        Self {
            begin,
            lead: begin.min(RUN_UP),
            own_clock: true,
            seconds: rate.seconds_of(chunk.frames),
            video: Some(video),
            audio: Vec::new(),
            progressive: None,
            ..self.clone()
        }
    }

    /// The plan of the audio alone.
    #[must_use]
    pub fn of_audio(&self) -> Self {
        Self { video: None, ..self.clone() }
    }
}

impl VideoPlan {
    /// Where a frame of the result lies on every rung's clock, in ticks.
    pub fn ticks_of(&self, frame: u64) -> u64 {
        frame * u64::from(self.timescale()) * u64::from(self.rate.den) / u64::from(self.rate.num)
    }
}
