//! What is known of jobs.

mod explain;
mod get;

pub(in crate::cli) use explain::Explain;
pub(in crate::cli) use get::Get;
