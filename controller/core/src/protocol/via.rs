//! The way of an event.

use std::sync::Arc;

/// Where an event is sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Via {
    /// To this bus: its name or ARN.
    Bus(Arc<str>),
    /// Into the outbox of the state bucket, from where it is sent later.
    Outbox,
}
