//! What is known of jobs: the controller's report, the index, the records, and the three joined.

mod heard;
mod recent;
mod record;
mod result;
mod rows;
mod story;

pub(crate) use heard::{Heard, SILENT_MS};
pub(crate) use recent::{Indexed, of_source, recent};
pub(crate) use record::{AttemptRecord, Record};
pub(crate) use result::{Architectures, result_of};
pub(crate) use rows::{JobRow, rows};
pub(crate) use story::{Moment, story};
