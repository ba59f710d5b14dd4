//! The plan of a job: every decision, as numbers for encoder, packager and verifier. Pure.

mod arguments;
mod audio;
mod chunks;
mod completeness;
mod even;
mod filters;
pub mod ladder;
pub mod loudness;
mod names;
pub mod per_title;
pub mod proportion;
pub mod rate;
pub mod spot;
pub mod timeline;
mod types;
mod video;

use transcode_config::{
    contract::{Failure, FailureCode},
    ladder::Profile,
};

use crate::examine::{probe::SourceInfo, source::too_long};
use chunks::RUN_UP;
use timeline::Timeline;
use types::progressive;

pub use arguments::{arguments, audio_file, sample_arguments, seek, video_file};
pub use audio::{AAC_FRAME, AudioPlan, SAMPLE_RATE, STEREO, SURROUND};
pub use chunks::Chunk;
pub use even::Even;
pub use filters::{mix, samples};
pub use names::unique;
pub use types::{Plan, Together};
pub use video::VideoPlan;

/// If more than this precedes the clip, seeking is quicker than decoding it, in seconds.
const WORTH_SEEKING: f64 = 20.0;

/// Plans a job.
pub fn make(source: &SourceInfo, timeline: &Timeline, profile: &Profile) -> Result<Plan, Failure> {
    let longest = std::time::Duration::from_secs(profile.max_duration_seconds).as_secs_f64();
    if timeline.end - timeline.begin > longest {
        return Err(too_long(timeline.end - timeline.begin, profile));
    }
    let lead = lead(source, timeline);
    let group = proportion::group(profile.gop_seconds.into(), timeline.end - timeline.begin, source.size);
    let video = match (&source.video, timeline.video) {
        (Some(stream), Some(time)) if !profile.rungs.is_empty() => {
            Some(video::plan(stream, time, timeline, (lead, group), profile))
        }
        _ => None,
    };
    if video.is_none() && source.audio.is_empty() {
        return Err(Failure::new(
            FailureCode::NothingToPlay,
            "the profile makes audio only, and the file has no audio",
        ));
    }
    let (seconds, segment_seconds) = match &video {
        Some(video) => {
            let segment = u64::from(video.gop_frames) * u64::from(video.segment_gops);
            (video.rate.seconds_of(video.frames), video.rate.seconds_of(segment))
        }
        None => (timeline.end - timeline.begin, group * f64::from(profile.segment_gops)),
    };
    let audio = audio::plan(source, timeline, lead, seconds, profile);
    let progressive = progressive(video.as_ref(), &audio, profile);
    Ok(Plan {
        begin: timeline.begin,
        lead,
        indexed: indexed(source),
        own_clock: false,
        seconds,
        segment_seconds,
        video,
        audio,
        progressive,
        per_title: None,
    })
}

/// How much is decoded before the result, in seconds. If the container has an index, reading begins shortly before
/// the result. The lead is a whole number of frames, or the frames after it would be counted from another beginning.
fn lead(source: &SourceInfo, timeline: &Timeline) -> f64 {
    if !indexed(source) || timeline.begin < WORTH_SEEKING {
        return timeline.begin;
    }
    match timeline.video {
        Some(time) => time.rate.seconds_of(time.rate.frames_in(RUN_UP)),
        None => RUN_UP,
    }
}

/// Whether the container has an index of its key frames.
fn indexed(source: &SourceInfo) -> bool {
    const INDEXED: [&str; 2] = ["mov", "matroska"];
    source.container.split(',').any(|name| INDEXED.contains(&name))
}

#[cfg(test)]
mod tests;
