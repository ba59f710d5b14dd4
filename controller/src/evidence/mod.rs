//! What is known of a controller beside its report in the state bucket, for the moments when that report is old or silent
//! on a job: its own word, its log in CloudWatch Logs, and what its queues hold now.
//!
//! A controller that cannot write into the state bucket cannot write its report either. It says so in `/notes` and in its
//! log. Each source is optional: one that cannot be read is named and holds nothing up.

mod gather;
mod log;

pub(crate) use gather::{gather, own_words};
pub(crate) use log::{Line, Log};

use transcode_config::contract::JobKey;
use transcode_core::effects::ports::Depth;

use crate::observe::http::{Notes, Unwritten};

/// What was found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Evidence {
    /// The answer of a controller on this machine; `None` where none listens, as on a laptop.
    pub(crate) notes: Option<Notes>,
    /// Warnings and errors of its last hour.
    pub(crate) log: Log,
    /// What each queue holds now, by its name.
    pub(crate) queues: Vec<(String, Depth)>,
}

impl Evidence {
    /// Since when the report cannot be written, if the controller says so and has not taken it back.
    pub(crate) fn unwritten(&self) -> Option<Unwritten> {
        match &self.notes {
            Some(notes) => notes.unwritten.clone(),
            None => self.log.unwritten(),
        }
    }

    /// The newest call of a job that failed, as the log has it.
    pub(crate) fn failed(&self, job: &JobKey) -> Option<&Line> {
        self.log.lines().iter().rfind(|line| line.job.as_deref() == Some(job.as_str()))
    }

    /// Whether the controller's own word or its log mentions a job.
    pub(crate) fn knows(&self, job: &JobKey) -> bool {
        self.notes.as_ref().is_some_and(|notes| notes.jobs.contains_key(job.as_str()))
            || self.failed(job).is_some()
    }

    /// The newest line of the log that tells of trouble; such a line shows that a controller ran then.
    pub(crate) fn newest(&self) -> Option<&Line> {
        self.log.lines().last()
    }
}
