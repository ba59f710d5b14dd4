//! `presign`: a URL that carries its own permission, for one object and a limited time.

use std::{
    io::{self, Write},
    time::Duration,
};

use anyhow::{Context, ensure};
use aws_sdk_s3::presigning::PresigningConfig;
use clap::{Args, ValueEnum};
use transcode_config::escape::{Place, escaped};

use crate::cli::{
    output::say,
    setup::{Session, source_bucket},
};

/// AWS' longest validity, in seconds.
const MAX_SECONDS: u64 = 7 * 86_400;

/// Longest validity for an upload, in seconds. The upload only has to begin in that time; a person who finds the URL
/// later can do nothing with it.
const MAX_PUT_SECONDS: u64 = 43_200;

/// Longest object key, in bytes.
const MAX_KEY_BYTES: usize = 1024;

/// What to sign. Signing needs no call, so whether the signer has the permission shows only when the URL is used.
#[derive(Debug, Args)]
#[group(skip)]
pub(in crate::cli) struct Presign {
    /// Upload to a source bucket, or download from the output bucket.
    what: What,
    /// Object key. For `put` one that an allowed source covers, for `get` one in the output bucket.
    key: String,
    /// Source bucket, if several sources cover the key.
    #[arg(long)]
    bucket: Option<String>,
    /// Valid for this long: at most 12 hours for `put`, which has to begin in that time, and a week for `get`. URLs
    /// signed with a role's credentials end with those at the latest.
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    expires: u64,
    /// With `put`: size of the file in bytes. S3 refuses any other size.
    #[arg(long, required_if_eq("what", "put"))]
    bytes: Option<u64>,
    /// With `put`: media type of the file. S3 refuses any other type.
    #[arg(long = "type", value_name = "MEDIA-TYPE")]
    media_type: Option<String>,
    /// With `put`: replace an upload of the same key. Otherwise a second upload is refused.
    #[arg(long)]
    replace: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// For a PUT with the file as the request's body.
    Put,
    /// For a GET of one file. A playlist's segments are other files: use a CDN for playback.
    Get,
}

impl Presign {
    pub(in crate::cli) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        let key = &self.key;
        ensure!((1..=MAX_SECONDS).contains(&self.expires), "--expires: 1–{MAX_SECONDS}");
        ensure!(!key.is_empty() && key.len() <= MAX_KEY_BYTES, "a key has 1–{MAX_KEY_BYTES} bytes");
        let upload = self.what == What::Put;
        ensure!(
            upload || (self.bytes.is_none() && self.media_type.is_none() && !self.replace),
            "--bytes, --type and --replace are for uploads"
        );
        let config = PresigningConfig::expires_in(Duration::from_secs(self.expires))?;
        let s3 = &session.clients.s3.read;
        let signed = match self.what {
            What::Put => {
                ensure!(!key.ends_with('/'), "{key}: what ends with a slash is taken for a folder");
                let bucket = source_bucket(&session.settings, self.bucket.as_deref(), key)?;
                ensure!(self.expires <= MAX_PUT_SECONDS, "--expires: 1–{MAX_PUT_SECONDS} for an upload");
                let put = s3.put_object().bucket(bucket).key(key).content_length(self.size(session)?);
                let put = put.set_content_type(self.media_type.clone());
                put.set_if_none_match((!self.replace).then(|| "*".into())).presigned(config).await?
            }
            What::Get => {
                ensure!(self.bucket.is_none(), "--bucket: downloads are from the output bucket");
                let bucket = &session.settings.output.bucket;
                s3.get_object().bucket(bucket).key(key).presigned(config).await?
            }
        };
        // S3 refuses a request without these headers. Every client sends the length by itself.
        for (name, value) in signed.headers().filter(|(name, _)| !["host", "content-length"].contains(name)) {
            writeln!(io::stderr(), "to be sent along: {name}: {}", escaped(value, Place::Line)).ok();
        }
        say(&format!("{}\n", signed.uri())).context("the address")
    }

    /// The size of the upload, if it is within the limit for sources.
    fn size(&self, session: &Session) -> anyhow::Result<i64> {
        let most = session.settings.jobs.max_source_bytes;
        let size = self.bytes.filter(|size| (1..=most).contains(size));
        let size = size.with_context(|| format!("--bytes: 1–{most} (jobs.max_source_bytes)"))?;
        Ok(i64::try_from(size)?)
    }
}
