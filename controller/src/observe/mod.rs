//! What people see of the loop: changes and plans become log lines and metrics. It reads the ledger and changes nothing.

mod bills;
mod changes;
mod connections;
pub mod http;
mod missed;
#[cfg(test)]
mod tests;
mod turns;
mod watch;

pub use self::watch::Watch;
