//! What is made of a source: every number that the encoder, the packager and the checks need. Pure.

mod arguments;
mod filters;
pub mod timeline;

use serde::Serialize;
use transcode_config::{
    contract::{Failure, FailureCode},
    ladder::{HdrSettings, Profile, VideoCodec},
};

pub use arguments::{arguments, audio_file, local, sample_arguments, seek, video_file};
pub use filters::{mix, samples};

use super::{
    ladder::{self, Rendition},
    loudness::{Gain, Loudness},
    overlay::Overlay,
    per_title::PerTitle,
    probe::{AudioStream, SourceInfo, VideoStream},
    range::Range,
    rational::{Rational, round_to_u64},
};
use timeline::Timeline;

/// Samples a second of every sound rendition.
pub const SAMPLE_RATE: u32 = 48_000;
/// Channels of every track's first rendition.
pub const STEREO: u32 = 2;
/// Channels of 5.1.
pub const SURROUND: u32 = 6;
/// More channels than this are no speakers around a listener but something else, such as ambisonics.
const MOST_SPEAKERS: u32 = 8;
/// Samples in an AAC frame.
pub const AAC_FRAME: u32 = 1024;
/// From here on it is quicker to seek than to decode what is not used, in seconds.
const WORTH_SEEKING: f64 = 20.0;
/// Where reading begins before the result does, in seconds.
const RUN_UP: f64 = 5.0;
/// Frames by which rounding at the end of a variable-rate stream may differ from what was computed.
const SLACK_FRAMES: u64 = 2;
/// The same for sound: 100 ms of samples.
const SLACK_SAMPLES: u64 = 4800;

/// The plan of a job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// Where in the source the result begins, in seconds.
    pub begin: f64,
    /// Seconds of the source in front of that which are read too: all of them, or, where the container has an index and
    /// there is much to skip, some, for decoders to get going.
    pub lead: f64,
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

/// The plan for the picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VideoPlan {
    /// The stream.
    pub stream: VideoStream,
    /// Codec.
    pub codec: VideoCodec,
    /// Encoder preset.
    pub preset: String,
    /// Constant rate factor.
    pub crf: u32,
    /// Constant frame rate before rungs leave frames out.
    pub rate: Rational,
    /// Frames that are read and left out in front of the result's first.
    pub lead_frames: u64,
    /// Frames of the result at that rate.
    pub frames: u64,
    /// Copies of the last frame that may be needed to reach that number.
    pub pad_frames: u64,
    /// Frames of a closed group of pictures, at the full rate.
    pub gop_frames: u32,
    /// Groups in a segment.
    pub segment_gops: u32,
    /// Whether high dynamic range must be brought to standard range.
    pub tone_map: bool,
    /// A picture over the picture, on rungs of standard range: there are no others where there is one.
    pub overlay: Option<Overlay>,
    /// How rungs of high dynamic range are encoded; none where there are none.
    pub hdr: Option<HdrSettings>,
    /// The rungs of standard range, lowest first, then those of high range.
    pub renditions: Vec<Rendition>,
}

/// The plan for one sound rendition.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AudioPlan {
    /// Name, unique among the sound renditions and fit for a path: `en`.
    pub name: String,
    /// Name for people, unique among the sound renditions: `en`, or the track's own title.
    pub label: String,
    /// The stream.
    pub stream: AudioStream,
    /// Channels of the result: [`STEREO`] or [`SURROUND`].
    pub channels: u32,
    /// Bits per second.
    pub bps: u64,
    /// Samples that are read and left out in front of the result's first.
    pub lead_samples: u64,
    /// Samples of the result.
    pub samples: u64,
    /// Samples of silence that may be needed to reach that number.
    pub pad_samples: u64,
    /// Whether it plays without being asked for.
    pub default: bool,
    /// How loud the source is, once measured.
    pub loudness: Option<Loudness>,
    /// What brings it to the wanted loudness, once measured.
    pub gain: Option<Gain>,
}

