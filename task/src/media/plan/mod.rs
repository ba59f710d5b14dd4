//! What is made of a source: every number that the encoder, the packager and the checks need. Pure.

mod arguments;
mod chunks;
mod filters;
mod picture;
mod sound;
pub mod timeline;

use serde::Serialize;
use transcode_config::{
    contract::{Failure, FailureCode},
    ladder::Profile,
};

pub use arguments::{arguments, audio_file, local, sample_arguments, seek, video_file};
pub use chunks::Chunk;
pub use filters::{mix, samples};
pub use picture::VideoPlan;
pub use sound::{AAC_FRAME, AudioPlan, SAMPLE_RATE, STEREO, SURROUND};

use super::{ladder::Rendition, per_title::PerTitle, probe::SourceInfo, range::Range};
use timeline::Timeline;

/// From here on it is quicker to seek than to decode what is not used, in seconds.
const WORTH_SEEKING: f64 = 20.0;
/// Where reading begins before the result does, in seconds.
const RUN_UP: f64 = 5.0;

/// The plan of a job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// Where in the source the result begins, in seconds.
    pub begin: f64,
    /// Seconds of the source in front of that which are read too: all of them, or, where the container has an index and
    /// there is much to skip, some, for decoders to get going.
    pub lead: f64,
    /// Whether reading can begin anywhere: the container has an index.
    pub indexed: bool,
    /// Whether filters see the source's own clock, also where reading begins in its middle; else theirs begins at 0 there.
    pub own_clock: bool,
    /// Duration of the result in seconds; with picture, a whole number of frames.
    pub seconds: f64,
    /// Segment length in seconds. Sound is cut at the AAC frames nearest to its multiples.
    pub segment_seconds: f64,
    /// The picture.
    pub video: Option<VideoPlan>,
    /// Sound renditions.
    pub audio: Vec<AudioPlan>,
    /// What the progressive MP4 is put together from; none makes none.
    pub progressive: Option<Together>,
    /// How the rungs came to their rates, where the profile has them measured.
    pub per_title: Option<PerTitle>,
}

/// The tracks of a progressive MP4, by their positions in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Together {
    /// The rung; none for sound alone.
    pub video: Option<usize>,
    /// The sound rendition.
    pub audio: Option<usize>,
}

/// Plans a job.
pub fn make(source: &SourceInfo, timeline: &Timeline, profile: &Profile) -> Result<Plan, Failure> {
    let longest = std::time::Duration::from_secs(profile.max_duration_seconds).as_secs_f64();
    if timeline.end - timeline.begin > longest {
        return Err(too_long(timeline.end - timeline.begin, profile));
    }
    let lead = lead(source, timeline);
    let video = match (&source.video, timeline.video) {
        (Some(stream), Some(time)) if !profile.rungs.is_empty() => {
            Some(picture::plan(stream, time, timeline, lead, profile))
        }
        _ => None,
    };
    if video.is_none() && source.audio.is_empty() {
        return Err(Failure::new(
            FailureCode::NothingToPlay,
            "the profile makes sound only, and the file has no sound",
        ));
    }
    let target = f64::from(profile.gop_seconds * profile.segment_gops);
    let (seconds, segment_seconds) = match &video {
        Some(video) => {
            let segment = u64::from(video.gop_frames) * u64::from(video.segment_gops);
            (video.rate.seconds_of(video.frames), video.rate.seconds_of(segment))
        }
        None => (timeline.end - timeline.begin, target),
    };
    let audio = sound::plan(source, timeline, lead, seconds, profile);
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

/// The refusal of a source that lasts too long.
pub fn too_long(seconds: f64, profile: &Profile) -> Failure {
    Failure::new(FailureCode::TooLong, format!("the source lasts {seconds:.0} s"))
        .with("seconds", format!("{seconds:.3}"))
        .with("allowed_seconds", profile.max_duration_seconds)
        .with("profile", &profile.name)
}

/// How much in front of the result is read. Where the container has an index, reading begins shortly before; a whole
/// number of frames before, or the frames after it would be counted from another beginning.
fn lead(source: &SourceInfo, timeline: &Timeline) -> f64 {
    if !indexed(source) || timeline.begin < WORTH_SEEKING {
        return timeline.begin;
    }
    match timeline.video {
        Some(time) => time.rate.seconds_of(time.rate.frames_in(RUN_UP)),
        None => RUN_UP,
    }
}

/// Whether the container says where its key frames are.
fn indexed(source: &SourceInfo) -> bool {
    const INDEXED: [&str; 2] = ["mov", "matroska"];
    source.container.split(',').any(|name| INDEXED.contains(&name))
}

/// The highest rung of at most the wanted size, else the lowest; and the sound that plays by default.
fn progressive(video: Option<&VideoPlan>, audio: &[AudioPlan], profile: &Profile) -> Option<Together> {
    let most = profile.progressive.as_ref()?.max_short_side;
    let rungs = video.map(|video| video.renditions.as_slice()).unwrap_or_default();
    let fits = rungs.iter().rposition(|rung| rung.range == Range::Sdr && rung.width.min(rung.height) <= most);
    Some(Together {
        video: fits.or(if rungs.is_empty() { None } else { Some(0) }),
        audio: audio.iter().position(|sound| sound.default),
    })
}

impl Plan {
    /// Where reading begins, in seconds of the source; none for its beginning.
    pub fn seek(&self) -> Option<f64> {
        (self.begin > self.lead).then_some(self.begin - self.lead)
    }

    /// The sound renditions in groups, by their positions: each group has every track, the first in stereo; a second, if
    /// there is any surround sound, has each track in as many channels as it is made in.
    pub fn sound_groups(&self) -> Vec<Vec<usize>> {
        sound::groups(&self.audio)
    }

    /// Takes other rungs of standard range in the place of those that it has.
    pub fn set_renditions(&mut self, renditions: Vec<Rendition>, profile: &Profile) {
        if let Some(video) = &mut self.video {
            let high = video.renditions.drain(..).filter(|rung| rung.range != Range::Sdr);
            video.renditions = renditions.into_iter().chain(high.collect::<Vec<_>>()).collect();
        }
        self.progressive = progressive(self.video.as_ref(), &self.audio, profile);
    }
}

/// `wanted`, or `otherwise`, with a number behind it if that is taken.
pub fn unique(wanted: Option<String>, otherwise: &str, taken: impl Fn(&str) -> bool) -> String {
    let wanted = wanted.unwrap_or_else(|| otherwise.to_owned());
    if !taken(&wanted) {
        return wanted;
    }
    (2..10_000).map(|number| format!("{wanted}-{number}")).find(|name| !taken(name)).unwrap_or(wanted)
}

#[cfg(test)]
#[path = "../plan_tests.rs"]
mod tests;
