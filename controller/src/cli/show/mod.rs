//! What is known of jobs.

mod change;
mod events;
mod explain;
mod get;
mod list;
mod logs;
mod rhythm;
mod wait;
mod watch;

pub(in crate::cli) use events::Events;
pub(in crate::cli) use explain::Explain;
pub(in crate::cli) use get::Get;
pub(in crate::cli) use list::List;
pub(in crate::cli) use logs::Logs;
pub(in crate::cli) use wait::Wait;
pub(in crate::cli) use watch::Watch;
