//! The task: one uploaded video in, one verified streaming package out.

pub mod aws;
pub mod cli;
pub mod job;
pub mod retry;
