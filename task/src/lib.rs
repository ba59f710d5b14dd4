//! The task: one uploaded video in, one verified streaming package out.
//!
//! Unit tests stand beside the code. `tests/job/` runs the program against S3 over HTTP, a file for each of `job/`'s
//! subjects; `tests/sandbox/` runs it with hostile files.

pub mod aws;
pub mod cli;
pub mod job;
pub mod retry;
