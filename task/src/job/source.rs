//! Checks and downloads the source. The download is ranged, parallel, resumed and checked; the overlay uses it too.

use std::{
    fs::File,
    io::Read,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use aws_smithy_checksums::ChecksumAlgorithm;
use base64::{Engine, engine::general_purpose::STANDARD};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::{
    fs::OpenOptions,
    io::{AsyncSeekExt, AsyncWriteExt, BufWriter},
    sync::Mutex,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;
use transcode_config::contract::{Failure, FailureCode, JobSpec};

use crate::{
    aws::{At, AwsError, Objects, Pinned, SourceHead},
    retry::{Patience, retry},
};

/// Bytes of one range. Large enough to hide a request's latency, small enough to spread over connections.
const RANGE_BYTES: u64 = 16 << 20;
/// Ranges in progress at once: about what fills a Fargate task's network.
const PARALLEL: usize = 8;
/// Time for one range (140 kB/s). After it the rest is requested again.
const RANGE_TIME: Duration = Duration::from_mins(2);
/// A try that brought this many bytes counts as progress, and patience begins anew.
const PROGRESS_BYTES: u64 = 256 << 10;
/// Bytes left free on the disk beyond the source: outputs are uploaded while they are made, but stay until the end.
const DISK_RESERVE: u64 = 64 << 20;
/// Bytes written to the disk at once.
const BUFFER: usize = 1 << 20;

/// Asks S3 for the source and refuses one that cannot be used. Downloads nothing.
pub(crate) async fn ask(
    objects: &Objects,
    spec: &JobSpec,
    folder: &Path,
    stop: &CancellationToken,
) -> Result<SourceHead, Failure> {
    let head = retry(Patience::START, "source", stop, || objects.head(&spec.source));
    let head = head.await.map_err(|error| error.failure(At::Source))?;
    let refuse = |code: FailureCode| Err(Failure::new(code, code.info().meaning).with("size", head.size));
    if head.size == 0 {
        return refuse(FailureCode::Empty);
    }
    if head.size > spec.max_source_bytes {
        return refuse(FailureCode::SourceTooLarge)
            .map_err(|f| f.with("max_source_bytes", spec.max_source_bytes));
    }
    if head.archived {
        return refuse(FailureCode::SourceArchived);
    }
    // If the event gave neither version nor entity tag, only the size can be compared.
    if spec.source.size.is_some_and(|size| size != head.size) {
        return refuse(FailureCode::SourceChanged)
            .map_err(|f| f.with("size_in_event", spec.source.size.unwrap_or_default()));
    }
    let free = free_bytes(folder).map_err(|error| disk(&error))?;
    if free < head.size.saturating_add(DISK_RESERVE) {
        return refuse(FailureCode::DiskFull).map_err(|f| f.with("free_bytes", free));
    }
    Ok(head)
}

/// Downloads an object to `path` and checks it. `at` says whose object it is. `progress` gets the number of bytes so
/// far.
pub(crate) async fn fetch(
    objects: &Objects,
    (head, at): (&SourceHead, At),
    path: &Path,
    stop: &CancellationToken,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(), Failure> {
    let file = tokio::fs::File::create(path).await.map_err(|error| disk(&error))?;
    file.set_len(head.size).await.map_err(|error| disk(&error))?;
    drop(file);
    let there = AtomicU64::new(0);
    let ranges = (0..head.size.div_ceil(RANGE_BYTES)).map(|index| {
        let from = index * RANGE_BYTES;
        let part = Part { object: &head.pinned, path, from, to: head.size.min(from + RANGE_BYTES) };
        part.fetch(objects, at, stop, |bytes| progress(there.fetch_add(bytes, Ordering::Relaxed) + bytes))
    });
    stream::iter(ranges).buffer_unordered(PARALLEL).try_collect::<()>().await?;
    check(head, path).await
}

/// A part of an object with its place in the file: the bytes that are still missing.
struct Part<'a> {
    object: &'a Pinned,
    path: &'a Path,
    from: u64,
    to: u64,
}

impl Part<'_> {
    async fn fetch(
        self,
        objects: &Objects,
        at: At,
        stop: &CancellationToken,
        progress: impl Fn(u64),
    ) -> Result<(), Failure> {
        let part = Mutex::new(self);
        // A range that keeps making progress is never given up, however often it breaks.
        loop {
            let go_on = || async {
                let mut part = part.lock().await;
                let before = part.from;
                match part.bring(objects, &progress).await {
                    Ok(()) => Ok(Ok(true)),
                    Err(Broken::Disk(error)) => Ok(Err(error)),
                    Err(Broken::Aws(error))
                        if error.class.retryable() && part.from - before >= PROGRESS_BYTES =>
                    {
                        Ok(Ok(false))
                    }
                    Err(Broken::Aws(error)) => Err(error),
                }
            };
            match retry(Patience::TRANSFER, "range", stop, go_on).await {
                Ok(Ok(true)) => return Ok(()),
                Ok(Ok(false)) => tracing::info!("a range broke off and is resumed"),
                Ok(Err(error)) => return Err(disk(&error)),
                Err(error) => return Err(error.failure(at)),
            }
        }
    }

    /// Downloads the missing bytes. Written bytes stay, even if the rest fails.
    async fn bring(&mut self, objects: &Objects, progress: &impl Fn(u64)) -> Result<(), Broken> {
        let deadline = Instant::now() + RANGE_TIME;
        let mut body = objects.range(self.object, self.from, self.to).await.map_err(Broken::Aws)?;
        let mut file = OpenOptions::new().write(true).open(self.path).await.map_err(Broken::Disk)?;
        file.seek(std::io::SeekFrom::Start(self.from)).await.map_err(Broken::Disk)?;
        let mut file = BufWriter::with_capacity(BUFFER, file);
        let mut pending = 0;
        let ended = loop {
            let Ok(next) = timeout_at(deadline, body.next()).await else {
                break Err(AwsError::transient("a range took too long"));
            };
            match next {
                Some(Ok(chunk)) if self.from + pending + chunk.len() as u64 > self.to => {
                    break Err(AwsError::transient("more bytes than were asked for"));
                }
                Some(Ok(chunk)) => {
                    file.write_all(&chunk).await.map_err(Broken::Disk)?;
                    pending += chunk.len() as u64;
                    progress(chunk.len() as u64);
                }
                Some(Err(error)) => break Err(AwsError::transient(format!("the body broke off: {error}"))),
                None => break Ok(()),
            }
        };
        file.flush().await.map_err(Broken::Disk)?;
        self.from += pending;
        ended.map_err(Broken::Aws)?;
        if self.from < self.to {
            let short = format!("the body ended {} bytes early", self.to - self.from);
            return Err(Broken::Aws(AwsError::transient(short)));
        }
        Ok(())
    }
}

/// Why a range failed.
enum Broken {
    Aws(AwsError),
    Disk(std::io::Error),
}

/// Checks the length and, if S3 has one, the checksum of the whole file.
async fn check(head: &SourceHead, path: &Path) -> Result<(), Failure> {
    let length = tokio::fs::metadata(path).await.map_err(|error| disk(&error))?.len();
    let wrong = |what: &str| {
        let message = format!("an object arrived with a wrong {what}; a retry reads it again");
        Failure::new(FailureCode::StoreUnavailable, message)
    };
    if length != head.size {
        return Err(wrong("length").with("size", head.size).with("arrived", length));
    }
    let Some((algorithm, expected)) = head.checksum.clone() else { return Ok(()) };
    let path = path.to_owned();
    let hashing = tokio::task::spawn_blocking(move || checksum(algorithm, &path));
    let found = match hashing.await {
        Ok(found) => found.map_err(|error| disk(&error))?,
        Err(error) => {
            return Err(Failure::new(FailureCode::Internal, format!("hashing broke down: {error}")));
        }
    };
    if found == expected {
        return Ok(());
    }
    Err(wrong("checksum")
        .with("algorithm", algorithm.as_str())
        .with("expected", expected)
        .with("found", found))
}

fn checksum(algorithm: ChecksumAlgorithm, path: &Path) -> std::io::Result<String> {
    let (mut hash, mut file, mut chunk) = (algorithm.into_impl(), File::open(path)?, vec![0; BUFFER]);
    loop {
        let read = file.read(&mut chunk)?;
        let Some(part) = chunk.get(..read).filter(|part| !part.is_empty()) else { break };
        hash.update(part);
    }
    Ok(STANDARD.encode(hash.finalize()))
}

/// Bytes that this process may still write to the disk of `folder`.
fn free_bytes(folder: &Path) -> std::io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// The failure for a disk error.
pub(crate) fn disk(error: &std::io::Error) -> Failure {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    let code = match error.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => FailureCode::DiskFull,
        _ => FailureCode::Internal,
    };
    Failure::new(code, format!("the work folder: {error}"))
}
