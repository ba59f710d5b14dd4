//! The one place that polls. All other code names a condition and a limit.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Time between two probes. Each probe is a call on loopback, or cheaper.
const INTERVAL: Duration = Duration::from_millis(100);

/// Probes until `probe` returns a value. An error of `probe` ends the wait at once; `None` means "not yet".
pub async fn until<T>(
    what: &str,
    limit: Duration,
    mut probe: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = probe().await? {
            return Ok(found);
        }
        if start.elapsed() >= limit {
            bail!("{what}: not within {} s", limit.as_secs_f32());
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Checks a condition for `span` and fails as soon as it is broken: for events that must *not* happen.
pub async fn never(what: &str, span: Duration, mut broken: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < span {
        if broken().await? {
            bail!("{what}: happened after {:.1} s", start.elapsed().as_secs_f32());
        }
        tokio::time::sleep(INTERVAL).await;
    }
    Ok(())
}

/// As [`until`], for code that cannot be async, such as `Drop`. Returns whether the condition became true.
pub fn until_blocking(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if condition() {
            return true;
        }
        if start.elapsed() >= limit {
            return false;
        }
        std::thread::sleep(INTERVAL / 10);
    }
}
