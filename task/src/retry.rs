//! Retries: the one module that uses the `backoff` crate.
//!
//! The charter asks for the crate, and it is unmaintained (RUSTSEC-2025-0012), so nothing else may depend on it.
//! Every wait has jitter (±50 %) and a cap, and the total time has a limit; a stop ends a wait at once.

use std::{future::Future, time::Duration};

use backoff::{Error, ExponentialBackoff, ExponentialBackoffBuilder, future::retry_notify};
use tokio_util::sync::CancellationToken;

use crate::aws::{AwsError, ErrorClass};

/// How long and how often a call is tried.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// The first wait; each further one is twice as long.
    pub first: Duration,
    /// The longest wait between two calls, before jitter.
    pub longest: Duration,
    /// No further try after this long.
    pub total: Duration,
}

impl Patience {
    /// For documents at the start: a bad minute of S3 must not cost an attempt.
    pub const START: Self = Self::new(200, 5, 90);
    /// For data: long enough for a brown-out, short compared with the job.
    pub const TRANSFER: Self = Self::new(200, 20, 300);
    /// For the terminal record. All the work is done by then, so waiting is cheaper than working again; the fence
    /// ends it sooner if S3 is out of reach.
    pub const TERMINAL: Self = Self::new(200, 10, 600);
    /// For the last heartbeat and the cleanup: a few tries, because a task that is stopping has seconds.
    pub const LAST_WORDS: Self = Self::new(200, 1, 5);

    const fn new(first_ms: u64, longest_s: u64, total_s: u64) -> Self {
        Self {
            first: Duration::from_millis(first_ms),
            longest: Duration::from_secs(longest_s),
            total: Duration::from_secs(total_s),
        }
    }

    fn backoff(self) -> ExponentialBackoff {
        ExponentialBackoffBuilder::new()
            .with_initial_interval(self.first)
            .with_multiplier(2.0)
            .with_randomization_factor(0.5)
            .with_max_interval(self.longest)
            .with_max_elapsed_time(Some(self.total))
            .build()
    }
}

/// Calls `operation` until it succeeds, fails for good, or the time is over; then returns the last error.
///
/// A stop ends it with [`ErrorClass::Stopped`] and **drops a call in progress**, whose result is unknown.
pub async fn retry<T, Op, Fut>(
    patience: Patience,
    what: &'static str,
    stop: &CancellationToken,
    mut operation: Op,
) -> Result<T, AwsError>
where
    Op: FnMut() -> Fut,
    Fut: Future<Output = Result<T, AwsError>>,
{
    let attempt = || {
        // On the heap: the future of an SDK call is large, and many callers hold it.
        let call = Box::pin(operation());
        async move {
            call.await.map_err(|error| match error.class {
                class if class.retryable() => Error::transient(error),
                _ => Error::permanent(error),
            })
        }
    };
    let note = |error: AwsError, wait: Duration| {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(what, %error, wait_ms, "trying again");
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(AwsError::stopped()),
        result = retry_notify(patience.backoff(), attempt, note) => result,
    }
}

/// Whether a failed write may have been carried out.
pub fn uncertain(error: &AwsError) -> bool {
    matches!(error.class, ErrorClass::Transient | ErrorClass::Stopped)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const QUICK: Patience = Patience {
        first: Duration::from_millis(1),
        longest: Duration::from_millis(2),
        total: Duration::from_millis(50),
    };

    fn error(class: ErrorClass) -> AwsError {
        AwsError { class, status: None, code: None, message: String::new() }
    }

    #[tokio::test]
    async fn what_cannot_succeed_is_called_once() {
        let (calls, go_on) = (Cell::new(0), CancellationToken::new());
        let result = retry(QUICK, "test", &go_on, || {
            calls.set(calls.get() + 1);
            async { Err::<(), _>(error(ErrorClass::Denied)) }
        });
        assert_eq!(result.await.unwrap_err().class, ErrorClass::Denied);
        assert_eq!(calls.get(), 1);
    }

    #[tokio::test]
    async fn a_passing_fault_is_ridden_out_and_a_lasting_one_given_up() {
        let (calls, go_on) = (Cell::new(0), CancellationToken::new());
        let passing = retry(QUICK, "test", &go_on, || {
            calls.set(calls.get() + 1);
            let result = if calls.get() < 3 { Err(error(ErrorClass::Throttled)) } else { Ok(calls.get()) };
            async { result }
        });
        assert_eq!(passing.await.unwrap(), 3);
        let lasting = retry(QUICK, "test", &go_on, || async { Err::<(), _>(error(ErrorClass::Transient)) });
        assert_eq!(lasting.await.unwrap_err().class, ErrorClass::Transient);
    }

    #[tokio::test]
    async fn a_stop_ends_a_call_under_way() {
        let stop = CancellationToken::new();
        stop.cancel();
        let never = retry(QUICK, "test", &stop, std::future::pending::<Result<(), AwsError>>);
        assert_eq!(never.await.unwrap_err().class, ErrorClass::Stopped);
    }
}
