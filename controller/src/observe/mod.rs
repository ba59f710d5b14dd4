//! Log lines and metrics, made from changes and plans. Reads the ledger and changes nothing.

mod changes;
mod connections;
pub mod http;
mod job_costs;
mod missed_events;
pub mod prometheus;
#[cfg(test)]
mod tests;
pub mod traces;
mod turn;
mod watch;

pub use self::watch::Watch;
