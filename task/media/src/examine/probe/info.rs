//! What a source is, in types.

use serde::Serialize;
use transcode_config::contract::Warning;

use super::{super::ending::Ending, rotation::Rotation};
use crate::{
    examine::{combed::Combed, crop::Crop, hdr10::Hdr10, range::Range},
    rational::Rational,
};

/// A source as ffprobe sees it, with the fields that decisions are made from. Times in seconds on the file's own
/// clock.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct SourceInfo {
    /// ffprobe's name of the container, such as `mov,mp4,m4a,3gp,3g2,mj2`.
    pub container: String,
    /// Size in bytes.
    pub size: u64,
    /// When the first stream starts; ffmpeg makes this time zero.
    pub start: f64,
    /// Duration that the container declares, or that ffprobe estimates where it declares none.
    pub duration: Option<f64>,
    /// The video that is encoded.
    pub video: Option<VideoStream>,
    /// Other streams that may be the video, until [`super::choose`] has chosen one.
    #[serde(skip)]
    pub other_videos: Vec<VideoStream>,
    /// Every usable audio track, in the file's order.
    pub audio: Vec<AudioStream>,
    pub text: Vec<TextStream>,
    /// The streams of each programme of a multiplex; none where the container has no programmes.
    #[serde(skip)]
    pub programmes: Vec<Vec<u32>>,
    /// The chapters of the file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chapters: Vec<Chapter>,
    /// Streams that are left out, and why.
    pub skipped: Vec<Skipped>,
    /// Warnings: a stable word, then a sentence with figures for people.
    pub notes: Vec<String>,
    /// The clock of every stream, used or not.
    #[serde(skip)]
    pub clocks: Vec<StreamClock>,
    /// Whether the file is complete, by its bytes.
    #[serde(skip)]
    pub ending: Ending,
}

/// A chapter, in seconds on the file's own clock.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Chapter {
    pub start: f64,
    pub end: f64,
    /// Name in the file, at most 60 characters, without control characters.
    pub title: Option<String>,
}

/// The clock of a stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StreamClock {
    /// Index in the file.
    pub index: u32,
    /// The container's number of the stream, such as a PID.
    pub id: Option<u32>,
    /// Ticks: seconds to a tick.
    pub time_base: Rational,
    /// When it starts, in seconds on the file's own clock.
    pub start: Option<f64>,
}

/// A video stream. Sizes before rotation, without the edges that are cut off.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct VideoStream {
    /// Index in the file.
    pub index: u32,
    /// The container's number of it, such as a PID.
    pub id: Option<u32>,
    /// Whether the file marks it as the one to play.
    pub default: bool,
    pub codec: String,
    /// Edges that the filters cut off first.
    #[serde(skip)]
    pub crop: Crop,
    /// How two views share a frame, such as `side by side`; none for ordinary video.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stereo: Option<String>,
    /// Static metadata of HDR10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hdr10: Option<Hdr10>,
    /// Width in coded pixels.
    pub width: u32,
    /// Height in coded pixels.
    pub height: u32,
    /// Shape of a pixel, width to height.
    pub pixel_aspect: Rational,
    /// Rotation to apply for display.
    #[serde(rename = "turn")]
    pub rotation: Rotation,
    /// Pixel format, such as `yuv420p10le`.
    pub pixel_format: String,
    /// Whether its pixels can be transparent.
    pub alpha: bool,
    /// Matroska's mode of transparency: 1 where a second picture, which decoders leave out, says how transparent the
    /// frame is (VP8 and VP9).
    #[serde(skip)]
    pub alpha_mode: Option<i64>,
    /// Whether the fields are interlaced.
    pub interlaced: bool,
    /// What the fields of a few frames show, whatever the header says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub combed: Option<Combed>,
    /// Colour as tagged; none where untagged.
    pub color: Color,
    /// Average frame rate as declared.
    pub average_rate: Option<Rational>,
    /// Base frame rate as ffprobe guesses it.
    pub base_rate: Option<Rational>,
    /// Ticks of the stream's clock: seconds to a tick.
    pub time_base: Rational,
    /// Declared duration, seconds.
    pub duration: Option<f64>,
    /// Dolby Vision profile, where the stream has one.
    pub dolby_vision: Option<u32>,
}

/// Colour tags, by ffmpeg's names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Color {
    /// Matrix, such as `bt709`.
    pub space: Option<String>,
    /// Transfer function, such as `smpte2084`.
    pub transfer: Option<String>,
    pub primaries: Option<String>,
    /// `tv` or `pc`.
    pub range: Option<String>,
}

