//! Traces of jobs for an OpenTelemetry collector: which spans a change ends, and how they are sent.
//!
//! A trace is for people and costs nothing else: a collector that is away, slow or wrong loses spans, and the log says so
//! once.

mod sender;
mod spans;

pub use sender::{Sender, Traces, start};
