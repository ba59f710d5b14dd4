//! The production core in a deterministic world, and its model checking.
//!
//! - [`world`]: SQS, ECS and S3 in their worst documented behaviour, tasks that keep the contract, controllers that run
//!   [`transcode_core::reconciler`], on one virtual clock.
//! - [`fault`] and [`setup`]: the inputs that a seed draws. [`rows`]: the rows of the fault catalogue that were
//!   reached.
//! - [`truth`]: the true state of jobs and tasks.
//! - [`invariants`]: one predicate for each promise of the job protocol.
//! - [`checking`]: small worlds without randomness, searched completely.
//! - [`run`]: one seed from its begin to rest. [`shrink`]: the fewest faults that still break a promise.

pub mod checking;
pub mod fault;
pub mod invariants;
mod newcomers;
pub mod report;
pub mod rng;
pub mod rows;
pub mod run;
pub mod setup;
pub mod shrink;
pub mod truth;
pub mod world;
