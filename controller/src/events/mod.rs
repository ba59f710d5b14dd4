//! Each event in one place: its log line and its metric are emitted together.
//!
//! Other code calls [`Events::emit`] with an [`Event`]; this module decides what is logged and counted. It needs no
//! runtime, network or clock: the simulator counts with the same code.
//!
//! [`Events::emit`]: crate::events::Events::emit
//! [`Event`]: crate::events::Event

mod event;
mod log;
mod registry;
mod sources;
mod standing;

pub use transcode_config::metrics::{Kind, Metric, MetricInfo, Unit};

pub use self::{
    event::{Ending, Event, Phases},
    registry::{Point, Registry, Value},
    sources::Sources,
    standing::{Spread, Standing, Totals},
};

/// Receives events.
#[derive(Debug, Default)]
pub struct Events {
    registry: Registry,
    sources: Sources,
}

impl Events {
    /// All counters are zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Logs and counts an event.
    pub fn emit(&self, event: Event<'_>) {
        let key = event.job().and_then(|job| self.sources.key_of(job));
        event.log(key.as_deref());
        event.count(&self.registry);
    }

    /// The object keys that log lines name.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// The metrics counted so far.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }
}
