//! The plan of a job: plain data, and values computed from it.

use serde::Serialize;
use transcode_config::ladder::Profile;

use super::{
    audio::{self, AudioPlan},
    ladder::Rendition,
    per_title::PerTitle,
    video::VideoPlan,
};
use crate::examine::range::Range;

/// The plan of a job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// Where in the source the result begins, in seconds.
    pub begin: f64,
    /// Seconds before `begin` that are decoded too: all of them or, if the container has an index and much would be
    /// skipped, enough for decoders to start.
    pub lead: f64,
    /// Whether reading can begin anywhere: the container has an index.
    pub indexed: bool,
    /// Whether filters see the source's own clock, also if reading begins in its middle; if not, their clock begins
    /// at 0 there.
    pub own_clock: bool,
    /// Duration of the result in seconds; with video, a whole number of frames.
    pub seconds: f64,
    /// Segment length in seconds. Audio is cut at the AAC frames nearest to its multiples.
    pub segment_seconds: f64,
    /// The video; none for audio alone.
    pub video: Option<VideoPlan>,
    /// Audio renditions.
    pub audio: Vec<AudioPlan>,
    /// The tracks of the progressive MP4; none if the profile has none.
    pub progressive: Option<Together>,
    /// The measurements behind the rungs' rates, if the profile asks for them.
    pub per_title: Option<PerTitle>,
}

/// The tracks of a progressive MP4, by their positions in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Together {
    /// The rung; none for audio alone.
    pub video: Option<usize>,
    /// The audio rendition.
    pub audio: Option<usize>,
}

/// The highest rung of at most the wanted size, else the lowest; and the default audio rendition.
pub(super) fn progressive(
    video: Option<&VideoPlan>,
    audio: &[AudioPlan],
    profile: &Profile,
) -> Option<Together> {
    let most = profile.progressive.as_ref()?.max_short_side;
    let rungs = video.map(|video| video.renditions.as_slice()).unwrap_or_default();
    let fits = rungs.iter().rposition(|rung| rung.range == Range::Sdr && rung.width.min(rung.height) <= most);
    Some(Together {
        video: fits.or(if rungs.is_empty() { None } else { Some(0) }),
        audio: audio.iter().position(|audio| audio.default),
    })
}

impl Plan {
    /// Where reading begins, in seconds of the source; none for its beginning.
    pub fn seek(&self) -> Option<f64> {
        (self.begin > self.lead).then_some(self.begin - self.lead)
    }

    /// The audio renditions in groups, by their positions: each group has every track, the first in stereo. If there
    /// is any surround sound, a second group has each track in its most channels.
    pub fn audio_groups(&self) -> Vec<Vec<usize>> {
        audio::groups(&self.audio)
    }

    /// Replaces the rungs of standard range.
    pub fn set_renditions(&mut self, renditions: Vec<Rendition>, profile: &Profile) {
        if let Some(video) = &mut self.video {
            let high = video.renditions.drain(..).filter(|rung| rung.range != Range::Sdr);
            video.renditions = renditions.into_iter().chain(high.collect::<Vec<_>>()).collect();
        }
        self.progressive = progressive(self.video.as_ref(), &self.audio, profile);
    }
}
