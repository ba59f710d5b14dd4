//! Downloads the overlay as the source is downloaded, up to a size, to a file name of ours.

use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;
use transcode_config::contract::{Failure, FailureCode, Overlay, Source};

use super::source;
use crate::{
    aws::{At, Objects},
    retry::{Patience, retry},
};

/// Largest image.
const MAX_BYTES: u64 = 8 << 20;
/// Its name in the work folder. Whatever the key was called is of no concern to any argument list.
const NAME: &str = "overlay";

/// Brings the image. What it shows is for the media part to look at.
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
        uploaded_at_ms: None,
    };
    let named =
        |failure: Failure| failure.with("overlay_bucket", &overlay.bucket).with("overlay_key", &overlay.key);
    let head = retry(Patience::START, "overlay", stop, || objects.head(&object));
    let head = head.await.map_err(|error| named(error.failure(At::Overlay)))?;
    if head.size == 0 || head.size > MAX_BYTES {
        let code = FailureCode::OverlayUnusable;
        let failure = Failure::new(code, code.info().meaning);
        return Err(named(failure.with("size", head.size).with("allowed", MAX_BYTES)));
    }
    let path = work.join(NAME);
    source::fetch(objects, (&head, At::Overlay), &path, stop, &|_| ()).await.map_err(named)?;
    tracing::info!(bytes = head.size, "overlay downloaded");
    Ok(path)
}
