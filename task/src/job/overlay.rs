//! Downloads the overlay like the source, up to a size, to a file name that the task chooses.

use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;
use transcode_config::contract::{Failure, FailureCode, Overlay, Source};

use super::source;
use crate::{
    aws::{At, Objects},
    retry::{Patience, retry},
};

/// Largest image, in bytes.
const MAX_BYTES: u64 = 8 << 20;
/// Its name in the work folder. The key's own name never reaches an argument list.
const NAME: &str = "overlay";

/// Downloads the image. The media crate checks its content.
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
