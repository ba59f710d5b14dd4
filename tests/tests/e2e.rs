//! The pipeline as its users have it: processes, an emulated AWS, real media. One program, so that everything is linked
//! once and tests that wait for something run beside tests that compute.
//!
//! One theme: `cargo test -p transcode-tests --test e2e letters`.
mod cli;
mod conformance;
mod console;
mod doctor;
mod events;
mod failures;
mod iam;
mod image;
mod letters;
mod logs;
mod operations;
mod operator;
mod package;
mod pipeline;
mod player;
mod presign;
mod processes;
mod prometheus;
mod release;
mod secrets;
mod standing;
mod steer;
mod submit;
mod template;
mod traces;
