//! Sources and outputs: ranged reads, checksummed writes, deletes. No listings: a task knows what it wrote, so its
//! role may not list the production bucket.

use std::path::PathBuf;

use aws_sdk_s3::{
    Client,
    operation::head_object::HeadObjectOutput,
    primitives::ByteStream,
    types::{ArchiveStatus, ChecksumMode, ChecksumType, Delete, ObjectIdentifier, StorageClass},
};
use aws_smithy_checksums::ChecksumAlgorithm;
use bytes::Bytes;
use transcode_config::{
    aws::fits_xml,
    contract::{Source, SourceRead, UserMetadata},
};

use super::error::{AwsError, ErrorClass};

/// Keys that one `DeleteObjects` takes.
const DELETE_BATCH: usize = 1000;

/// S3's answer about the source.
#[derive(Debug, Clone)]
pub struct SourceHead {
    /// The object to read: every further read is of this version or fails.
    pub pinned: Pinned,
    /// Size in bytes.
    pub size: u64,
    /// The version that was read, for the terminal record.
    pub read: SourceRead,
    /// Whether it lies in an archive and has not been restored.
    pub archived: bool,
    /// The checksum of the whole object, where S3 has one: the algorithm and the value in Base64.
    pub checksum: Option<(ChecksumAlgorithm, String)>,
}

/// An object that cannot change under the reader.
#[derive(Debug, Clone)]
pub struct Pinned {
    bucket: String,
    key: String,
    version_id: Option<String>,
    /// With quotes, as HTTP wants it.
    etag: Option<String>,
}

/// What is uploaded.
#[derive(Debug, Clone)]
pub enum Body {
    /// A file that does not change any more.
    File(PathBuf),
    /// Bytes made in memory.
    Bytes(Bytes),
}

impl Body {
    async fn stream(&self) -> Result<ByteStream, AwsError> {
        match self {
            Self::Bytes(bytes) => Ok(ByteStream::from(bytes.clone())),
            Self::File(path) => ByteStream::from_path(path).await.map_err(|error| AwsError {
                class: ErrorClass::Rejected,
                status: None,
                code: None,
                message: format!("an output cannot be read: {error}"),
            }),
        }
    }
}

/// HTTP headers that players get with an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Meta {
    pub content_type: &'static str,
    pub cache_control: &'static str,
}

/// Source and output buckets.
#[derive(Debug, Clone)]
pub struct Objects {
    pub(super) small: Client,
    pub(super) transfer: Client,
}

impl Objects {
    pub(super) fn new(small: Client, transfer: Client) -> Self {
        Self { small, transfer }
    }

    /// Asks S3 for the source, as pinned by the event. The answer pins all further reads.
    pub async fn head(&self, source: &Source) -> Result<SourceHead, AwsError> {
        let head = self.small.head_object().bucket(&source.bucket).key(&source.key);
        let head = head.set_version_id(source.version_id.clone()).checksum_mode(ChecksumMode::Enabled);
        let answer = head.set_if_match(source.etag.as_deref().map(quoted)).send().await?;
        let bare = |etag: &str| etag.trim_matches('"').to_owned();
        let modified = answer.last_modified().and_then(|at| at.to_millis().ok());
        let read = SourceRead {
            version_id: answer.version_id().filter(|id| *id != "null").map(str::to_owned),
            etag: answer.e_tag().map(bare),
            modified_at_ms: modified.and_then(|at| u64::try_from(at).ok()),
            user_metadata: user_metadata(&answer),
        };
        Ok(SourceHead {
            read,
            size: answer.content_length().and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
            archived: archived(&answer),
            checksum: whole_checksum(&answer),
            pinned: Pinned {
                bucket: source.bucket.clone(),
                key: source.key.clone(),
                version_id: answer.version_id.filter(|id| id != "null").or_else(|| source.version_id.clone()),
                etag: answer.e_tag.or_else(|| source.etag.as_deref().map(quoted)),
            },
        })
    }