impl Color {
    /// The dynamic range, by the transfer function.
    pub fn dynamic_range(&self) -> Range {
        Range::of(self.transfer.as_deref())
    }

    /// Primaries that differ visibly from BT.709's: read as BT.709, the colours would be wrong.
    pub fn far_primaries(&self) -> Option<&'static str> {
        const FAR: [&str; 7] = ["smpte432", "smpte431", "bt2020", "bt470m", "film", "smpte428", "ebu3213"];
        FAR.into_iter().find(|&name| self.primaries.as_deref() == Some(name))
    }

    /// A transfer function of standard range that no player of streams supports.
    pub fn far_transfer(&self) -> Option<&'static str> {
        (self.transfer.as_deref() == Some("linear")).then_some("linear")
    }

    /// A matrix that no player of streams supports.
    pub fn far_matrix(&self) -> Option<&'static str> {
        (self.space.as_deref() == Some("ycgco")).then_some("ycgco")
    }

    /// Whether it is standard range in other colours than BT.709's, which the encoder converts.
    pub fn converted(&self) -> bool {
        let far = [self.far_primaries(), self.far_transfer(), self.far_matrix()];
        !self.is_hdr() && far.iter().any(Option::is_some)
    }

    /// The matrix, if it is one that cannot be converted and is read as the common one of its range.
    pub fn unknown_matrix(&self) -> Option<&str> {
        const STANDARD: [&str; 9] =
            ["bt709", "smpte170m", "bt470bg", "smpte240m", "fcc", "bt2020nc", "gbr", "ycgco", "unspecified"];
        const HIGH: [&str; 5] = ["bt709", "bt2020nc", "ictcp", "gbr", "unspecified"];
        let known = if self.is_hdr() { HIGH.as_slice() } else { &STANDARD };
        self.space.as_deref().filter(|space| !known.contains(space))
    }

    /// The filter that must stand in front of all others, with a comma behind it: ffmpeg from version 7.1 on scales no
    /// frames that are tagged with a matrix that it cannot convert. The filters that convert name the true one.
    pub fn neutral(&self) -> &'static str {
        const SCALED: [&str; 8] =
            ["bt709", "smpte170m", "bt470bg", "smpte240m", "fcc", "bt2020nc", "gbr", "unspecified"];
        let scaled = self.space.as_deref().is_none_or(|space| SCALED.contains(&space));
        if scaled { "" } else { "setparams=colorspace=bt709," }
    }

    /// Whether it is high (PQ or HLG).
    pub fn is_hdr(&self) -> bool {
        self.dynamic_range() != Range::Sdr
    }
}

/// An audio track.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct AudioStream {
    /// Index in the file.
    pub index: u32,
    /// The container's number of it, such as a PID.
    pub id: Option<u32>,
    pub codec: String,
    pub channels: u32,
    /// The streams that it consists of one after the other, where it goes on under another number; else empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<u32>,
    /// When each of them but the first begins at the earliest, in seconds on the file's own clock. What is older has the
    /// time of another recording.
    #[serde(skip)]
    pub resumes: Vec<f64>,
    /// Layout, such as `5.1`; none where the file does not say.
    pub layout: Option<String>,
    /// Samples a second.
    pub sample_rate: u32,
    /// Ticks of the stream's clock.
    pub time_base: Rational,
    /// Declared duration, seconds.
    pub duration: Option<f64>,
    /// Language as BCP 47, such as `en`; none where unknown.
    pub language: Option<String>,
    /// Name in the file, at most 60 characters, without control characters.
    pub title: Option<String>,
    /// Whether the file marks it as the one to play.
    pub default: bool,
    /// Whether it describes the video for people who cannot see it.
    pub describes_video: bool,
    /// Whether somebody talks about the film in it.
    #[serde(skip)]
    pub commentary: bool,
}

/// A text subtitle track.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct TextStream {
    /// Index in the file.
    pub index: u32,
    pub codec: String,
    /// Language as BCP 47.
    pub language: Option<String>,
    /// Name in the file.
    pub title: Option<String>,
    /// Whether the file marks it as shown by default.
    pub default: bool,
    /// Only what must be read even by those who understand the audio.
    pub forced: bool,
    /// For people who cannot hear.
    pub hearing_impaired: bool,
}

/// A stream that is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Skipped {
    /// Index in the file.
    pub index: u32,
    /// What it is, such as `data (bin_data)`.
    pub what: String,
    /// Why it is left out.
    pub why: &'static str,
}

