//! The media core on real media: a package as players see it, and inputs that must work or fail by name.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

mod audio;
mod captions;
mod chunks;
mod colours;
mod corpus;
mod described;
mod edit;
mod event_playlist;
mod fields;
mod package;
mod per_title;
mod profiles;
mod progressive;
mod proof;
mod quality;
mod refusals;
mod streams;
mod support;
mod time;
mod video;
