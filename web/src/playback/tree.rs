//! The package of a job, with addresses that expire.
//!
//! A playlist's references to other playlists stay relative, so that whoever serves or stores the tree keeps its form;
//! references to segments, init segments, subtitles and images become signed addresses of the bucket.

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_s3::{Client, presigning::PresigningConfig};
use transcode_config::contract::{Attempt, JobSpec, Layout};

use super::{
    path::resolved,
    playlist::{MAX_BYTES, Reference, cues, references, spliced},
};
use crate::{WebError, address};

/// Most playlists of a package that are read: more than the largest ladder with a hundred languages has.
pub const MAX_PLAYLISTS: usize = 1_000;

/// The package of one attempt.
#[derive(Debug, Clone)]
pub struct Tree<'a> {
    s3: &'a Client,
    bucket: &'a str,
    /// The stable prefix, to which paths are relative.
    prefix: &'a str,
    /// The attempt's folder below it, with a slash at its end.
    folder: String,
    valid: PresigningConfig,
}

impl<'a> Tree<'a> {
    /// The package of an attempt at a job: the winner's, or one that still grows. Addresses are valid for `expires_in`.
    ///
    /// Only objects in the attempt's own folder are read and signed. Files with stable names are taken from there too, so
    /// a newer upload of the same key changes nothing here.
    pub fn of(
        s3: &'a Client,
        spec: &'a JobSpec,
        attempt: Attempt,
        expires_in: Duration,
    ) -> Result<Self, WebError> {
        let folder = Layout::of(&spec.job).folder(attempt);
        let valid = address::expiring(expires_in)?;
        Ok(Self { s3, bucket: &spec.output.bucket, prefix: &spec.output.prefix, folder, valid })
    }

    /// The path of the playlist of what is there so far, in a package that is `playable_early`.
    pub fn early(&self) -> String {
        self.in_folder("early.m3u8")
    }

    /// The path of a file in the attempt's folder, such as `images/storyboard.vtt`.
    pub fn in_folder(&self, name: &str) -> String {
        format!("{}{name}", self.folder)
    }

    /// One playlist. `path`: relative to the stable prefix, as `master.m3u8`, or as another playlist of the tree refers
    /// to it.
    pub async fn playlist(&self, path: &str) -> Result<String, WebError> {
        let text = self.read(path).await?;
        let found = references(&text)?;
        self.signed(path, &text, &found).await
    }

    /// The index of the storyboard, with signed addresses of its images.
    pub async fn storyboard(&self, path: &str) -> Result<String, WebError> {
        let text = self.read(path).await?;
        let found = cues(&text)?;
        self.signed(path, &text, &found).await
    }

    /// A signed address of one file, such as `poster.jpg`. Nobody looks whether it is there.
    pub async fn file(&self, path: &str) -> Result<String, WebError> {
        address::reading(self.s3, self.bucket, &self.key(path)?, &self.valid).await
    }

    /// All playlists that `master` leads to, itself included, by path.
    pub async fn playlists(&self, master: &str) -> Result<BTreeMap<String, String>, WebError> {
        let mut done = BTreeMap::new();
        let mut open = vec![master.to_owned()];
        while let Some(path) = open.pop() {
            if done.contains_key(&path) {
                continue;
            }
            if done.len() == MAX_PLAYLISTS {
                return Err(WebError::refused(format!("a package with more than {MAX_PLAYLISTS} playlists")));
            }
            let text = self.read(&path).await?;
            let found = references(&text)?;
            for Reference { uri, .. } in found.iter().filter(|found| is_playlist(&found.uri)) {
                open.push(resolved(&path, uri)?);
            }
            done.insert(path.clone(), self.signed(&path, &text, &found).await?);
        }
        Ok(done)
    }

    async fn signed(&self, path: &str, text: &str, found: &[Reference]) -> Result<String, WebError> {
        let mut addresses = Vec::with_capacity(found.len());
        let mut last: Option<(String, String)> = None;
        for Reference { uri, .. } in found {
            let target = resolved(path, uri)?;
            if is_playlist(uri) {
                self.key(&target)?;
                addresses.push(None);
                continue;
            }
            // Neighbours often refer to the same file: areas of a sheet, ranges of a segment.
            let address = match &last {
                Some((before, address)) if *before == target => address.clone(),
                _ => self.file(&target).await?,
            };
            last = Some((target, address.clone()));
            addresses.push(Some(address));
        }
        spliced(text, found, &addresses)
    }

    /// The object behind a path: below the attempt's folder, or a file with a stable name, which lies there too.
    fn key(&self, path: &str) -> Result<String, WebError> {
        let path = resolved("", path)?;
        let Self { prefix, folder, .. } = self;
        if !path.contains('/') {
            return Ok(format!("{prefix}{folder}entry/{path}"));
        }
        if path.starts_with(folder.as_str()) {
            return Ok(format!("{prefix}{path}"));
        }
        Err(WebError::NotFound("a file of this job".into()))
    }

    async fn read(&self, path: &str) -> Result<String, WebError> {
        let get = self.s3.get_object().bucket(self.bucket).key(self.key(path)?);
        let object = get.send().await.map_err(|error| WebError::call(path, &error))?;
        let most = i64::try_from(MAX_BYTES).unwrap_or(i64::MAX);
        if object.content_length().is_none_or(|length| length > most) {
            return Err(WebError::refused(format!("{path}: more than {MAX_BYTES} bytes")));
        }
        let bytes = object.body.collect().await;
        let bytes = bytes.map_err(|error| WebError::S3 { what: path.to_owned(), why: error.to_string() })?;
        String::from_utf8(bytes.to_vec()).map_err(|_| WebError::refused(format!("{path}: not text")))
    }
}

fn is_playlist(uri: &str) -> bool {
    uri.rsplit_once('.').is_some_and(|(_, extension)| extension == "m3u8")
}
