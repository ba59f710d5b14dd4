//! The task: one uploaded video in, one verified streaming package out.

pub mod aws;
pub mod cli;
pub mod job;
pub mod media;
pub mod process;
pub mod retry;
pub mod sandbox;