impl VideoPlan {
    /// Ticks a second of every rung's clock; a frame is a whole number of them.
    pub fn timescale(&self) -> u32 {
        self.rate.num * 10_000_u32.div_ceil(self.rate.num).max(1)
    }

    /// Lays a picture over the picture. Rungs of high range are left out, and their names returned: how bright white is
    /// in a picture made for standard range is anyone's guess there, and without it they would give away what the others
    /// are marked for.
    pub fn lay_over(&mut self, overlay: Overlay) -> Vec<String> {
        self.overlay = Some(overlay);
        self.hdr = None;
        let high = self.renditions.extract_if(.., |rung| rung.range != Range::Sdr);
        high.map(|rung| rung.name).collect()
    }

    /// The rungs of standard range, lowest first.
    pub fn standard_range(&self) -> impl Iterator<Item = &Rendition> {
        self.renditions.iter().filter(|rung| rung.range == Range::Sdr)
    }

    /// The codec of a rung.
    pub fn codec_of(&self, rendition: &Rendition) -> VideoCodec {
        if rendition.range == Range::Sdr { self.codec } else { VideoCodec::Hevc }
    }

    /// Frames of a rung over the whole result.
    pub fn frames_of(&self, rendition: &Rendition) -> u64 {
        self.frames.div_ceil(u64::from(rendition.frame_step))
    }

