//! Log lines and metrics, made from changes and plans. Reads the ledger and changes nothing.

mod by_rule;
mod changes;
pub(crate) mod connections;
pub mod http;
mod job_costs;
mod job_status;
mod missed_events;
pub mod news;
pub mod prometheus;
mod queues;
mod report;
mod slot;
#[cfg(test)]
mod tests;
pub mod traces;
mod turn;
mod watch;

pub use self::{queues::QueueCounts, report::Reporter, slot::Slot, watch::Watch};
