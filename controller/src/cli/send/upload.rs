//! Uploads a file to a source bucket: in one piece, or in parts that a later run finds and goes on with.
//!
//! A new object is written only where there is none (`If-None-Match`), unless it shall replace one. An upload that is
//! interrupted stays open: the same command goes on with the parts whose checksums fit, and the bucket's lifecycle rule
//! ends one that nobody goes on with.

use std::{collections::BTreeMap, io::IsTerminal, path::Path, time::Duration};

use anyhow::{Context, bail, ensure};
use aws_config::{retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_s3::{
    Client,
    primitives::{ByteStream, Length},
    types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, MultipartUpload},
};
use futures::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use transcode_web::upload::ObjectWords;

use super::parts::{PART_BYTES, Part, checksum, parts};
use crate::{
    aws::class::status,
    cli::{
        find::newest,
        output::{address, complain},
        setup::Session,
    },
};

/// Longest time for a part: 16 MiB at 32 KiB a second. A line that stands still is noticed sooner.
const PART_TIME: Duration = Duration::from_mins(9);

/// Tries of a part, of which each is the same bytes in the same place.
const PART_TRIES: u32 = 5;

/// Parts that are sent at the same time.
const AT_ONCE: usize = 3;

/// Most open uploads of one key that are looked at.
const MAX_OPEN: i32 = 1_000;

/// Where a file goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) bucket: &'a str,
    pub(super) key: &'a str,
    /// An object of this key may be there; it is replaced.
    pub(super) replace: bool,
    /// The caller's own words; an upload that goes on has those that it was begun with.
    pub(super) words: &'a ObjectWords,
}

/// Uploads the file of this size. Returns the version of the object, in a bucket that keeps versions.
pub(super) async fn upload(
    session: &Session,
    file: &Path,
    size: u64,
    target: Target<'_>,
) -> anyhow::Result<Option<String>> {
    if !target.replace
        && let Some(there) = newest(session, target.bucket, target.key).await
    {
        bail!("{} It has {} bytes", taken(target), there.size().unwrap_or_default());
    }
    let sender = Sender { s3: client(session), file, target, bar: bar(size) };
    let version = if size <= PART_BYTES { sender.whole(size).await } else { sender.in_parts(size).await };
    sender.bar.finish_and_clear();
    Ok(version?.filter(|version| version != "null"))
}

fn taken(Target { bucket, key, .. }: Target<'_>) -> String {
    let at = address(bucket, key);
    format!(
        "not uploaded: {at} is there already. `submit {at}` asks for its job; `--replace` uploads this file as a newer \
         version."
    )
}

/// A client for large bodies: its calls are the same bytes each time, so the SDK may repeat them.
fn client(session: &Session) -> Client {
    let calls = &session.settings.calls;
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(calls.connect_seconds))
        .operation_attempt_timeout(PART_TIME)
        .operation_timeout(PART_TIME * PART_TRIES)
        .build();
    let config = session.clients.s3.read.config().to_builder().timeout_config(timeouts);
    Client::from_conf(config.retry_config(RetryConfig::standard().with_max_attempts(PART_TRIES)).build())
}

/// A bar on a terminal; elsewhere nothing.
fn bar(size: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(size), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// Parts that are there, by number.
type Parts = BTreeMap<i32, aws_sdk_s3::types::Part>;

struct Sender<'a> {
    s3: Client,
    file: &'a Path,
    target: Target<'a>,
    bar: ProgressBar,
}

