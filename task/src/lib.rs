//! The task: one uploaded video in, one verified streaming package out.

#[cfg(feature = "aws")]
pub mod aws;
#[cfg(feature = "aws")]
pub mod cli;
#[cfg(feature = "aws")]
pub mod job;
pub mod media;
pub mod process;
#[cfg(feature = "aws")]
pub mod retry;
pub mod sandbox;
