//! Adapters: the ports of [`transcode_core::effects::ports`] on AWS, one file for each service.
//!
//! They are thin. Each method is one call (or its pages), and what it means lies in the port's documentation. They
//! decide nothing and retry nothing that changes the world: a planner that knows why a call is made also knows whether
//! it should be made again. Reads may be retried by the SDK.
//!
//! | file | what |
//! |---|---|
//! | `client` | one HTTP client for all services, with the timeouts of the settings |
//! | `class` | the one table from error to [`transcode_core::protocol::fact::Class`] |
//! | `sqs`, `ecs`, `state` | the ports |
//! | `sqs_batch` | deletes and visibility timeouts, ten at a time, each with its own answer |
//! | `leftovers` | empties the folders of attempts that did not win |
//! | `run_task`, `describe` | pure: claim to RunTask, DescribeTasks' answer to views |
//! | `ecr` | whether the task's image may be launched |
//! | `image` | the judgement on it; no call |
//! | `hints` | the events queue, which wakes and never decides |
//! | `query` | services that only `doctor` asks, without a client |
//! | `plain` | HTTP with limits, for what the SDK has no operation for |
//! | `cloudwatch` | sends the metrics of [`crate::events`] |

pub mod class;
pub mod client;
pub mod cloudwatch;
mod describe;
pub mod ecr;
pub mod ecs;
pub mod hints;
pub mod image;
mod leftovers;
mod plain;
mod publish;
pub mod query;
pub mod run_task;
pub mod sqs;
mod sqs_batch;
pub mod state;

use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) use self::leftovers::written;
pub use self::{
    client::Clients, cloudwatch::CloudWatch, ecr::Images, ecs::Ecs, hints::Hints, sqs::Sqs, state::S3Store,
};

/// The wall clock, in milliseconds since 1970. Adapters are one of the edges that may ask for it.
fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
