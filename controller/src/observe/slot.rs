//! The newest report on its way to the writer. A report that the writer has not taken yet is replaced: only the newest
//! one says anything, and no more than one is ever kept.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

/// A place for one report, as bytes.
#[derive(Debug, Default)]
pub struct Slot {
    content: Mutex<Content>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Content {
    newest: Option<Bytes>,
    /// No report follows.
    closed: bool,
}

impl Slot {
    /// Puts a report in, in place of one that was not taken yet.
    pub fn put(&self, report: Bytes) {
        self.lock().newest = Some(report);
        self.news.notify_one();
    }

    /// No report follows.
    pub fn close(&self) {
        self.lock().closed = true;
        self.news.notify_one();
    }

    /// Whether no report follows.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Takes the newest report out, or waits for one; `None` once the place is closed and empty. For one taker.
    pub async fn take(&self) -> Option<Bytes> {
        loop {
            {
                let mut content = self.lock();
                if content.newest.is_some() || content.closed {
                    return content.newest.take();
                }
            }
            self.news.notified().await;
        }
    }

    /// Every state is a valid one, so a panic elsewhere does no harm.
    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_newest_report_is_taken_and_the_last_one_also_after_the_end() {
        let slot = Slot::default();
        slot.put(Bytes::from_static(b"old"));
        slot.put(Bytes::from_static(b"new"));
        assert_eq!(slot.take().await.as_deref(), Some(&b"new"[..]));
        slot.put(Bytes::from_static(b"last"));
        slot.close();
        assert_eq!(slot.take().await.as_deref(), Some(&b"last"[..]));
        assert_eq!(slot.take().await, None);
    }
}
