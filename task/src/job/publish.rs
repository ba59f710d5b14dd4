//! Uploads the rest of the package in order: segments, media playlists, other files, entry files, the manifest.

use std::path::Path;

use serde::Serialize;
use transcode_config::contract::{
    Attempt, EntryPoint, Failure, FailureCode, JobKey, ObjectRef, OutputTarget, SCHEMA, Succeeded,
    UserMetadata,
};
use transcode_media::{EVENT_MASTER, EntryFile, Package, PackagedFile, sandbox::SandboxLevel};

use super::{
    digest::Digest,
    ending::End,
    start::Identity,
    upload::{Stored, Uploads, relative},
};
use crate::aws::{At, Meta};

/// Name of the manifest in the attempt's folder.
const MANIFEST: &str = "files.json";
/// An attempt's folder never changes once the terminal record names it.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// `files.json`: every file of the folder except itself.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Manifest<'a> {
    schema: u32,
    job: &'a JobKey,
    attempt: Attempt,
    /// The sandbox of the decoder.
    sandbox: SandboxLevel,
    /// The caller's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_metadata: Option<&'a UserMetadata>,
    files: Vec<ManifestFile<'a>>,
}

/// One file as it is stored.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct ManifestFile<'a> {
    /// Relative to the folder.
    path: &'a str,
    /// In bytes.
    size: u64,
    /// In lower-case hexadecimal.
    sha256: String,
    content_type: &'a str,
}

/// The order of uploads. A player that finds a file must find every file that it refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Segments,
    MediaPlaylists,
    Rest,
    Entry,
}

const PHASES: [Phase; 4] = [Phase::Segments, Phase::MediaPlaylists, Phase::Rest, Phase::Entry];

fn phase_of(path: &str) -> Phase {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        _ if path.starts_with("entry/") || path == EVENT_MASTER => Phase::Entry,
        Some("m4s" | "mp4" | "m4a" | "m4v" | "ts" | "aac") => Phase::Segments,
        Some("m3u8") => Phase::MediaPlaylists,
        _ => Phase::Rest,
    }
}

/// Headers of a file that is uploaded before the package is complete; none for a file that waits until then. If they
/// differ from those in the finished package, the file is stored again.
pub(crate) fn meta_before_package(path: &Path) -> Option<Meta> {
    let kind = path.extension()?.to_str()?;
    let content_type = match kind {
        // Entry files have headers of their own.
        _ if path.starts_with("entry") => return None,
        "m4s" | "mp4" if path.starts_with("audio") => "audio/mp4",
        "m4s" | "mp4" => "video/mp4",
        _ => return None,
    };
    Some(Meta { content_type, cache_control: FOR_EVER })
}

fn meta(file: &PackagedFile) -> Meta {
    Meta { content_type: file.content_type, cache_control: file.cache_control }
}

/// Uploads the rest of the package, then the manifest, and returns the content of the terminal record.
///
/// When this returns, S3 has acknowledged every file with its checksum (S3).
pub(crate) async fn publish(
    package: &Package,
    output: &Path,
    scratch: &Path,
    uploads: &mut Uploads,
    me: &Identity,
    to: &Destination<'_>,
) -> Result<Succeeded, End> {
    // First the earlier uploads: two writes of one key must not overlap.
    uploads.finish().await.map_err(End::aws(At::Output))?;
    for phase in PHASES {
        for file in package.files.iter().filter(|file| phase_of(&file.path) == phase) {
            let name = relative(Path::new(&file.path))?;
            uploads.begin(name.to_owned(), output.join(name), meta(file));
        }
        uploads.finish().await.map_err(End::aws(At::Output))?;
    }
    let stored =
        package.files.iter().map(|file| acknowledged(file, uploads)).collect::<Result<Vec<_>, _>>()?;
    let manifest = manifest(package, me, to);
    let path = scratch.join(MANIFEST);
    tokio::fs::write(&path, &manifest).await.map_err(|error| super::source::disk(&error))?;
    let json = Meta { content_type: "application/json", cache_control: FOR_EVER };
    uploads.begin(MANIFEST.to_owned(), path, json);
    uploads.finish().await.map_err(End::aws(At::Output))?;
    Ok(Succeeded {
        attempt: me.attempt,
        task_arn: to.task_arn.clone(),
        bucket: to.target.bucket.clone(),
        folder: to.folder.clone(),
        manifest: to.object(MANIFEST, &Digest::of(&manifest)),
        files: package.files.len() as u64,
        bytes: stored.iter().map(|stored| stored.digest.size).sum(),
        duration_ms: package.duration_ms,
        warnings: Some(package.summary.warnings.len() as u64),
        source: None,
        entry_points: entry_points(package, uploads, to)?,
    })
}

