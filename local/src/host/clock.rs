//! The one place that reads a clock.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::model::Millis;

/// Wall-clock time that never runs backwards: the time of day at the start, and a monotonic clock from there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started: Instant,
    epoch: Millis,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), epoch: millis(since_epoch) }
    }

    pub(crate) fn now(&self) -> Millis {
        self.epoch.saturating_add(millis(self.started.elapsed()))
    }

    /// When the clock will show `at`. At most a day away: the caller then asks again.
    pub(crate) fn instant(&self, at: Millis) -> Instant {
        const DAY: Millis = 24 * 3600 * 1000;
        Instant::now() + Duration::from_millis(at.saturating_sub(self.now()).min(DAY))
    }
}

/// A duration in milliseconds; `u64::MAX` for one that does not fit.
pub(crate) fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}
