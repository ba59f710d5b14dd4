//! The job that this crate is given, and the events that it sends while it works.

use std::{
    io,
    path::{Path, PathBuf},
};

use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;
use transcode_config::{
    contract::{Clip, Failure, FailureCode, Placement, Stage, UserMetadata},
    ladder::Profile,
};

use crate::process::Tools;

/// A job: one source, one package.
#[derive(Debug, Clone, Copy)]
pub struct MediaJob<'a> {
    /// The source file. Any bytes: nothing about it has been checked.
    pub input: &'a Path,
    /// Private scratch folder. On the same file system as `output`.
    pub work: &'a Path,
    /// Where the package goes; an empty folder.
    pub output: &'a Path,
    /// Prefix of addresses in the entry files: `v-abc-1/`.
    pub folder: &'a str,
    /// The profile: ladder, codecs and limits.
    pub profile: &'a Profile,
    /// The part of the source that is used; none uses all of it.
    pub clip: Option<Clip>,
    /// An image to lay over the video.
    pub overlay: Option<OverlayFile<'a>>,
    /// The caller's own words, for `metadata.json`.
    pub user_metadata: Option<&'a UserMetadata>,
}

/// An event while the package is made, for progress and for uploads that begin before the end.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The next stage begins.
    Stage(Stage),
    /// How far the job is, 0 to 100 over all stages here, and the encoder's speed as a multiple of real time.
    Progress {
        /// Percent of the whole. Never falls.
        percent: f32,
        /// Encoding speed, while encoding.
        speed: Option<f32>,
    },
    /// A file of the package, relative to the output folder, is complete and never modified again.
    FileReady(PathBuf),
    /// Something can be played while the encoder still works. Each event holds what is new in one playlist.
    Playable(Playlist),
}

/// An overlay as the job asked for it.
#[derive(Debug, Clone, Copy)]
pub struct OverlayFile<'a> {
    /// The local file; the task chose its name.
    pub file: &'a Path,
    /// Where and how it is shown.
    pub place: Placement,
}

/// What is new in a playlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Playlist {
    /// Path in the package.
    pub path: String,
    /// Its first lines; the same each time.
    pub head: String,
    /// Files of the package that must be stored before the playlist is.
    pub after: Vec<String>,
    /// What to append: the path of each new segment, and its lines. A segment may be listed once it and those before
    /// it are stored.
    pub segments: Vec<(String, String)>,
}

/// The arguments that every stage needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) job: &'a MediaJob<'a>,
    pub(crate) tools: &'a Tools,
    pub(crate) events: &'a UnboundedSender<Event>,
    pub(crate) stop: &'a CancellationToken,
}

impl Context<'_> {
    pub(crate) fn send(&self, event: Event) {
        // Without a listener the work goes on.
        self.events.send(event).ok();
    }

    pub(crate) fn reached(&self, percent: f32) {
        self.send(Event::Progress { percent, speed: None });
    }

    /// Where the encoder writes. Needed until the audio has been checked.
    pub(crate) fn encoder_folder(&self) -> PathBuf {
        self.job.work.join("encode")
    }
}

/// The failure of a write: `DISK_FULL` where the disk is full.
pub(crate) fn cannot_write(path: &str, error: &io::Error) -> Failure {
    let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let code = if full { FailureCode::DiskFull } else { FailureCode::Internal };
    Failure::new(code, "a file cannot be written").with("file", path).with("error", error)
}
