//! The sandbox round ffmpeg and ffprobe, with the real programs, with stand-ins that misbehave, and with hostile files;
//! in this machine's kernel and in one without Landlock.

mod encode;
mod support;
