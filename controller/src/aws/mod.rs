//! Adapters: the ports of [`transcode_core::effects::ports`] on AWS, one file for each service.
//!
//! They are thin. Each method is one call (or its pages); the port's documentation gives its meaning. They decide
//! nothing and never repeat a call that changes state: the planner knows why a call is made, so it decides whether to
//! repeat it. The SDK may repeat reads.
//!
//! | file | what |
//! |---|---|
//! | `client` | the clients of all services, with the timeouts of the settings |
//! | `class` | the one table from SDK errors to [`transcode_core::protocol::fact::ErrorClass`] |
//! | `sqs`, `ecs`, `state` | the ports |
//! | `sqs_batch` | deletes and visibility timeouts, ten at a time, each with its own answer |
//! | `index` | the index of jobs: its entries, and listings of them |
//! | `leftovers` | empties the folders of attempts that did not win |
//! | `status` | the report of what the controller knows |
//! | `run_task`, `describe` | pure: from a claim to RunTask, from DescribeTasks' answer to views |
//! | `ecr` | reads the task's image, to check whether it may be launched |
//! | `image` | the check itself; no call |
//! | `control` | the control document, read again only when it changed |
//! | `eventbridge` | the events of jobs, ten at a time, each with its own answer |
//! | `outbox` | events that the bus did not take in time |
//! | `hints` | the events queue, which wakes and never decides |
//! | `pattern` | patterns of IAM, and of keys at the command line; no call |
//! | `swap` | documents that several writers change |
//! | `query` | services that only commands call, without an SDK client |
//! | `plain` | HTTP with limits, for calls that the SDK does not have |
//! | `cloudwatch` | sends the metrics of [`crate::events`] |

pub mod class;
pub mod client;
pub mod cloudwatch;
pub mod control;
mod describe;
pub mod ecr;
pub mod ecs;
pub mod eventbridge;
pub mod hints;
pub mod image;
pub mod index;
mod leftovers;
mod outbox;
pub mod pattern;
mod plain;
mod publish;
pub mod query;
pub mod run_task;
pub mod sqs;
mod sqs_batch;
pub mod state;
pub mod status;
mod survey;
mod swap;

use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) use self::leftovers::written;
pub use self::{
    client::Clients, cloudwatch::CloudWatch, ecr::Images, ecs::Ecs, eventbridge::Bus, hints::Hints, sqs::Sqs,
    state::S3Store, status::StatusWriter,
};

/// The wall clock, in milliseconds since 1970. Only adapters and the runtime may read it.
fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
