//! Judgements that both `absorb` and `plan` need: is an [`attempt`] proven over, what was its [`outcome`], which
//! [`leftovers`] do losers have, and why do launches pause ([`launch_pause`])?
//!
//! May use [`crate::state`] and what is below it.

pub mod announcement;
pub mod asked;
pub mod attempt;
pub mod launch_pause;
pub mod leftovers;
pub mod outcome;
