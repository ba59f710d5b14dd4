//! The production core in a deterministic world, and its model checking.
//!
//! - [`world`]: SQS, ECS and S3 as they may behave at worst, tasks that keep the contract, controllers that run
//!   [`transcode_core::reconciler`], on one virtual clock.
//! - [`fault`] and [`setup`]: what a seed draws. [`rows`]: which rows of the fault catalogue were reached.
//! - [`truth`]: jobs and tasks as they really are.
//! - [`invariants`]: one predicate for each promise of the job protocol.
//! - [`checking`]: small worlds without chance, searched to the end.
//! - [`run`]: one seed from its beginning to rest. [`shrink`]: the fewest faults that still break a promise.

pub mod checking;
pub mod fault;
pub mod invariants;
pub mod report;
pub mod rng;
pub mod rows;
pub mod run;
pub mod setup;
pub mod shrink;
pub mod truth;
pub mod world;
