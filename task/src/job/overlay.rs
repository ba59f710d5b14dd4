//! The picture that is laid over the video: fetched to a name of ours, small enough, pinned while it is read.

use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;
use transcode_config::contract::{Failure, FailureCode, Overlay, Source};

use super::source::disk;
use crate::{
    aws::{At, AwsError, Objects, SourceHead},
    retry::{Patience, retry},
};

/// Largest picture. It is held in memory while it comes.
const MAX_BYTES: u64 = 8 << 20;
/// Its name in the work folder. Whatever the key was called is of no concern to any argument list.
const NAME: &str = "overlay";

/// Brings the picture. What it shows is for the media part to look at.
pub(crate) async fn fetch(
    objects: &Objects,
    overlay: &Overlay,
    work: &Path,
    stop: &CancellationToken,
) -> Result<PathBuf, Failure> {
    let object = Source {
        bucket: overlay.bucket.clone(),
        key: overlay.key.clone(),
        version_id: overlay.version_id.clone(),
        etag: None,
        size: None,
        sequencer: None,
    };
    let failed = |error: AwsError| {
        error.failure(At::Overlay).with("overlay_bucket", &overlay.bucket).with("overlay_key", &overlay.key)
    };
    let head = retry(Patience::START, "overlay", stop, || objects.head(&object)).await.map_err(failed)?;
    if head.size == 0 || head.size > MAX_BYTES {
        let code = FailureCode::OverlayUnusable;
        return Err(Failure::new(code, code.info().meaning)
            .with("size", head.size)
            .with("allowed", MAX_BYTES));
    }
    let bytes = retry(Patience::TRANSFER, "overlay", stop, || bring(objects, &head)).await.map_err(failed)?;
    let path = work.join(NAME);
    tokio::fs::write(&path, bytes).await.map_err(|error| disk(&error))?;
    tracing::info!(bytes = head.size, "overlay downloaded");
    Ok(path)
}

async fn bring(objects: &Objects, head: &SourceHead) -> Result<Vec<u8>, AwsError> {
    let mut body = objects.range(&head.pinned, 0, head.size).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| AwsError::transient(format!("the body broke off: {error}")))?;
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 > head.size {
            break;
        }
    }
    if bytes.len() as u64 == head.size {
        return Ok(bytes);
    }
    Err(AwsError::transient(format!("{} bytes came of {}", bytes.len(), head.size)))
}
