//! What is known of jobs. Each command gathers what it shows in a function of its own, which prints nothing.

mod change;
mod events;
mod explain;
mod get;
mod list;
mod logs;
mod rhythm;
mod wait;
mod watch;

pub(crate) use events::{Events, happened};
pub(crate) use explain::{Explain, explained};
pub(crate) use get::{Get, known_jobs};
pub(crate) use list::{Choice, List, job_list};
pub(crate) use logs::Logs;
pub(crate) use wait::{Wait, exit_status, until_ended};
pub(crate) use watch::Watch;
