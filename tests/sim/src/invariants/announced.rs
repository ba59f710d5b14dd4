//! S18: the end of each job is told.

use transcode_config::contract::JobEvent;
use transcode_core::{invariant::tells, protocol::fact::MessageId};

use super::{Kept, keep};
use crate::truth::JobTruth;

/// S18: an event of an end comes after the terminal record, and tells what that says.
pub fn s18_told_as_it_ended(job: Option<&JobTruth>, event: &JobEvent) -> Kept {
    let record = job.and_then(|job| job.terminal.as_ref()).map(|terminal| &terminal.outcome);
    keep(record.is_some_and(|outcome| tells(event.kind, outcome)), "S18", || {
        format!("{} was told as {}, and its terminal record does not say so", event.job, event.kind)
    })
}

/// S18: a message is deleted only when the bus or the outbox has the event of each of its jobs.
pub fn s18_deleted_when_told(message: &MessageId, untold: Option<&JobTruth>) -> Kept {
    keep(untold.is_none(), "S18", || {
        let job = untold.map_or_else(String::new, |job| job.key().to_string());
        format!("{} was deleted while nobody was told how {job} has ended", message.0)
    })
}
