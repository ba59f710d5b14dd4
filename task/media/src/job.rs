//! The job that this crate is given, and the events that it sends while it works.

use std::path::{Path, PathBuf};

use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;
use transcode_config::{
    contract::{Clip, Placement, Stage},
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
    /// What goes in front of addresses in the entry files: `v-abc-1/`.
    pub folder: &'a str,
    /// The profile: ladder, codecs and limits.
    pub profile: &'a Profile,
    /// The part of the source that is used; none uses all of it.
    pub clip: Option<Clip>,
    /// An image to lay over the video.
    pub overlay: Option<OverlayFile<'a>>,
    /// What the source is called. For messages only; it never becomes an argument or a path.
    pub source_name: &'a str,
}

/// An event while the package is made, for progress and for uploads that begin before the end.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Another kind of work begins.
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
    /// Something can be played while the encoder still works. Each tells what is new in one playlist.
    Playable(Playlist),
}

/// An overlay as the job asked for it.
#[derive(Debug, Clone, Copy)]
pub struct OverlayFile<'a> {
    /// The local file; its name is ours.
    pub file: &'a Path,
    /// Where and how it is shown.
    pub place: Placement,
}

/// What is new in a playlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Playlist {
    /// Path in the package.
    pub path: String,
    /// What it begins with; the same each time.
    pub head: String,
    /// Files of the package that must be there before it is.
    pub after: Vec<String>,
    /// What follows on whatever was there before: the path of each segment, and its lines. It may be listed once it is
    /// there and those in front of it are.
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
        // Nobody listening is no reason to stop.
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