impl Sender<'_> {
    fn condition(&self) -> Option<String> {
        (!self.target.replace).then(|| "*".to_owned())
    }

    async fn body(&self, part: Part) -> anyhow::Result<ByteStream> {
        let body = ByteStream::read_from().path(self.file).offset(part.offset);
        body.length(Length::Exact(part.length)).build().await.context("the file cannot be read")
    }

    async fn checksum(&self, part: Part) -> anyhow::Result<String> {
        let file = self.file.to_owned();
        let sum = tokio::task::spawn_blocking(move || checksum(&file, part)).await?;
        sum.context("the file cannot be read")
    }

    async fn whole(&self, size: u64) -> anyhow::Result<Option<String>> {
        let Target { bucket, key, .. } = self.target;
        let part = Part { number: 1, offset: 0, length: size };
        let put = self.s3.put_object().bucket(bucket).key(key).set_if_none_match(self.condition());
        let put = put.set_metadata(self.target.words.metadata());
        let put = put.checksum_sha256(self.checksum(part).await?).content_length(i64::try_from(size)?);
        match put.body(self.body(part).await?).send().await {
            Ok(answer) => Ok(answer.version_id),
            Err(error) if status(&error) == Some(412) => bail!("{}", taken(self.target)),
            Err(error) => Err(error).context("not uploaded"),
        }
    }

    async fn in_parts(&self, size: u64) -> anyhow::Result<Option<String>> {
        let Target { bucket, key, .. } = self.target;
        let (id, there) = match self.open().await? {
            Some(found) => found,
            None => (self.create().await?, Parts::new()),
        };
        if !there.is_empty() {
            complain(&format!(
                "going on with an upload that was interrupted: {} parts are there",
                there.len()
            ));
        }
        let sent = stream::iter(parts(size)).map(|part| self.part(&id, part, &there));
        let sent = sent.buffered(AT_ONCE).try_collect::<Vec<_>>().await;
        let sent = sent.context("the upload is interrupted: the same command goes on with it")?;
        let parts = CompletedMultipartUpload::builder().set_parts(Some(sent)).build();
        let complete = self.s3.complete_multipart_upload().bucket(bucket).key(key).upload_id(&id);
        let complete = complete.set_if_none_match(self.condition()).multipart_upload(parts);
        match complete.send().await {
            Ok(answer) => Ok(answer.version_id),
            Err(error) if status(&error) == Some(412) => bail!("{}", taken(self.target)),
            Err(error) => Err(error).context("the upload is not completed: the same command completes it"),
        }
    }

    /// The newest open upload of the key, with its parts. None without the permission to look.
    async fn open(&self) -> anyhow::Result<Option<(String, Parts)>> {
        let Target { bucket, key, .. } = self.target;
        let list = self.s3.list_multipart_uploads().bucket(bucket).prefix(key).max_uploads(MAX_OPEN);
        let answer = match list.send().await {
            Ok(answer) => answer,
            Err(error) if status(&error) == Some(403) => {
                complain(
                    "an interrupted upload could not be looked for, as s3:ListBucketMultipartUploads is not allowed: \
                     this one begins anew",
                );
                return Ok(None);
            }
            Err(error) => return Err(error).context("looking for an upload to go on with"),
        };
        // One whose parts have other checksums is of another program, and takes none with ours.
        let sha256 = |it: &MultipartUpload| it.checksum_algorithm() == Some(&ChecksumAlgorithm::Sha256);
        let own = |it: &&MultipartUpload| {
            it.key() == Some(key) && (sha256(it) || it.checksum_algorithm().is_none())
        };
        let open = answer.uploads().iter().filter(own);
        let newest = open.max_by_key(|it| it.initiated().map(aws_smithy_types::DateTime::secs));
        let Some((upload, id)) = newest.and_then(|it| Some((it, it.upload_id()?))) else { return Ok(None) };
        let there = self.there(id).await?;
        // Where the list does not name the checksums, the parts do.
        let named = !there.is_empty() && there.values().all(|part| part.checksum_sha256().is_some());
        Ok((sha256(upload) || named).then(|| (id.to_owned(), there)))
    }

    async fn create(&self) -> anyhow::Result<String> {
        let create = self.s3.create_multipart_upload().bucket(self.target.bucket).key(self.target.key);
        let create = create.set_metadata(self.target.words.metadata());
        let create = create.checksum_algorithm(ChecksumAlgorithm::Sha256).send().await;
        create.context("not uploaded")?.upload_id.context("S3 opened an upload without an id")
    }

    /// The parts that are there, by number.
    async fn there(&self, id: &str) -> anyhow::Result<Parts> {
        let list = self.s3.list_parts().bucket(self.target.bucket).key(self.target.key).upload_id(id);
        let mut pages = list.into_paginator().send();
        let mut there = Parts::new();
        while let Some(page) = pages.next().await {
            let page = page.context("looking for the parts that are there")?;
            there.extend(
                page.parts.unwrap_or_default().into_iter().filter_map(|it| Some((it.part_number?, it))),
            );
        }
        Ok(there)
    }

    /// Sends a part, unless the same bytes are there.
    async fn part(&self, id: &str, part: Part, there: &Parts) -> anyhow::Result<CompletedPart> {
        let Target { bucket, key, .. } = self.target;
        let sum = self.checksum(part).await?;
        let done = CompletedPart::builder().part_number(part.number).checksum_sha256(&sum);
        let length = i64::try_from(part.length)?;
        let same = there
            .get(&part.number)
            .filter(|it| it.size() == Some(length) && it.checksum_sha256() == Some(&sum));
        let tag = if let Some(same) = same {
            same.e_tag().map(str::to_owned)
        } else {
            let put = self.s3.upload_part().bucket(bucket).key(key).upload_id(id).part_number(part.number);
            let put = put.checksum_sha256(&sum).content_length(length).body(self.body(part).await?);
            put.send().await.with_context(|| format!("part {} is not uploaded", part.number))?.e_tag
        };
        self.bar.inc(part.length);
        Ok(done.set_e_tag(tag).build())
    }
}

/// The size of a file that can be uploaded.
pub(super) fn size_of(file: &Path, most: u64) -> anyhow::Result<u64> {
    let found = std::fs::metadata(file).with_context(|| {
        format!(
            "{}: cannot be read; an object that is uploaded already is named s3://BUCKET/KEY",
            file.display()
        )
    })?;
    ensure!(found.is_file(), "{}: is no file", file.display());
    let size = found.len();
    ensure!(size > 0, "{}: is empty", file.display());
    ensure!(size <= most, "{}: {size} bytes, more than jobs.max_source_bytes, {most}", file.display());
    Ok(size)
}
