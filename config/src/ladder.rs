//! Ladders as data: a profile names the renditions of a job and how they are encoded.
//!
//! Rates are in bits per second, sizes in pixels of a 16:9 frame, times in seconds. Numbers follow Apple's HLS
//! Authoring Specification for Apple Devices.

mod options;

use serde::{Deserialize, Serialize};

pub use options::{ChunkSettings, HdrSettings, PackageLimits, PerTitleSettings, ProgressiveSettings};

/// A video codec that renditions are encoded with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum VideoCodec {
    /// H.264, plays everywhere.
    H264,
    /// HEVC with the `hvc1` sample entry.
    Hevc,
    /// AV1.
    Av1,
}

/// One rung of the ladder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rung {
    /// Short side of the video: 720 gives 1280x720 for 16:9 and 720x1280 for a portrait source.
    pub short_side: u32,
    /// Wanted average, bits per second.
    pub average_bps: u64,
    /// Cap, bits per second (VBV).
    pub max_bps: u64,
    /// VBV buffer, bits.
    pub buffer_bits: u64,
    /// Highest frame rate on this rung; none keeps the source's (at most 60).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_fps: Option<u32>,
    /// Codec profile, such as `main` or `high`.
    pub codec_profile: String,
}

/// Audio.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AudioSettings {
    /// AAC-LC bit rate of the stereo rendition, bits per second.
    pub bps: u64,
    /// AAC-LC bit rate of a rendition in 5.1 beside the stereo one, for tracks that have as many channels, bits per
    /// second; none makes stereo only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surround_bps: Option<u64>,
    /// Language (BCP 47) of audio and text tracks whose language the file does not name; none leaves it unknown. A
    /// request's or a source's own takes its place when a job is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_language: Option<String>,
    /// Target loudness in LUFS (EBU R128); none leaves loudness alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loudness_lufs: Option<f64>,
}

/// Images beside the video.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ImageSettings {
    /// The poster: one frame that stands for the video, chosen by its content.
    pub poster: bool,
    /// A sheet of small images with a `WebVTT` index, for the seek bar.
    pub storyboard: bool,
    /// One thumbnail every so many seconds; none makes no thumbnails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnail_seconds: Option<u32>,
}

impl Default for ImageSettings {
    fn default() -> Self {
        Self { poster: true, storyboard: true, thumbnail_seconds: None }
    }
}

/// A profile: everything that decides what a job's outputs look like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Profile {
    /// Name by which jobs ask for it.
    pub name: String,
    pub codec: VideoCodec,
    /// Constant rate factor under the cap of the rung.
    pub crf: u32,
    /// Encoder preset, such as `medium`.
    pub preset: String,
    /// Length of a group of pictures in seconds (rule 1.13: 2 s).
    pub gop_seconds: u32,
    /// Segment length in groups of pictures.
    pub segment_gops: u32,
    /// Rungs, lowest first. Without any, only audio is made.
    #[serde(rename = "rung", default)]
    pub rungs: Vec<Rung>,
    pub audio: AudioSettings,
    /// Longest accepted source, seconds.
    pub max_duration_seconds: u64,
    /// Whether players can begin while the encoder still works. The terminal record still decides.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub playable_early: bool,
    /// Images beside the video.
    #[serde(default)]
    pub images: ImageSettings,
    /// A progressive MP4 beside the streams; none makes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progressive: Option<ProgressiveSettings>,
    /// Rates measured on the source; none keeps the rungs' own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_title: Option<PerTitleSettings>,
    /// Chunks that are encoded side by side; none encodes every source in one run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunks: Option<ChunkSettings>,
    /// Rungs of high dynamic range; none brings every source to standard range only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hdr: Option<HdrSettings>,
    /// Limits of a package.
    #[serde(default, skip_serializing_if = "PackageLimits::is_default")]
    pub package: PackageLimits,
}

/// Why a profile cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("profile {profile}: {problem}")]
pub struct ProfileError {
    /// The profile's name, or the origin of its text.
    pub profile: String,
    /// The key, what is wrong with it, and what to do.
    pub problem: String,
}

/// The profiles that come with the program: name and text.
const BUILT_IN: &[(&str, &str)] = &[
    ("standard", include_str!("../profiles/standard.toml")),
    ("apple-full", include_str!("../profiles/apple-full.toml")),
    ("hevc", include_str!("../profiles/hevc.toml")),
    ("av1", include_str!("../profiles/av1.toml")),
    ("audio", include_str!("../profiles/audio.toml")),
    ("vertical", include_str!("../profiles/vertical.toml")),
];