/// Where an attempt publishes to.
#[derive(Debug)]
pub(crate) struct Destination<'a> {
    /// Bucket and stable prefix.
    pub(crate) target: &'a OutputTarget,
    /// The attempt's folder: a key prefix with a trailing slash.
    pub(crate) folder: String,
    /// The task that publishes.
    pub(crate) task_arn: Option<String>,
    /// The sandbox that the package was made in.
    pub(crate) sandbox: SandboxLevel,
    /// The caller's own words, if there are any.
    pub(crate) user_metadata: Option<&'a UserMetadata>,
}

impl Destination<'_> {
    fn object(&self, path: &str, digest: &Digest) -> ObjectRef {
        ObjectRef { key: format!("{}{path}", self.folder), size: digest.size, sha256: digest.hex() }
    }
}

/// Checks that S3 stored the file as it was verified: size, checksum and headers.
fn acknowledged(file: &PackagedFile, uploads: &Uploads) -> Result<Stored, Failure> {
    let changed = |what: &str| {
        Failure::new(FailureCode::Internal, format!("an output was stored with another {what} than verified"))
            .with("path", &file.path)
    };
    let Some(stored) = uploads.stored().get(&file.path) else { return Err(changed("name")) };
    if stored.digest.size != file.size || stored.digest.hex() != file.sha256 {
        return Err(changed("content").with("verified", &file.sha256).with("stored", stored.digest.hex()));
    }
    if stored.meta != meta(file) {
        return Err(changed("content type").with("verified", file.content_type));
    }
    Ok(stored.clone())
}

fn manifest(package: &Package, me: &Identity, to: &Destination<'_>) -> Vec<u8> {
    let mut files: Vec<_> = package
        .files
        .iter()
        .map(|file| ManifestFile {
            path: &file.path,
            size: file.size,
            sha256: file.sha256.clone(),
            content_type: file.content_type,
        })
        .collect();
    files.sort_by_key(|file| file.path);
    let Destination { sandbox, user_metadata, .. } = *to;
    let manifest =
        Manifest { schema: SCHEMA, job: &me.job, attempt: me.attempt, sandbox, user_metadata, files };
    // A plain structure: serialising it cannot fail.
    serde_json::to_vec(&manifest).unwrap_or_default()
}

fn entry_points(
    package: &Package,
    uploads: &Uploads,
    to: &Destination<'_>,
) -> Result<Vec<EntryPoint>, Failure> {
    let point = |entry: &EntryFile| {
        let stored = uploads.stored().get(&entry.file).ok_or_else(|| {
            Failure::new(FailureCode::Internal, "an entry file is not part of the package")
                .with("path", &entry.file)
        })?;
        let name = relative(Path::new(&entry.name))?;
        Ok(EntryPoint {
            to: format!("{}{name}", to.target.prefix),
            from: to.object(&entry.file, &stored.digest),
        })
    };
    package.entry.iter().map(point).collect()
}

/// The schema of `files.json`.
#[cfg(feature = "schema")]
pub fn schema() -> schemars::Schema {
    transcode_config::schema::written::<Manifest<'_>>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_refers_to_a_file_goes_up_after_it() {
        let phases =
            ["v/1.m4s", "v/init.mp4", "v/index.m3u8", "poster.jpg", "entry/master.m3u8"].map(phase_of);
        assert!(phases.is_sorted());
        assert_eq!(phase_of("entry/poster.jpg"), Phase::Entry);
    }

    #[test]
    fn only_what_never_changes_goes_up_early() {
        assert!(meta_before_package(Path::new("video/720p/00001.m4s")).is_some());
        assert!(meta_before_package(Path::new("entry/video.mp4")).is_none());
    }
}
