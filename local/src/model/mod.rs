//! The pure half: records, rules and the state machine. No clock, no randomness, no input or output: time and new ids
//! are arguments, and effects on the outside are return values.

pub(crate) mod counters;
pub(crate) mod definitions;
pub(crate) mod envelope;
pub(crate) mod error;
pub(crate) mod fault;
pub(crate) mod faults;
pub(crate) mod input;
pub(crate) mod machine;
pub(crate) mod names;
pub(crate) mod ops;
pub(crate) mod render;
pub(crate) mod sizes;
pub(crate) mod state;
pub(crate) mod task;
pub(crate) mod tokens;

/// Milliseconds since the Unix epoch, or a length of time in milliseconds.
pub(crate) type Millis = u64;