    /// Frames of a rung in a group of pictures.
    pub fn gop_of(&self, rendition: &Rendition) -> u32 {
        self.gop_frames / rendition.frame_step.max(1)
    }
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
            Some(plan_video(stream, time, timeline, lead, profile))
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
    let audio = plan_audio(source, timeline, lead, seconds, profile);
    let progressive = progressive(video.as_ref(), &audio, profile);
    Ok(Plan {
        begin: timeline.begin,
        lead,
        seconds,
        segment_seconds,
        video,
        audio,
        progressive,
        per_title: None,
    })
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
    /// The sound renditions in groups, by their positions: each group has every track, the first in stereo; a second, if
    /// there is any surround sound, has each track in as many channels as it is made in.
    pub fn sound_groups(&self) -> Vec<Vec<usize>> {
        let of = |channels: u32| {
            let matching = self.audio.iter().enumerate().filter(move |(_, sound)| sound.channels == channels);
            matching.map(|(position, _)| position).collect::<Vec<_>>()
        };
        let (stereo, surround) = (of(STEREO), of(SURROUND));
        let stream = |position: &usize| self.audio.get(*position).map(|sound| sound.stream.index);
        let best = |position: &usize| {
            let twin = surround.iter().find(|other| stream(other) == stream(position));
            *twin.unwrap_or(position)
        };
        let most: Vec<_> = stereo.iter().map(best).collect();
        let groups = if surround.is_empty() { vec![stereo] } else { vec![stereo, most] };
        groups.into_iter().filter(|group| !group.is_empty()).collect()
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

/// The refusal of a source that lasts too long.
pub fn too_long(seconds: f64, profile: &Profile) -> Failure {
    Failure::new(FailureCode::TooLong, format!("the source lasts {seconds:.0} s"))
        .with("seconds", format!("{seconds:.3}"))
        .with("allowed_seconds", profile.max_duration_seconds)
        .with("profile", &profile.name)
}

fn plan_video(
    stream: &VideoStream,
    time: timeline::VideoTime,
    timeline: &Timeline,
    lead: f64,
    profile: &Profile,
) -> VideoPlan {
    let mut renditions = ladder::renditions(stream, time.rate, (&profile.rungs, profile.codec), Range::Sdr);
    let range = stream.color.dynamic_range();
    let hdr = profile.hdr.as_ref().filter(|_| range != Range::Sdr);
    if let Some(hdr) = hdr {
        renditions.extend(ladder::renditions(stream, time.rate, (&hdr.rungs, VideoCodec::Hevc), range));
    }
    // Every rung must be able to divide a group evenly, or its key frames would drift from the others'.
    let step = renditions.iter().map(|rendition| rendition.frame_step).fold(1, lcm);
    let wanted = f64::from(profile.gop_seconds) * time.rate.value() / f64::from(step);
    let gop_frames = u32::try_from(round_to_u64(wanted)).unwrap_or(1).max(1) * step;
    let first = time.rate.frames_in(timeline.begin);
    let frames = time.rate.frames_in(timeline.end).saturating_sub(first).max(1);
    let own = time.rate.frames_in(time.end).min(first + frames);
    VideoPlan {
        stream: stream.clone(),
        codec: profile.codec,
        preset: profile.preset.clone(),
        crf: profile.crf,
        rate: time.rate,
        lead_frames: time.rate.frames_in(lead),
        frames,
        pad_frames: first + frames - own + SLACK_FRAMES,
        gop_frames,
        segment_gops: profile.segment_gops,
        tone_map: stream.color.is_hdr(),
        overlay: None,
        hdr: hdr.cloned(),
        renditions,
    }
}

/// How much in front of the result is read. Where the container has an index, reading begins shortly before; a whole
/// number of frames before, or the frames after it would be counted from another beginning.
fn lead(source: &SourceInfo, timeline: &Timeline) -> f64 {
    const INDEXED: [&str; 2] = ["mov", "matroska"];
    let indexed = source.container.split(',').any(|name| INDEXED.contains(&name));
    if !indexed || timeline.begin < WORTH_SEEKING {
        return timeline.begin;
    }
    match timeline.video {
        Some(time) => time.rate.seconds_of(time.rate.frames_in(RUN_UP)),
        None => RUN_UP,
    }
}

impl Plan {
    /// Where reading begins, in seconds of the source; none for its beginning.
    pub fn seek(&self) -> Option<f64> {
        (self.begin > self.lead).then_some(self.begin - self.lead)
    }
}

fn lcm(a: u32, b: u32) -> u32 {
    let (a, b) = (a.max(1), b.max(1));
    Rational::new(a, b).map_or(a, |ratio| ratio.num * b)
}

fn plan_audio(
    source: &SourceInfo,
    timeline: &Timeline,
    lead: f64,
    seconds: f64,
    profile: &Profile,
) -> Vec<AudioPlan> {
    let count = |seconds: f64| round_to_u64(seconds * f64::from(SAMPLE_RATE));
    let samples = count(seconds).max(1);
    let wanted_end = count(timeline.begin) + samples;
    let first_default =
        source.audio.iter().position(|audio| audio.default && !audio.describes_video).unwrap_or(0);
    let mut plans: Vec<AudioPlan> = Vec::new();
    for (position, (stream, end)) in source.audio.iter().zip(&timeline.audio_ends).enumerate() {
        let language = stream.language.as_deref().map(str::to_ascii_lowercase);
        let name = unique(language, "main", |name| plans.iter().any(|plan| plan.name == name));
        let wanted = stream.title.clone().or_else(|| stream.language.clone());
        let label = unique(wanted, "Main", |label| plans.iter().any(|plan| plan.label == label));
        let own = count(*end).min(wanted_end);
        plans.push(AudioPlan {
            name,
            label,
            stream: stream.clone(),
            channels: STEREO,
            bps: profile.audio.bps,
            lead_samples: count(lead),
            samples,
            pad_samples: wanted_end - own + SLACK_SAMPLES,
            default: position == first_default,
            loudness: None,
            gain: None,
        });
    }
    let surround = plans.iter().filter_map(|stereo| surround(stereo, profile)).collect::<Vec<_>>();
    plans.extend(surround);
    plans
}

/// The same track in 5.1, where the profile wants it and the track has as many channels. Its name for people is the same:
/// it is the same rendition in another group (RFC 8216, 4.3.4.1.1).
fn surround(stereo: &AudioPlan, profile: &Profile) -> Option<AudioPlan> {
    let bps = profile.audio.surround_bps?;
    let enough = (SURROUND..=MOST_SPEAKERS).contains(&stereo.stream.channels);
    let name = format!("{}-surround", stereo.name);
    enough.then(|| AudioPlan { name, channels: SURROUND, bps, ..stereo.clone() })
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
