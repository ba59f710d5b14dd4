//! Plans the audio renditions. Pure.

use serde::Serialize;
use transcode_config::ladder::Profile;

use super::{
    even::Even,
    loudness::{Gain, Loudness},
    names::unique,
    timeline::Timeline,
};
use crate::{
    examine::probe::{AudioStream, SourceInfo},
    rational::round_to_u64,
};

/// Samples a second of every audio rendition.
pub const SAMPLE_RATE: u32 = 48_000;
/// Channels of every track's first rendition.
pub const STEREO: u32 = 2;
/// Channels of 5.1.
pub const SURROUND: u32 = 6;
/// More channels than this belong to no loudspeakers around a listener but are something else, such as ambisonics.
const MOST_SPEAKERS: u32 = 8;
/// Samples in an AAC frame.
pub const AAC_FRAME: u32 = 1024;
/// Samples by which rounding at the end of a track may differ from what was computed: 100 ms.
const SLACK_SAMPLES: u64 = 4800;

/// The plan for one audio rendition.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AudioPlan {
    /// Name, unique among the audio renditions and fit for a path: `en`.
    pub name: String,
    /// Name for people, unique among the audio renditions: `en`, or the track's own title.
    pub label: String,
    /// The stream of the source that is decoded for it.
    pub stream: AudioStream,
    /// Channels of the result: [`STEREO`] or [`SURROUND`].
    pub channels: u32,
    /// Bits per second.
    pub bps: u64,
    /// Samples that are decoded and dropped before the first of the result.
    pub lead_samples: u64,
    /// Samples of the result.
    pub samples: u64,
    /// Samples of silence that may be needed to reach that number.
    pub pad_samples: u64,
    /// Whether players choose it by default.
    pub default: bool,
    /// How loud the source is, once measured.
    pub loudness: Option<Loudness>,
    /// The gain to the target loudness, once measured.
    pub gain: Option<Gain>,
    /// Whether its format may change in the middle: not in MP4 and MOV, whose header describes every sample.
    #[serde(skip)]
    pub may_change: bool,
    /// The converted track, where the format of the source's track changes.
    #[serde(skip)]
    pub even: Option<Even>,
}

/// Plans each track's renditions: the stereo ones, then those in 5.1.
pub(super) fn plan(
    source: &SourceInfo,
    timeline: &Timeline,
    lead: f64,
    seconds: f64,
    profile: &Profile,
) -> Vec<AudioPlan> {
    let count = |seconds: f64| round_to_u64(seconds * f64::from(SAMPLE_RATE));
    let samples = count(seconds).max(1);
    let wanted_end = count(timeline.begin) + samples;
    let first_default = first_default(&source.audio);
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
            stream: AudioStream {
                resumes: stream
                    .resumes
                    .iter()
                    .map(|at| at - source.start - (timeline.begin - lead))
                    .collect(),
                ..stream.clone()
            },
            channels: STEREO,
            bps: profile.audio.bps,
            lead_samples: count(lead),
            samples,
            pad_samples: wanted_end - own + SLACK_SAMPLES,
            default: position == first_default,
            loudness: None,
            gain: None,
            may_change: !source.container.starts_with("mov"),
            even: None,
        });
    }
    let surround = plans.iter().filter_map(|stereo| surround(stereo, profile)).collect::<Vec<_>>();
    plans.extend(surround);
    plans
}

/// The track that players choose: the file's default, but none for those who cannot see the video and no commentary.
/// Transport streams mark no default.
fn first_default(audio: &[AudioStream]) -> usize {
    let plain = |audio: &AudioStream| !audio.describes_video && !audio.commentary;
    let marked = audio.iter().position(|audio| audio.default && plain(audio));
    marked.or_else(|| audio.iter().position(plain)).unwrap_or(0)
}

/// The same track in 5.1, if the profile has it and the track has enough channels. Both have the same label: they are
/// the same rendition in two groups (RFC 8216, 4.3.4.1.1).
fn surround(stereo: &AudioPlan, profile: &Profile) -> Option<AudioPlan> {
    let bps = profile.audio.surround_bps?;
    let enough = (SURROUND..=MOST_SPEAKERS).contains(&stereo.stream.channels) && stereo.stream.has_speakers();
    let name = format!("{}-surround", stereo.name);
    enough.then(|| AudioPlan { name, channels: SURROUND, bps, ..stereo.clone() })
}

/// The audio renditions in groups, by their positions: each group has every track, the first in stereo. If there is
/// any surround sound, a second group has each track in its most channels.
pub(super) fn groups(renditions: &[AudioPlan]) -> Vec<Vec<usize>> {
    let of = |channels: u32| {
        let matching = renditions.iter().enumerate().filter(move |(_, audio)| audio.channels == channels);
        matching.map(|(position, _)| position).collect::<Vec<_>>()
    };
    let (stereo, surround) = (of(STEREO), of(SURROUND));
    let stream = |position: &usize| renditions.get(*position).map(|audio| audio.stream.index);
    let best = |position: &usize| {
        let twin = surround.iter().find(|other| stream(other) == stream(position));
        *twin.unwrap_or(position)
    };
    let most: Vec<_> = stereo.iter().map(best).collect();
    let groups = if surround.is_empty() { vec![stereo] } else { vec![stereo, most] };
    groups.into_iter().filter(|group| !group.is_empty()).collect()
}
