//! Parallel, checksummed uploads into the attempt's own folder (S4), while the encoder still runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use transcode_config::contract::{Failure, FailureCode};

use super::digest::{Digest, digest_of};
use crate::{
    aws::{AwsError, Body, ErrorClass, Meta, Multipart, Objects},
    retry::{Patience, retry},
};

/// Uploads in progress at once. Segments are a few megabytes; eight keep Fargate's network busy and one core free.
const PARALLEL: usize = 8;
/// Larger files are uploaded in parts, in bytes.
const ONE_CALL_BYTES: u64 = 64 << 20;
/// Bytes of a part. S3 takes 10,000 parts: 312 GiB, more than the largest ephemeral storage.
const PART_BYTES: u64 = 32 << 20;
/// Time to abort a multipart upload when the task ends.
const ABORT: Duration = Duration::from_secs(4);
/// Time to delete the folder.
const CLEAN: Duration = Duration::from_secs(6);

/// Headers of a playlist that grows.
pub(crate) const EVENT_PLAYLIST_META: Meta =
    Meta { content_type: "application/vnd.apple.mpegurl", cache_control: "no-cache" };

/// One stored file, as S3 acknowledged it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Size and checksum of the object.
    pub(crate) digest: Digest,
    /// The headers it was stored with.
    pub(crate) meta: Meta,
}

/// The uploads of one attempt.
#[derive(Debug)]
pub(crate) struct Uploads {
    target: Arc<Target>,
    running: JoinSet<Result<(String, Stored), AwsError>>,
    /// Relative paths of all writes that have begun, and may thus have left a file in the folder, with their headers.
    begun: BTreeMap<String, Meta>,
    stored: BTreeMap<String, Stored>,
    /// Paths of texts that are being stored.
    replacing: BTreeSet<String>,
}

/// The destination, and the limits.
#[derive(Debug)]
struct Target {
    objects: Objects,
    bucket: String,
    /// The attempt's folder: a key prefix with a trailing slash.
    folder: String,
    slots: Semaphore,
    /// Larger files are uploaded in parts, in bytes.
    one_call_bytes: u64,
    part_bytes: u64,
    stop: CancellationToken,
}

impl Uploads {
    /// Uploads into `folder` of `bucket`, until `stop`.
    pub(crate) fn new(objects: Objects, bucket: String, folder: String, stop: &CancellationToken) -> Self {
        let slots = Semaphore::new(PARALLEL);
        let (one_call_bytes, part_bytes) = (ONE_CALL_BYTES, PART_BYTES);
        let stop = stop.child_token();
        let target = Target { objects, bucket, folder, slots, one_call_bytes, part_bytes, stop };
        Self {
            target: Arc::new(target),
            running: JoinSet::new(),
            begun: BTreeMap::new(),
            stored: BTreeMap::new(),
            replacing: BTreeSet::new(),
        }
    }

    /// Begins to upload `file` as `<folder><path>`, unless that was begun before with the same headers.
    pub(crate) fn begin(&mut self, path: String, file: PathBuf, meta: Meta) {
        match self.begun.insert(path.clone(), meta) {
            Some(before) if before == meta => return,
            Some(before) if before == EVENT_PLAYLIST_META => {}
            Some(_) => tracing::warn!(path, "stored again: its headers were not those of the package"),
            None => {}
        }
        let target = Arc::clone(&self.target);
        self.running.spawn(async move {
            let stored = target.store(&path, &file, meta).await?;
            Ok((path, stored))
        });
    }

    /// Begins to store a text as `<folder><path>`, over an earlier one. Must not be called while the earlier one is
    /// being stored.
    pub(crate) fn replace(&mut self, path: String, text: String, meta: Meta) {
        self.begun.insert(path.clone(), meta);
        self.replacing.insert(path.clone());
        let target = Arc::clone(&self.target);
        self.running.spawn(async move {
            let stored = target.store_text(&path, text.into(), meta).await?;
            Ok((path, stored))
        });
    }

    /// Whether a text is being stored at this path.
    pub(crate) fn is_being_replaced(&self, path: &str) -> bool {
        self.replacing.contains(path)
    }

    /// Whether any upload is in progress.
    pub(crate) fn are_under_way(&self) -> bool {
        !self.running.is_empty()
    }

    /// Waits for an upload to end. Never returns while none is in progress.
    pub(crate) async fn next(&mut self) -> Result<(), AwsError> {
        match self.running.join_next().await {
            Some(ended) => self.note(ended),
            None => std::future::pending().await,
        }
    }

    /// Waits for all uploads.
    pub(crate) async fn finish(&mut self) -> Result<(), AwsError> {
        while let Some(ended) = self.running.join_next().await {
            self.note(ended)?;
        }
        Ok(())
    }

    /// The key of a path in the folder.
    pub(crate) fn key(&self, path: &str) -> String {
        self.target.key(path)
    }

    /// The stored files, by relative path.
    pub(crate) fn stored(&self) -> &BTreeMap<String, Stored> {
        &self.stored
    }

    fn note(
        &mut self,
        ended: Result<Result<(String, Stored), AwsError>, tokio::task::JoinError>,
    ) -> Result<(), AwsError> {
        let (path, stored) = ended.map_err(|error| AwsError {
            class: ErrorClass::Rejected,
            status: None,
            code: None,
            message: format!("an upload broke down: {error}"),
        })??;
        self.replacing.remove(&path);
        self.stored.insert(path, stored);
        Ok(())
    }

