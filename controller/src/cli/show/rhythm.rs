//! How often a command that watches reads again.

use std::time::Duration;

use clap::Args;

/// The time between two readings.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Rhythm {
    /// Seconds between two readings. The controller writes its report at most every ten seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
}

impl Rhythm {
    pub(crate) fn interval(&self) -> Duration {
        Duration::from_secs(self.interval)
    }
}
