//! The loop on a real clock: [`turns`] takes a turn whenever something has happened or is due, and [`calls`] makes the calls
//! of its plan, a bounded number at a time. Their answers come back as facts.

mod calls;
mod turns;

pub use calls::Limits;
pub use turns::{Clock, Inputs, Observer, Reload, run, wall_ms};
