//! The controller: a reconciling operator for ECS.

pub mod absorb;
pub mod action;
pub mod attempt;
pub mod clock;
pub mod fact;
pub mod job;
pub mod lease;
pub mod ledger;
pub mod message;
pub mod outcome;
pub mod plan;
pub mod policy;
pub mod ports;
pub mod reconciler;
pub mod task_view;
pub mod tasks;