impl Profile {
    /// Reads a profile from TOML text and checks it. `origin` names the text in errors.
    pub fn parse(origin: &str, text: &str) -> Result<Self, ProfileError> {
        let profile: Self = toml::from_str(text)
            .map_err(|error| ProfileError { profile: origin.to_owned(), problem: error.to_string() })?;
        profile.check()?;
        Ok(profile)
    }

    /// A profile that comes with the program.
    pub fn built_in(name: &str) -> Option<Self> {
        let (name, text) = BUILT_IN.iter().find(|(known, _)| *known == name)?;
        Self::parse(name, text).ok()
    }

    /// Names of the profiles that come with the program.
    pub fn built_in_names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// Checks the numbers. The error names the key and what to do.
    pub fn check(&self) -> Result<(), ProfileError> {
        let wrong = |problem: String| Err(ProfileError { profile: self.name.clone(), problem });
        if self.name.is_empty() || !self.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return wrong("name: use letters, digits and hyphens only".into());
        }
        if self.gop_seconds == 0 || self.gop_seconds > 10 || self.segment_gops == 0 || self.segment_gops > 10
        {
            return wrong("gop_seconds and segment_gops: each must be 1 to 10 (rule 1.13: 2 s and 3)".into());
        }
        if self.crf > 63 {
            return wrong(format!("crf: {} is not between 0 and 63", self.crf));
        }
        check_word("preset", &self.preset).or_else(wrong)?;
        if !matches!(self.audio.bps, 32_000..=512_000) {
            return wrong(format!("audio.bps: {} is not between 32000 and 512000", self.audio.bps));
        }
        if self.audio.surround_bps.is_some_and(|bps| !(128_000..=1_024_000).contains(&bps)) {
            return wrong(
                "audio.surround_bps: must be 128000 to 1024000; leave it out for stereo only".into(),
            );
        }
        if self.audio.loudness_lufs.is_some_and(|lufs| !(-40.0..=-5.0).contains(&lufs)) {
            return wrong(
                "audio.loudness_lufs: must be between -40 and -5; leave it out to keep loudness".into(),
            );
        }
        if self.audio.default_language.as_deref().is_some_and(|tag| !is_language(tag)) {
            return wrong(format!("audio.default_language: {LANGUAGE_TAG}"));
        }
        if self.images.thumbnail_seconds == Some(0) {
            return wrong("images.thumbnail_seconds: must be at least 1; leave it out for none".into());
        }
        self.progressive.as_ref().map_or(Ok(()), ProgressiveSettings::check).or_else(wrong)?;
        self.per_title.as_ref().map_or(Ok(()), PerTitleSettings::check).or_else(wrong)?;
        self.chunks.as_ref().map_or(Ok(()), ChunkSettings::check).or_else(wrong)?;
        self.package.check().or_else(wrong)?;
        if self.hdr.is_some() && self.rungs.is_empty() {
            return wrong("hdr: stands beside a ladder; add rungs of standard range".into());
        }
        self.hdr.as_ref().map_or(Ok(()), HdrSettings::check).or_else(wrong)?;
        check_rungs(&self.rungs).or_else(wrong)
    }
}

/// What to write where [`is_language`] says no.
pub const LANGUAGE_TAG: &str = "use a tag of BCP 47, such as \"de\" or \"pt-BR\"";

/// Whether it has the form of a language tag (RFC 5646): two or three letters, then parts of up to eight.
pub fn is_language(tag: &str) -> bool {
    let (first, rest) = tag.split_once('-').map_or((tag, None), |(first, rest)| (first, Some(rest)));
    let part =
        |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    matches!(first.len(), 2 | 3)
        && first.bytes().all(|byte| byte.is_ascii_lowercase())
        && tag.len() <= 35
        && rest.is_none_or(|rest| rest.split('-').all(part))
}

/// The encoder's names become arguments of ffmpeg: each must be a single word.
fn check_word(key: &str, word: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if (1..=30).contains(&word.len()) && word.bytes().all(plain) && !word.starts_with('-') {
        return Ok(());
    }
    Err(format!(
        "{key}: {word:?} is no name that an encoder has; use letters, digits and hyphens, as in \"medium\""
    ))
}

