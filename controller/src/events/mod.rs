//! Each observable moment once: its log line and its metric leave together.
//!
//! Code that does something says [`Events::emit`] with a [`Event`]; what is logged and what is counted is decided
//! here. Nothing in here needs a runtime, a network or a clock: the simulator counts with the same code.

mod event;
mod log;
mod registry;

pub use transcode_config::metrics::{Kind, Metric, MetricInfo, Unit};

pub use self::{
    event::{Ending, Event, Phases},
    registry::{Point, Registry, Value},
};

/// Where moments go.
#[derive(Debug, Default)]
pub struct Events {
    registry: Registry,
}

impl Events {
    /// With all counters at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Logs and counts a moment.
    pub fn emit(&self, event: Event<'_>) {
        event.log();
        event.count(&self.registry);
    }

    /// What has been counted.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }
}
