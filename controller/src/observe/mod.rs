//! Log lines and metrics, made from changes and plans. Reads the ledger and changes nothing.

mod changes;
mod connections;
pub mod http;
mod job_costs;
mod missed_events;
#[cfg(test)]
mod tests;
mod turn;
mod watch;

pub use self::watch::Watch;
