//! The one place that polls. Everything else names a condition and a limit.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Between two looks. Every look is a call on loopback, or cheaper.
const INTERVAL: Duration = Duration::from_millis(100);

/// Looks until `probe` gives a value. An error of `probe` ends the wait at once, so a probe turns "not yet" into `None`.
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

/// Watches a condition for `span` and fails as soon as it is broken: for what must *not* happen.
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

/// As [`until`], where nothing asynchronous can run: in `Drop`. True when the condition came about.
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
