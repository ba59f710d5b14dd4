//! Plans the video renditions. Pure.

use serde::Serialize;
use transcode_config::ladder::{HdrSettings, Profile, VideoCodec};

use super::{
    ladder::{self, Rendition},
    timeline::{Timeline, VideoTime},
};
use crate::{
    examine::{hdr10::Hdr10, overlay::Overlay, probe::VideoStream, range::Range},
    rational::{Rational, round_to_u64},
};

/// Frames by which rounding at the end of a variable-rate stream may differ from what was computed.
pub(super) const SLACK_FRAMES: u64 = 2;

/// The plan for the video.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct VideoPlan {
    /// The stream of the source that is decoded.
    pub stream: VideoStream,
    pub codec: VideoCodec,
    pub preset: String,
    pub crf: u32,
    /// Constant frame rate, before rungs leave frames out.
    pub rate: Rational,
    /// Frames before the first of the result on the filters' clock: they are dropped.
    pub lead_frames: u64,
    /// Frames of the result at that rate.
    pub frames: u64,
    /// Copies of the last frame that may be needed to reach that number.
    pub pad_frames: u64,
    /// Frames of a closed group of pictures, at the full rate.
    pub gop_frames: u32,
    pub segment_gops: u32,
    /// Whether high dynamic range must be brought to standard range.
    pub tone_map: bool,
    /// Whether other colours of standard range must be brought to BT.709's: Display P3, BT.2020, old transfer functions.
    pub convert: bool,
    /// Whether parts of it are transparent, and become black.
    pub over_black: bool,
    /// An image over the video, on rungs of standard range. With an overlay there are no others.
    pub overlay: Option<Overlay>,
    /// How rungs of high dynamic range are encoded; none where there are none.
    pub hdr: Option<HdrSettings>,
    /// The rungs of standard range, lowest first, then those of high range.
    pub renditions: Vec<Rendition>,
}

/// Plans the video. `lead`: seconds that are decoded before the result; `group`: seconds of a group of pictures.
pub(super) fn plan(
    stream: &VideoStream,
    time: VideoTime,
    timeline: &Timeline,
    (lead, group): (f64, f64),
    profile: &Profile,
) -> VideoPlan {
    let mut renditions = ladder::renditions(stream, time.rate, (&profile.rungs, profile.codec), Range::Sdr);
    let range = stream.color.dynamic_range();
    let hdr = profile.hdr.as_ref().filter(|_| range != Range::Sdr);
    if let Some(hdr) = hdr {
        renditions.extend(ladder::renditions(stream, time.rate, (&hdr.rungs, VideoCodec::Hevc), range));
    }
    // Every rung must divide a group evenly, or its key frames would drift from the others'.
    let step = renditions.iter().map(|rendition| rendition.frame_step).fold(1, lcm);
    let wanted = group * time.rate.value() / f64::from(step);
    let gop_frames = u32::try_from(round_to_u64(wanted)).unwrap_or(1).max(1) * step;
    let first = time.rate.frames_in(timeline.begin);
    let frames = time.rate.frames_in(timeline.end).saturating_sub(first).max(1);
    // The last frame lasts until its end, however long that is.
    let own = (time.rate.frames_in(time.last) + 1).min(first + frames);
    VideoPlan {
        stream: stream.clone(),
        codec: profile.codec,
        preset: profile.preset.clone(),
        crf: profile.crf,
        rate: time.rate,
        lead_frames: time.rate.frames_in(lead),
        frames,
        pad_frames: first + frames - own + SLACK_FRAMES * (1 + time.jumps),
        gop_frames,
        segment_gops: profile.segment_gops,
        tone_map: stream.color.is_hdr(),
        convert: stream.color.converted(),
        over_black: stream.alpha,
        overlay: None,
        hdr: hdr.cloned(),
        renditions,
    }
}

impl VideoPlan {
    /// Ticks a second of every rung's clock; a frame is a whole number of them.
    pub fn timescale(&self) -> u32 {
        self.rate.num * 10_000_u32.div_ceil(self.rate.num).max(1)
    }

    /// Puts an image over the video. Rungs of high range are removed and their names returned: the brightness of
    /// white in an image of standard range is undefined there, and without the image they would lack the mark that
    /// the others carry.
    pub fn lay_over(&mut self, overlay: Overlay) -> Vec<String> {
        self.overlay = Some(overlay);
        self.hdr = None;
        let high = self.renditions.extract_if(.., |rung| rung.range != Range::Sdr);
        high.map(|rung| rung.name).collect()
    }

    /// The parameters of x265 for the static metadata of a rung in PQ. HLG has none.
    pub fn hdr10(&self, range: Range) -> String {
        let known = self.stream.hdr10.as_ref().filter(|_| range == Range::Pq);
        known.map(Hdr10::x265).unwrap_or_default()
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

fn lcm(a: u32, b: u32) -> u32 {
    let (a, b) = (a.max(1), b.max(1));
    Rational::new(a, b).map_or(a, |ratio| ratio.num * b)
}