fn check_rungs(rungs: &[Rung]) -> Result<(), String> {
    for (index, rung) in rungs.iter().enumerate() {
        let at = |problem: &str| Err(format!("rung {}: {problem}", index + 1));
        if !(64..=4320).contains(&rung.short_side) || rung.short_side % 2 != 0 {
            return at("short_side must be even and between 64 and 4320");
        }
        if let Err(problem) = check_word("codec_profile", &rung.codec_profile) {
            return at(&problem);
        }
        if rung.average_bps < 10_000 || rung.max_bps < rung.average_bps {
            return at("average_bps must be at least 10000, and max_bps not below it");
        }
        if rung.buffer_bits < rung.max_bps / 2 {
            return at("buffer_bits must hold at least half a second of max_bps");
        }
        if rung.max_fps == Some(0) {
            return at("max_fps must be at least 1; leave it out to keep the source's");
        }
    }
    for (index, pair) in rungs.windows(2).enumerate() {
        let [low, high] = pair else { continue };
        if high.short_side < low.short_side || high.average_bps <= low.average_bps {
            return Err(format!(
                "rung {}: rungs go from lowest to highest; none may have a smaller size than, or a bit rate \
                 at or below, the one before it",
                index + 2
            ));
        }
    }
    Ok(())
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_that_comes_with_the_program_is_valid_and_has_its_files_name() {
        for (name, text) in BUILT_IN {
            assert_eq!(Profile::parse(name, text).unwrap().name, *name);
        }
    }

    #[test]
    fn every_file_in_profiles_is_built_in() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/profiles");
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            assert!(Profile::built_in(&name).is_some(), "{name} is not listed in BUILT_IN");
        }
    }

    #[test]
    fn the_options_shown_as_comments_are_valid_as_they_stand() {
        let shown = include_str!("../profiles/standard.toml");
        let option = |line: &str| line.contains(" = ") && !line.contains(". ") || line.starts_with('[');
        let open =
            |line: &str| line.strip_prefix("# ").filter(|rest| option(rest)).unwrap_or(line).to_owned();
        let text: Vec<String> = shown.lines().map(open).collect();
        let profile = Profile::parse("shown", &text.join("\n")).unwrap();
        assert_eq!(profile.per_title, Some(PerTitleSettings::default()));
        assert_eq!(profile.chunks, Some(ChunkSettings::default()));
        assert_eq!(profile.audio.surround_bps, Some(384_000));
        assert_eq!(profile.hdr.map(|hdr| hdr.rungs.len()), Some(2));
    }

    #[test]
    fn a_wrong_profile_is_refused_by_the_name_of_the_key() {
        let standard = include_str!("../profiles/standard.toml");
        for (from, to, key) in [
            ("gop_seconds = 2", "gop_seconds = 0", "gop_seconds"),
            ("crf = 23", "crf = 99", "crf"),
            ("bps = 128_000", "bps = 1", "audio.bps"),
            ("bps = 128_000", "bps = 128_000\nsurround_bps = 1", "audio.surround_bps"),
            ("short_side = 234", "short_side = 235", "short_side"),
            ("short_side = 234", "short_side = 720", "lowest to highest"),
            ("max_bps = 180_000", "max_bps = 100_000", "max_bps"),
            ("preset = ", "presett = ", "presett"),
            ("preset = \"", "preset = \"slow -vf x", "preset: "),
            ("preset = \"medium\"", "preset = \"\"", "preset: "),
            ("preset = \"medium\"", "preset = \"-y\"", "preset: "),
            ("codec_profile = \"", "codec_profile = \"high:a=b ", "codec_profile: "),
            ("[images]", "[hdr]\ncrf = 22\npreset = \"slow/../x\"\nrung = []\n[images]", "hdr.preset: "),
            ("[images]", "[progressive]\nmax_short_side = 1\n[images]", "progressive.max_short_side"),
            ("[images]", "[per_title]\nsamples = 11\n[images]", "per_title.samples"),
            ("[images]", "[per_title]\nleast_step = 0.9\n[images]", "per_title.least_step"),
            ("[images]", "[chunks]\nseconds = 1\n[images]", "chunks.seconds"),
            ("[images]", "[chunks]\nat_once = 9\n[images]", "chunks.at_once"),
            ("[images]", "[package]\nmax_files = 9\n[images]", "package.max_files"),
            ("[images]", "[package]\nmax_bytes = 9\n[images]", "package.max_bytes"),
            ("[images]", "[package]\nmax_growth = 0\n[images]", "package.max_growth"),
            ("[images]", "[hdr]\ncrf = 52\npreset = \"medium\"\nrung = []\n[images]", "hdr.crf"),
            ("[images]", "[hdr]\ncrf = 22\npreset = \"medium\"\nrung = []\n[images]", "hdr.rung"),
        ] {
            assert!(standard.contains(from), "{from} is not in the file any more");
            let error = Profile::parse("x", &standard.replacen(from, to, 1)).unwrap_err();
            assert!(error.to_string().contains(key), "{to}: {error}");
        }
    }
}