    /// Ends every upload in progress; multipart uploads are aborted before this returns.
    pub(crate) async fn abandon(&mut self) {
        self.target.stop.cancel();
        let ended = async { while self.running.join_next().await.is_some() {} };
        // Does not wait for an upload that still hashes a large file: it has sent nothing yet.
        if timeout(ABORT + Duration::from_secs(1), ended).await.is_err() {
            self.running.abort_all();
        }
    }

    /// Ends every upload and deletes every file that may be in the folder. A file that cannot be deleted in a few
    /// seconds stays for the bucket's lifecycle rule; no document refers to it.
    pub(crate) async fn remove(mut self) {
        self.abandon().await;
        let keys: Vec<_> = self.begun.keys().map(|path| self.target.key(path)).collect();
        if keys.is_empty() {
            return;
        }
        let never = CancellationToken::new();
        let Target { objects, bucket, folder, .. } = self.target.as_ref();
        let delete = || objects.delete(bucket, &keys);
        match timeout(CLEAN, retry(Patience::LAST_WORDS, "remove the folder", &never, delete)).await {
            Ok(Ok(())) => tracing::info!(folder, files = keys.len(), "removed this attempt's folder"),
            Ok(Err(error)) => tracing::warn!(folder, %error, "this attempt's folder was not removed"),
            Err(_) => tracing::warn!(folder, "this attempt's folder was not removed in time"),
        }
    }
}

impl Target {
    fn key(&self, path: &str) -> String {
        format!("{}{path}", self.folder)
    }

    async fn store(&self, path: &str, file: &Path, meta: Meta) -> Result<Stored, AwsError> {
        let _slot = self.slot().await?;
        let digest = digest_of(file, 0, None).await?;
        if digest.size > self.one_call_bytes {
            self.store_in_parts(&self.key(path), file, digest.size, meta).await?;
        } else {
            self.store_at_once(path, &Body::File(file.to_owned()), &digest, meta).await?;
        }
        tracing::debug!(path, bytes = digest.size, "uploaded");
        Ok(Stored { digest, meta })
    }

    async fn store_text(&self, path: &str, text: Bytes, meta: Meta) -> Result<Stored, AwsError> {
        let _slot = self.slot().await?;
        let digest = Digest::of(&text);
        self.store_at_once(path, &Body::Bytes(text), &digest, meta).await?;
        Ok(Stored { digest, meta })
    }

    /// A slot for an upload, unless the task is stopping.
    async fn slot(&self) -> Result<SemaphorePermit<'_>, AwsError> {
        // Never closed: the semaphore lives as long as the target.
        let slot = self.slots.acquire().await.map_err(|_| AwsError::stopped())?;
        if self.stop.is_cancelled() { Err(AwsError::stopped()) } else { Ok(slot) }
    }

    async fn store_at_once(
        &self,
        path: &str,
        body: &Body,
        digest: &Digest,
        meta: Meta,
    ) -> Result<(), AwsError> {
        let (key, sum) = (self.key(path), digest.base64());
        let put = || self.objects.put(&self.bucket, &key, body, &sum, meta);
        retry(Patience::TRANSFER, "upload", &self.stop, put).await
    }

    /// A multipart upload, begun again if S3 reports a conflict or no longer knows it.
    async fn store_in_parts(&self, key: &str, file: &Path, size: u64, meta: Meta) -> Result<(), AwsError> {
        let again = || async {
            self.one_multipart(key, file, size, meta).await.map_err(|error| match error.class {
                ErrorClass::NoUpload => AwsError { class: ErrorClass::Conflict, ..error },
                _ => error,
            })
        };
        // The outer stop must not drop this call: the inner one also aborts the upload.
        retry(Patience::TRANSFER, "multipart upload", &CancellationToken::new(), again).await
    }

    async fn one_multipart(&self, key: &str, file: &Path, size: u64, meta: Meta) -> Result<(), AwsError> {
        let create = || Multipart::create(&self.objects, &self.bucket, key, meta);
        let upload = retry(Patience::TRANSFER, "create multipart upload", &self.stop, create).await?;
        let result = self.parts(&upload, file, size).await;
        if result.is_err() {
            match timeout(ABORT, upload.abort()).await {
                Ok(Ok(())) => tracing::info!(key, "multipart upload aborted"),
                Ok(Err(error)) => tracing::warn!(key, %error, "multipart upload not aborted"),
                Err(_) => tracing::warn!(key, "multipart upload not aborted in time"),
            }
        }
        result
    }

    async fn parts(&self, upload: &Multipart<'_>, file: &Path, size: u64) -> Result<(), AwsError> {
        let (mut parts, mut offset, mut number) = (Vec::new(), 0, 1);
        while offset < size {
            let length = self.part_bytes.min(size - offset);
            let sum = digest_of(file, offset, Some(length)).await?.base64();
            let put = || upload.part(number, file, offset, length, &sum);
            parts.push(retry(Patience::TRANSFER, "upload part", &self.stop, put).await?);
            (offset, number) = (offset + length, number + 1);
        }
        let complete = || upload.complete(parts.clone());
        retry(Patience::TRANSFER, "complete multipart upload", &self.stop, complete).await
    }
}

/// The relative path as the end of a key. It must not lead out of the folder (S4).
pub(crate) fn relative(path: &Path) -> Result<&str, Failure> {
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    path.to_str().filter(|name| plain && !name.is_empty()).ok_or_else(|| {
        Failure::new(FailureCode::Internal, "an output has a name that cannot be a key")
            .with("path", path.display())
    })
}

#[cfg(test)]
mod tests;
