//! Which job is meant, what is known of it, and which job is live in its place. Nothing here prints.

mod jobs;
mod known;
mod live;
pub(crate) mod tenant;
mod versions;
mod which;

pub(crate) use jobs::{asked_by_upload, letter_of, meant_job, named_jobs, request_of};
pub(crate) use known::{
    Architectures, AttemptRecord, Heard, Indexed, JobRow, Moment, Record, SILENT_MS, recent, result_of, rows,
    story,
};
pub(crate) use live::newer;
pub(crate) use versions::newest;
pub(crate) use which::{JobBegin, Named, SHORT_KEY, Which, begins_a_job};