impl SourceInfo {
    /// Whether ffprobe's name of the container is one of these.
    pub fn is_one_of(&self, containers: &[&str]) -> bool {
        self.container.split(',').any(|name| containers.contains(&name))
    }

    /// Whether the container's header gives the duration of each stream.
    pub fn declares_streams(&self) -> bool {
        self.is_one_of(&["mov", "avi", "wav", "w64", "mxf", "caf", "aiff"])
    }

    /// Whether the header gives the duration of the longest stream. For other containers ffprobe's duration is an
    /// estimate.
    pub fn declares_file(&self) -> bool {
        self.is_one_of(&["matroska", "avi", "flv", "asf", "wav", "w64", "caf", "aiff"])
    }

    /// Gives tracks whose language the file does not name this one.
    pub fn speak(&mut self, language: Option<&str>) {
        let audio = self.audio.iter_mut().map(|audio| &mut audio.language);
        let text = self.text.iter_mut().map(|text| &mut text.language);
        for unknown in audio.chain(text).filter(|known| known.is_none()) {
            *unknown = language.map(str::to_owned);
        }
    }

    /// Records that a stream is left out.
    pub fn skip(&mut self, index: u32, what: impl Into<String>, why: &'static str) {
        self.skipped.push(Skipped { index, what: what.into(), why });
    }

    /// Records something that a viewer could miss: a stable word, and its figures in this file.
    pub fn warn(&mut self, word: Warning, what: impl std::fmt::Display) {
        tracing::warn!(%word, %what, "a part of the source is not made as it is");
        self.notes.push(format!("{word}: {what}"));
    }
}

/// Loudspeaker layouts that can be mixed with standard coefficients, by ffmpeg's names.
#[rustfmt::skip]
const SPEAKERS: [&str; 29] = [
    "mono", "stereo", "downmix", "2.1", "3.0", "3.0(back)", "4.0", "quad", "quad(side)", "3.1", "5.0", "5.0(side)",
    "4.1", "5.1", "5.1(side)", "6.0", "6.0(front)", "hexagonal", "6.1", "6.1(back)", "6.1(front)", "7.0",
    "7.0(front)", "7.1", "7.1(wide)", "7.1(wide-side)", "octagonal", "hexadecagonal", "22.2",
];
/// More channels than this without a layout are inputs of a recorder.
const MOST_GUESSED: u32 = 8;

impl AudioStream {
    /// Whether its channels belong to loudspeakers. Others are inputs of a recorder, or a sound field.
    pub fn has_speakers(&self) -> bool {
        match self.layout.as_deref() {
            Some(layout) => SPEAKERS.contains(&layout),
            None => self.channels <= MOST_GUESSED,
        }
    }
}

impl VideoStream {
    /// Whether frames can be interlaced although the header does not say so. Never for new codecs, for portrait video
    /// and for sizes that no interlaced standard has.
    pub fn may_be_interlaced(&self) -> bool {
        const NEVER: [&str; 4] = ["vp8", "vp9", "av1", "gif"];
        let size = self.width >= self.height && (self.height <= 576 || (1000..=1088).contains(&self.height));
        size && self.pixel_format.starts_with("yuv") && !NEVER.contains(&self.codec.as_str())
    }

    /// Takes over which edges the file wants to be cut off, where the decoder does not cut them. `crops`: of each
    /// stream.
    pub fn cut_off(&mut self, crops: &[Crop]) {
        let own = usize::try_from(self.index).ok().and_then(|index| crops.get(index));
        let Some(&crop) = own.filter(|crop| crop.any()) else { return };
        let Some((width, height)) = crop.left_of(self.width, self.height) else { return };
        if crop.shaped {
            let part = |of: u32, all: u32| f64::from(of) / f64::from(all);
            let shape = self.pixel_aspect.value() / part(width, self.width) * part(height, self.height);
            self.pixel_aspect = Rational::near(shape, 1e-6, 1 << 20).unwrap_or(self.pixel_aspect);
        }
        (self.crop, self.width, self.height) = (crop, width, height);
    }

    /// Size as a viewer sees it: square pixels, turned upright. Not rounded to even numbers.
    pub fn display_size(&self) -> (f64, f64) {
        let width = f64::from(self.width) * self.pixel_aspect.value();
        let height = f64::from(self.height);
        if self.rotation.swaps_sides() { (height, width) } else { (width, height) }
    }
}
