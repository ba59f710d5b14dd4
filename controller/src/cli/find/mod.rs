//! Which job is meant, what its records say, and which job is live in its place.

mod jobs;
mod live;
mod record;
pub(in crate::cli) mod tenant;
mod versions;
mod which;

pub(in crate::cli) use jobs::{asked_by_upload, letter_of, of_object, request_of};
pub(in crate::cli) use live::newer;
pub(in crate::cli) use record::{AttemptRecord, Record};
pub(in crate::cli) use versions::newest;
pub(in crate::cli) use which::{Named, Which};
