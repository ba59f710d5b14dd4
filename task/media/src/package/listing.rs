//! `manifest.json`: all that was made, with its address: for pages and programs, which cannot list a bucket.

use serde::Serialize;
use transcode_config::contract::UserMetadata;

use super::{
    captions::{Captions, WHOLE},
    event_playlist::EVENT_PLAYLIST,
    folder::PackagedFile,
    images::{SHEET, STORYBOARD, THUMBNAILS},
    metadata::{AudioSummary, Summary, VideoSummary},
    progressive::LARGEST_ENTRY,
};

/// Path in the package.
pub const LISTING: &str = "entry/manifest.json";

/// `manifest.json`. Addresses are relative to the stable prefix, where the document lies; what a package lacks is absent.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Listing<'a> {
    schema: u32,
    /// Duration in seconds.
    seconds: f64,
    /// HLS: the master playlist.
    #[serde(skip_serializing_if = "Option::is_none")]
    hls: Option<String>,
    /// The manifest of DASH.
    #[serde(skip_serializing_if = "Option::is_none")]
    dash: Option<String>,
    /// Facts about source and result.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<String>,
    /// One file with picture and audio.
    #[serde(skip_serializing_if = "Option::is_none")]
    progressive: Option<String>,
    /// The master playlist that could be played while the job ran. It stays and is complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    early: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    poster: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    storyboard: Option<Storyboard>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thumbnails: Option<Thumbnails>,
    video: Vec<Rendition<&'a VideoSummary>>,
    audio: Vec<Rendition<&'a AudioSummary>>,
    text: Vec<Text<'a>>,
    /// What was left out or changed, as in `metadata.json`.
    warnings: &'a [String],
    /// The caller's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_metadata: Option<&'a UserMetadata>,
}

/// Small pictures on one sheet.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Storyboard {
    /// `WebVTT`: time and place on the sheet.
    index: String,
    sheet: String,
}

/// Pictures, one at each interval.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Thumbnails {
    /// `WebVTT`: time and file.
    index: String,
    images: Vec<String>,
}

/// A rendition and its own playlist.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Rendition<T> {
    #[serde(flatten)]
    facts: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    playlist: Option<String>,
}

/// Captions.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Text<'a> {
    name: &'a str,
    /// Name for people.
    label: &'a str,
    /// Language as BCP 47.
    language: Option<&'a str>,
    /// All of them in one file of `WebVTT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    whole: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    playlist: Option<String>,
}

/// The schema of `manifest.json`.
#[cfg(feature = "schema")]
pub fn schema() -> schemars::Schema {
    transcode_config::schema::written::<Listing<'_>>()
}

/// What the addresses are made of.
struct Addresses<'a> {
    files: &'a [PackagedFile],
    folder: &'a str,
}

impl Addresses<'_> {
    /// The address of a file; none if the package has no such file.
    fn of(&self, path: &str) -> Option<String> {
        let file = self.files.iter().find(|file| file.path == path)?;
        // A file that is too large for a stable name is played from the folder.
        let name = path.strip_prefix("entry/").filter(|_| file.size <= LARGEST_ENTRY);
        Some(name.map_or_else(|| format!("{}{path}", self.folder), str::to_owned))
    }

    fn playlist(&self, kind: &str, name: &str) -> Option<String> {
        self.of(&format!("{kind}/{name}/index.m3u8"))
    }

    fn thumbnails(&self) -> Option<Thumbnails> {
        let index = self.of(THUMBNAILS)?;
        let paths = self.files.iter().map(|file| file.path.as_str());
        let images = paths.filter(|path| path.starts_with("images/"));
        let images = images.filter(|path| ![STORYBOARD, SHEET, THUMBNAILS].contains(path));
        let mut images: Vec<_> = images.filter_map(|path| self.of(path)).collect();
        images.sort_unstable();
        Some(Thumbnails { index, images })
    }

    fn text<'t>(&self, one: &'t Captions) -> Text<'t> {
        Text {
            name: &one.name,
            label: &one.label,
            language: one.stream.language.as_deref(),
            whole: self.of(&format!("{}/{WHOLE}", one.folder)),
            playlist: self.of(&format!("{}/index.m3u8", one.folder)),
        }
    }
}

/// The bytes of `manifest.json`. `folder`: the attempt's folder as playlists name it; `files`: all other files; `words`:
/// the caller's own.
pub fn document(
    files: &[PackagedFile],
    folder: &str,
    summary: &Summary,
    words: Option<&UserMetadata>,
) -> Vec<u8> {
    let at = Addresses { files, folder };
    let entry = |name: &str| at.of(&format!("entry/{name}"));
    let board = at.of(STORYBOARD).zip(at.of(SHEET));
    let video = summary.video.iter().map(|rung| (rung, at.playlist("video", &rung.name)));
    let audio = summary.audio.iter().map(|one| (one, at.playlist("audio", &one.name)));
    let listing = Listing {
        schema: 1,
        seconds: summary.seconds,
        hls: entry("master.m3u8"),
        dash: entry("manifest.mpd"),
        metadata: entry("metadata.json"),
        progressive: entry("video.mp4").or_else(|| entry("audio.m4a")),
        early: at.of(EVENT_PLAYLIST),
        poster: entry("poster.jpg"),
        storyboard: board.map(|(index, sheet)| Storyboard { index, sheet }),
        thumbnails: at.thumbnails(),
        video: video.map(|(facts, playlist)| Rendition { facts, playlist }).collect(),
        audio: audio.map(|(facts, playlist)| Rendition { facts, playlist }).collect(),
        text: summary.text.iter().map(|one| at.text(one)).collect(),
        warnings: &summary.warnings,
        user_metadata: words.filter(|words| !words.is_empty()),
    };
    serde_json::to_vec_pretty(&listing).unwrap_or_default()
}
