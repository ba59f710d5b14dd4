//! Which job is meant, what its records say, and which job is live in its place.

mod heard;
mod jobs;
mod live;
mod recent;
mod record;
mod result;
mod rows;
mod story;
pub(in crate::cli) mod tenant;
mod versions;
mod which;

pub(in crate::cli) use heard::Heard;
pub(in crate::cli) use jobs::{asked_by_upload, letter_of, named_jobs, of_object, request_of};
pub(in crate::cli) use live::newer;
pub(in crate::cli) use recent::{Indexed, recent};
pub(in crate::cli) use record::{AttemptRecord, Record};
pub(in crate::cli) use result::{Architectures, result_of};
pub(in crate::cli) use rows::{JobRow, rows};
pub(in crate::cli) use story::{Moment, story};
pub(in crate::cli) use versions::newest;
pub(in crate::cli) use which::{Named, Which};
