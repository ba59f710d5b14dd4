//! The task: one uploaded video in, one verified streaming package out.

pub mod process;
pub mod sandbox;
