//! The media core: from a local source file to a verified CMAF package in a local folder.
//!
//! ```text
//! examine ──────────────────► plan ─► measure ───────────► encode ─► package ─► verify
//! bytes, headers, packets    (pure)   samples, loudness    ffmpeg    playlists  every output again
//! ```
//!
//! [`make`] ([`pipeline`]) takes a [`MediaJob`] through these steps. Nothing here knows of AWS. Only ffprobe and
//! ffmpeg open the source, through [`process`] and in the [`sandbox`]; this process parses only its box headers, and
//! files that our own encoder wrote.
//!
//! A folder uses only folders below it in this list, so that each can be read without those above:
//!
//! | entry | holds | uses |
//! |---|---|---|
//! | [`pipeline`] | the steps in their order | all of them |
//! | [`measure`] | samples for the ladder, loudness of source and result | `encode`, `verify` and below |
//! | [`captions`] | subtitles and captions as `WebVTT` | `encode` and below |
//! | [`encode`] | runs of ffmpeg, and cutting what they write | `package` and below |
//! | [`verify`] | every output read again and held against the plan | `package` and below |
//! | [`package`] | segments, playlists, manifest, images, documents | `plan` and below |
//! | [`plan`] | every decision, as numbers; pure | `examine` and below |
//! | [`examine`] | what the source is | `job` and below |
//! | [`job`] | the job, and the events sent while it runs | `process` |
//! | [`process`] | the one place that starts programs | `sandbox` |
//! | [`sandbox`] | the layers of isolation around each run | nothing here |
//! | [`rational`] | exact fractions | nothing here |
//!
//! Unit tests stand beside the code. Tests on real media are in `tests/media/`, a file for each subject: [`examine`],
//! [`plan`] and [`encode`] in `audio`, `video`, `fields`, `colours`, `streams`, `time`, `corpus`, `refusals`, `edit` and `chunks`;
//! [`measure`] in `audio`, `per_title` and `quality`; [`captions`] in `captions`; [`package`] in `package`, `profiles`,
//! `progressive` and `event_playlist`; [`verify`] in `proof`. [`process`] and [`sandbox`] are tested with the task's
//! program, in `task/tests/sandbox/`. `tests/memory/` measures the memory of this process.

pub mod captions;
pub mod encode;
pub mod examine;
pub mod job;
pub mod measure;
pub mod package;
pub mod pipeline;
pub mod plan;
pub mod process;
pub mod rational;
pub mod sandbox;
pub mod verify;

pub use job::{Event, MediaJob, OverlayFile, Playlist};
pub use package::{event_playlist::EVENT_PLAYLIST as EVENT_MASTER, folder::PackagedFile, metadata::Summary};
pub use pipeline::{EntryFile, Package, make};