    /// Opens the bytes `from..to` of the source. The body may end early.
    pub async fn range(&self, object: &Pinned, from: u64, to: u64) -> Result<ByteStream, AwsError> {
        let get = self.transfer.get_object().bucket(&object.bucket).key(&object.key);
        let get = get.set_version_id(object.version_id.clone()).set_if_match(object.etag.clone());
        let answer = get.range(format!("bytes={from}-{}", to.saturating_sub(1))).send().await?;
        // A server that ignores the range would make us write the wrong bytes at the right place.
        let expected = format!("bytes {from}-{}/", to.saturating_sub(1));
        match answer.content_range() {
            Some(range) if range.starts_with(&expected) => Ok(answer.body),
            other => Err(AwsError::transient(format!("asked for {expected}, was given {other:?}"))),
        }
    }

    /// Writes one object in one call. S3 refuses a body whose SHA-256 is not `sha256` (Base64).
    pub async fn put(
        &self,
        bucket: &str,
        key: &str,
        body: &Body,
        sha256: &str,
        meta: Meta,
    ) -> Result<(), AwsError> {
        let put = self.transfer.put_object().bucket(bucket).key(key).body(body.stream().await?);
        let put = put.checksum_sha256(sha256).content_type(meta.content_type);
        put.cache_control(meta.cache_control).send().await?;
        Ok(())
    }

    /// Deletes objects. Missing ones are no error.
    pub async fn delete(&self, bucket: &str, keys: &[String]) -> Result<(), AwsError> {
        let (together, alone): (Vec<&String>, Vec<&String>) = keys.iter().partition(|key| fits_xml(key));
        for key in alone {
            self.small.delete_object().bucket(bucket).key(key).send().await?;
        }
        for batch in together.chunks(DELETE_BATCH) {
            let objects: Vec<_> =
                batch.iter().filter_map(|key| ObjectIdentifier::builder().key(*key).build().ok()).collect();
            let Ok(delete) = Delete::builder().set_objects(Some(objects)).quiet(true).build() else {
                continue;
            };
            let answer = self.small.delete_objects().bucket(bucket).delete(delete).send().await?;
            // 200 with errors inside: a partial failure is a failure.
            if let Some(error) = answer.errors().first() {
                return Err(AwsError::of_entry(error.code(), error.message().unwrap_or_default()));
            }
        }
        Ok(())
    }
}

/// `x-amz-meta-*` of an object, as far as it fits: it must not end a job.
fn user_metadata(head: &HeadObjectOutput) -> UserMetadata {
    let pairs = head.metadata().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone()));
    let (words, left_out) = UserMetadata::found(pairs.collect());
    if left_out > 0 {
        tracing::warn!(
            left_out,
            "entries of the source's x-amz-meta-* are too long or hold hidden characters"
        );
    }
    words
}

fn quoted(etag: &str) -> String {
    format!("\"{}\"", etag.trim_matches('"'))
}

/// `GLACIER` and `DEEP_ARCHIVE` objects can be read only once restored; Intelligent-Tiering shows it by an archive
/// status.
fn archived(head: &HeadObjectOutput) -> bool {
    let tier = matches!(head.storage_class(), Some(StorageClass::Glacier | StorageClass::DeepArchive))
        || matches!(
            head.archive_status(),
            Some(ArchiveStatus::ArchiveAccess | ArchiveStatus::DeepArchiveAccess)
        );
    let restored = head.restore().is_some_and(|restore| restore.contains("ongoing-request=\"false\""));
    tier && !restored
}

/// The strongest checksum of the whole object. A composite one is made of part checksums, and the size of the parts
/// is unknown here, so it is left out; length and entity tag still protect the download.
fn whole_checksum(head: &HeadObjectOutput) -> Option<(ChecksumAlgorithm, String)> {
    if head.checksum_type() == Some(&ChecksumType::Composite) {
        return None;
    }
    let known = [
        (ChecksumAlgorithm::Sha256, head.checksum_sha256()),
        (ChecksumAlgorithm::Crc64Nvme, head.checksum_crc64_nvme()),
        (ChecksumAlgorithm::Crc32c, head.checksum_crc32_c()),
        (ChecksumAlgorithm::Crc32, head.checksum_crc32()),
        (ChecksumAlgorithm::Sha1, head.checksum_sha1()),
    ];
    known.into_iter().find_map(|(algorithm, value)| {
        // `<checksum>-<parts>` is composite too, from servers that do not declare it.
        value.filter(|value| !value.contains('-')).map(|value| (algorithm, value.to_owned()))
    })
}
