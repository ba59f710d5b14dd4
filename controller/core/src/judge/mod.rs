//! Judgements that absorbing and planning share: is an [`attempt`] proven over, with which [`outcome`], what do losers
//! leave behind ([`leftovers`]), and does anything keep all launches back ([`launch_pause`])?
//!
//! May use [`crate::state`] and what is below it.

pub mod attempt;
pub mod launch_pause;
pub mod leftovers;
pub mod outcome;
