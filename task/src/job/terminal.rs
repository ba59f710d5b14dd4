//! The terminal record: written at most once (S2), last of all (S3).

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use transcode_config::contract::{Layout, Terminal, decode, encode};

use super::stop::Stop;
use crate::{
    aws::{AwsError, Documents, Put},
    retry::{Patience, retry, uncertain},
};

/// Time for the terminal record after a stop: everything is uploaded, and the write takes milliseconds.
const GRACE: Duration = Duration::from_secs(5);
/// Time to read the terminal record after a write whose answer was lost.
const READ_BACK: Duration = Duration::from_secs(4);

/// The result of writing the terminal record.
#[derive(Debug)]
pub(crate) enum Written {
    /// This attempt's record is there.
    Ours,
    /// Another writer was first. Nothing refers to this attempt's folder.
    Theirs,
    /// It was certainly not written.
    Refused(AwsError),
    /// It may have been written: no answer came. The folder must stay.
    Unknown(AwsError),
}

/// Writes the terminal record unless it exists, and checks who wrote it.
///
/// Each try sends the same bytes. A 412 may be the answer to this task's own write in an earlier try, so the terminal
/// record is then read back and its nonce compared.
pub(crate) async fn write(documents: &Documents, terminal: &Terminal, stop: &Stop) -> Written {
    let (key, body) = (Layout::of(&terminal.job).terminal(), encode(terminal));
    // An earlier try may have written it although a later one was refused.
    let maybe_written = AtomicBool::new(false);
    let try_once = || async {
        match documents.create(&key, body.clone()).await {
            Ok(Put::Created) => Ok(true),
            Ok(Put::Exists) => ours(documents, &key, &terminal.nonce).await,
            Err(error) => {
                maybe_written.fetch_or(uncertain(&error), Ordering::Relaxed);
                Err(error)
            }
        }
    };
    let never = CancellationToken::new();
    let result = tokio::select! {
        biased;
        result = retry(Patience::TERMINAL, "terminal record", &never, try_once) => result,
        () = out_of_grace(stop) => Err(AwsError::stopped()),
    };
    let error = match result {
        Ok(true) => return Written::Ours,
        Ok(false) => return Written::Theirs,
        Err(error) => error,
    };
    if !uncertain(&error) && !maybe_written.load(Ordering::Relaxed) {
        return Written::Refused(error);
    }
    match timeout(READ_BACK, ours(documents, &key, &terminal.nonce)).await {
        Ok(Ok(true)) => Written::Ours,
        Ok(Ok(false)) => Written::Theirs,
        // Missing, or no answer. A write in progress may still land.
        _ => Written::Unknown(error),
    }
}

async fn out_of_grace(stop: &Stop) {
    stop.token().cancelled().await;
    tokio::time::sleep(GRACE).await;
}

/// Whether the existing terminal record has this nonce. One that cannot be read is another's: it is never overwritten
/// (S15).
async fn ours(documents: &Documents, key: &str, nonce: &str) -> Result<bool, AwsError> {
    match documents.get(key).await? {
        Some(bytes) => Ok(decode::<Terminal>(&bytes).is_ok_and(|found| found.nonce == nonce)),
        None => Err(AwsError::transient("the terminal record is not there")),
    }
}
