//! `presign put`, `presign get`: one object, for a limited time.

use std::{
    io::{self, Write},
    time::Duration,
};

use anyhow::{Context, ensure};
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use clap::Args;
use transcode_config::escape::{Place, escaped};

use crate::cli::{
    output::say,
    setup::{Session, source_bucket},
};

/// AWS' longest validity, in seconds.
pub(super) const MAX_SECONDS: u64 = 7 * 86_400;

/// Longest validity for an upload, in seconds. The upload only has to begin in that time; a person who finds the URL
/// later can do nothing with it.
pub(super) const MAX_PUT_SECONDS: u64 = 43_200;

/// Longest object key, in bytes.
const MAX_KEY_BYTES: usize = 1024;

/// An upload.
#[derive(Debug, Args)]
#[group(skip)]
pub(in crate::cli) struct Put {
    /// Object key that an allowed source covers.
    key: String,
    /// Source bucket, if several sources cover the key.
    #[arg(long)]
    bucket: Option<String>,
    /// Valid for this long: at most 12 hours, in which the upload has to begin. Addresses signed with a role's
    /// credentials end with those at the latest.
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    expires: u64,
    /// Size of the file in bytes. S3 refuses any other size.
    #[arg(long)]
    bytes: u64,
    /// Media type of the file. S3 refuses any other type.
    #[arg(long = "type", value_name = "MEDIA-TYPE")]
    media_type: Option<String>,
    /// Replace an upload of the same key. Otherwise a second upload is refused.
    #[arg(long)]
    replace: bool,
}

/// A download.
#[derive(Debug, Args)]
#[group(skip)]
pub(in crate::cli) struct Get {
    /// Object key in the output bucket.
    key: String,
    /// Valid for this long: at most a week. Addresses signed with a role's credentials end with those at the latest.
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    expires: u64,
}

impl Put {
    pub(super) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        let key = &self.key;
        checked(key)?;
        ensure!(!key.ends_with('/'), "{key}: what ends with a slash is taken for a folder");
        let bucket = source_bucket(&session.settings, self.bucket.as_deref(), key)?;
        let put = session.clients.s3.read.put_object().bucket(bucket).key(key);
        let put = put.content_length(size(session, "--bytes", self.bytes)?);
        let put = put.set_content_type(self.media_type.clone());
        let put = put.set_if_none_match((!self.replace).then(|| "*".into()));
        print(&put.presigned(valid(self.expires, MAX_PUT_SECONDS)?).await?)
    }
}

impl Get {
    pub(super) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        checked(&self.key)?;
        let get = session.clients.s3.read.get_object().bucket(&session.settings.output.bucket).key(&self.key);
        print(&get.presigned(valid(self.expires, MAX_SECONDS)?).await?)
    }
}

fn checked(key: &str) -> anyhow::Result<()> {
    ensure!(!key.is_empty() && key.len() <= MAX_KEY_BYTES, "a key has 1–{MAX_KEY_BYTES} bytes");
    Ok(())
}

/// The validity of an address.
fn valid(seconds: u64, most: u64) -> anyhow::Result<PresigningConfig> {
    Ok(PresigningConfig::expires_in(lasting(seconds, most)?)?)
}

/// How long an address is valid, if that is allowed.
pub(super) fn lasting(seconds: u64, most: u64) -> anyhow::Result<Duration> {
    ensure!((1..=most).contains(&seconds), "--expires: 1–{most} seconds");
    Ok(Duration::from_secs(seconds))
}

/// The size of an upload, if it is within the limit for sources.
pub(super) fn size(session: &Session, option: &str, size: u64) -> anyhow::Result<i64> {
    let most = session.settings.jobs.max_source_bytes;
    ensure!((1..=most).contains(&size), "{option}: 1–{most} (jobs.max_source_bytes)");
    i64::try_from(size).context("the size")
}

/// The address on standard output, and what S3 refuses to do without on standard error.
fn print(signed: &PresignedRequest) -> anyhow::Result<()> {
    // Every client sends the length by itself.
    for (name, value) in signed.headers().filter(|(name, _)| !["host", "content-length"].contains(name)) {
        writeln!(io::stderr(), "to be sent along: {name}: {}", escaped(value, Place::Line)).ok();
    }
    say(&format!("{}\n", signed.uri())).context("the address")
}
