//! `presign`: an address that carries its own permission, for one object and for a while.

use std::time::Duration;

use anyhow::{Context, ensure};
use aws_sdk_s3::presigning::PresigningConfig;
use clap::{Args, ValueEnum};

use super::{
    rules::source_bucket,
    world::{World, say},
};

/// AWS' longest validity.
const MAX_SECONDS: u64 = 7 * 86_400;

/// Longest object key, in bytes.
const MAX_KEY_BYTES: usize = 1024;

/// What is to be signed. Signing needs no call, so nothing says whether the signer may do what it signs: that shows
/// when the address is used.
#[derive(Debug, Args)]
#[group(skip)]
pub(super) struct Presign {
    /// Upload to a source bucket, or download from the output bucket.
    what: What,
    /// Object key. For `put` one that an allowed source covers, for `get` one in the output bucket.
    key: String,
    /// Source bucket, where several sources take the key.
    #[arg(long)]
    bucket: Option<String>,
    /// Valid for so long, at most a week. Addresses signed with a role's credentials end with those at the latest.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    expires: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// For a PUT of the file as the request's body.
    Put,
    /// For a GET of one file. A playlist's segments are other files: play over a CDN, not with this.
    Get,
}

impl Presign {
    pub(super) async fn run(&self, world: &World) -> anyhow::Result<()> {
        let key = &self.key;
        ensure!((1..=MAX_SECONDS).contains(&self.expires), "--expires: 1–{MAX_SECONDS}");
        ensure!(!key.is_empty() && key.len() <= MAX_KEY_BYTES, "a key has 1–{MAX_KEY_BYTES} bytes");
        let config = PresigningConfig::expires_in(Duration::from_secs(self.expires))?;
        let s3 = &world.clients.s3.read;
        let signed = match self.what {
            What::Put => {
                ensure!(!key.ends_with('/'), "{key}: what ends with a slash is taken for a folder");
                let bucket = source_bucket(&world.settings, self.bucket.as_deref(), key)?;
                s3.put_object().bucket(bucket).key(key).presigned(config).await?
            }
            What::Get => {
                ensure!(self.bucket.is_none(), "--bucket: downloads are from the output bucket");
                let bucket = &world.settings.output.bucket;
                s3.get_object().bucket(bucket).key(key).presigned(config).await?
            }
        };
        // A header that had to be sent too would make the address useless to `curl -T`.
        let more: Vec<&str> = signed.headers().map(|(name, _)| name).filter(|name| *name != "host").collect();
        ensure!(more.is_empty(), "the address would need the headers {}", more.join(", "));
        say(&format!("{}\n", signed.uri())).context("the address")
    }
}
