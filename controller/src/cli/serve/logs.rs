//! Log lines on their way to standard output.
//!
//! Standard output may block: a full disk, a log driver that waits for its service, a pipe that nobody reads. Lines
//! then wait in memory up to a limit; lines beyond it are lost and counted. The reconciler goes on.

use std::io::Write;

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use transcode_config::escape::Net;

/// Most lines that wait: a few megabytes, and more than an ordinary minute writes.
const WAITING: usize = 8192;

/// Sends all traced events to standard output, one JSON object a line. Dropping the guard waits at most a second for
/// the last lines.
pub(crate) fn start() -> (Losses, WorkerGuard) {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("warn,transcode_controller=info"));
    let (lines, writer) = bounded(Net(std::io::stdout()), WAITING);
    let losses = Losses::of(&lines);
    let format = tracing_subscriber::fmt().json().flatten_event(true);
    format.with_env_filter(filter).with_writer(lines).init();
    (losses, writer)
}

fn bounded(out: impl Write + Send + 'static, waiting: usize) -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default().lossy(true).buffered_lines_limit(waiting).finish(out)
}

/// Counts lost lines.
pub(crate) struct Losses {
    counter: ErrorCounter,
    told: usize,
}

impl Losses {
    fn of(lines: &NonBlocking) -> Self {
        Self { counter: lines.error_counter(), told: 0 }
    }

    /// The number lost since the last call.
    pub(crate) fn news(&mut self) -> u64 {
        let lost = self.counter.dropped_lines();
        let news = lost.saturating_sub(self.told);
        self.told = lost;
        news as u64
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex, mpsc},
    };

    use super::*;

    /// Accepts a line only after a permit arrives.
    struct Gate(mpsc::Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.recv().map_err(io::Error::other)?;
            self.1.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_wait_up_to_the_limit_and_beyond_it_are_lost_and_counted_once() {
        let ((open, gate), taken) = (mpsc::channel(), Arc::default());
        let (mut lines, writer) = bounded(Gate(gate, Arc::clone(&taken)), 2);
        let mut losses = Losses::of(&lines);
        for number in 0..10 {
            lines.write_all(format!("{number}\n").as_bytes()).unwrap();
        }
        // Two lines wait, and the writer may hold one more.
        let lost = losses.news();
        assert!((7..=8).contains(&lost), "{lost}");
        assert_eq!(losses.news(), 0);
        for _ in 0..10 - lost {
            open.send(()).unwrap();
        }
        drop(writer);
        let taken = String::from_utf8(taken.lock().unwrap().clone()).unwrap();
        assert_eq!(taken.lines().count() as u64, 10 - lost, "{taken}");
        assert!(taken.starts_with("0\n1\n"), "{taken}");
    }
}
