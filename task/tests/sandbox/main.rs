//! The sandbox round ffmpeg and ffprobe, with the real programs, with stand-ins that misbehave, and with hostile files;
//! in this machine's kernel and in one without Landlock.

#![allow(clippy::unwrap_used, clippy::panic, clippy::duration_suboptimal_units, reason = "a test crate")]
#![allow(unsafe_code, reason = "filters are installed between fork and exec")]

mod canary;
mod corpus;
mod encode;
mod figures;
mod hostile;
mod killed;
mod misbehave;
mod overlays;
mod program;
mod standin;
mod support;
