//! `presign upload`: a form for a browser, or an upload in parts.

use std::{ops::RangeInclusive, time::SystemTime};

use anyhow::{Context, bail, ensure};
use aws_config::BehaviorVersion;
use aws_credential_types::provider::ProvideCredentials;
use clap::Args;
use serde::Serialize;
use transcode_web::upload::{
    Checksums, Form, FormPolicy, KeyRule, Multipart, PartAddress, PartPlan, PartRequest, StoredPart,
};

use super::file::{MAX_PUT_SECONDS, lasting, size};
use crate::cli::{
    output::{Show, Text, address},
    send::WordArgs,
    setup::{Session, source_bucket},
};

/// An upload by a browser. `--post` signs a form. `--multipart SIZE` opens an upload in parts; with `--id` the other
/// options act on one that is open.
#[derive(Debug, Args)]
#[group(skip)]
#[allow(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
pub(in crate::cli) struct Upload {
    /// Object key that an allowed source covers. With `--post`, one that ends with a slash stands for all below it.
    key: String,
    /// Source bucket, if several sources cover the key.
    #[arg(long)]
    bucket: Option<String>,
    /// Valid for this long: at most 12 hours, in which an upload, or a part, has to begin.
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    expires: u64,
    /// Sign a form for one POST. It can be sent again until it expires: S3 has no condition against it.
    #[arg(long, requires = "max_bytes", conflicts_with_all = ["multipart", "id"], required_unless_present_any = ["multipart", "id"])]
    post: bool,
    /// With `--post`: largest size of the file, in bytes; at most 5 GiB.
    #[arg(long, value_name = "BYTES")]
    max_bytes: Option<u64>,
    /// With `--post`: what the media type begins with, such as `video/`. To open an upload in parts: the media type.
    #[arg(long = "type", value_name = "MEDIA-TYPE")]
    media_type: Option<String>,
    #[command(flatten)]
    words: WordArgs,
    /// Size of the file in bytes: at most 5 TiB. Opens an upload in parts, or cuts the file of an open one.
    #[arg(long, value_name = "BYTES")]
    multipart: Option<u64>,
    /// The open upload.
    #[arg(long, value_name = "UPLOAD")]
    id: Option<String>,
    /// Print addresses for these parts of the open upload: `7`, `1-100`.
    #[arg(long, value_name = "FROM-TO", value_parser = parts, requires_all = ["id", "multipart"])]
    parts: Option<RangeInclusive<u32>>,
    /// List the parts that S3 has.
    #[arg(long, requires = "id", conflicts_with_all = ["parts", "complete", "abort"])]
    list: bool,
    /// Complete the open upload: its object appears, unless there is one of this key.
    #[arg(long, requires_all = ["id", "multipart"], conflicts_with_all = ["parts", "abort"])]
    complete: bool,
    /// End the open upload and remove its parts.
    #[arg(long, requires = "id", conflicts_with = "parts")]
    abort: bool,
}

/// `7` or `1-100`.
fn parts(text: &str) -> Result<RangeInclusive<u32>, String> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    match (from.parse(), to.parse()) {
        (Ok(from), Ok(to)) if 1 <= from && from <= to => Ok(from..=to),
        _ => Err("parts are counted from 1: 7, or 1-100".to_owned()),
    }
}

impl Upload {
    pub(super) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        let bucket = source_bucket(&session.settings, self.bucket.as_deref(), &self.key)?;
        let expires_in = lasting(self.expires, MAX_PUT_SECONDS)?;
        let s3 = &session.clients.s3.read;
        if self.post {
            let most = self.max_bytes.context("--max-bytes")?;
            size(session, "--max-bytes", most)?;
            let key = self.key.clone();
            let key = if key.ends_with('/') { KeyRule::Below(key) } else { KeyRule::Exactly(key) };
            let (bucket, media_type) = (bucket.to_owned(), self.media_type.clone());
            let words = self.words.of_object()?;
            let policy = FormPolicy { bucket, key, bytes: 1..=most, media_type, words, expires_in };
            let form = policy.sign(s3, &credentials().await?, SystemTime::now()).await?;
            return session.output.print(&Signed(form));
        }
        let plan = self.multipart.map(|bytes| {
            size(session, "--multipart", bytes)?;
            anyhow::Ok(PartPlan::of(bytes)?)
        });
        let plan = plan.transpose()?;
        let Some(id) = &self.id else {
            let plan = plan.context("--multipart SIZE, or --id")?;
            let media_type = self.media_type.as_deref();
            // Who has the file computes its checksums; here nobody has it.
            let words = self.words.of_object()?;
            let open = Multipart::create(s3, bucket, &self.key, media_type, &words, Checksums::OfS3).await?;
            let (parts, part_bytes) = (plan.parts(), plan.part_bytes());
            return session.output.print(&Opened { id: open.id, bytes: plan.size(), parts, part_bytes });
        };
        ensure!(
            self.words.words()?.is_empty(),
            "--user-metadata: an open upload has the words that it was opened with"
        );
        let open = Multipart { bucket: bucket.to_owned(), key: self.key.clone(), id: id.clone() };
        match (self.parts.clone(), plan) {
            (Some(range), Some(plan)) => {
                let wanted = range.map(|number| PartRequest { number, sha256: None }).take(1 + MOST_PARTS);
                let wanted: Vec<_> = wanted.collect();
                session.output.print(&Addresses(open.addresses(s3, plan, &wanted, expires_in).await?))
            }
            _ if self.list => session.output.print(&Parts(open.parts(s3).await?)),
            (_, Some(plan)) if self.complete => {
                open.complete(&session.clients.s3.write, plan).await?;
                session.output.print(&Done(address(bucket, &self.key)))
            }
            _ if self.abort => {
                open.abort(&session.clients.s3.write).await?;
                session.output.print(&Done(format!("upload {id} is over")))
            }
            _ => bail!("what about upload {id}? --parts FROM-TO, --list, --complete or --abort"),
        }
    }
}

/// Most parts that are asked for; the signer refuses more with its own words.
const MOST_PARTS: usize = transcode_web::upload::MAX_BATCH;

/// The credentials that sign: those of the environment, as the clients have them.
async fn credentials() -> anyhow::Result<aws_credential_types::Credentials> {
    let sdk = aws_config::load_defaults(BehaviorVersion::latest()).await;
    let provider = sdk.credentials_provider().context("there are no AWS credentials to sign with")?;
    provider.provide_credentials().await.context("there are no AWS credentials to sign with")
}

/// A form.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Signed(Form);

impl Show for Signed {
    fn people(&self, text: &mut Text) {
        text.line(&self.0.url);
        for (name, value) in &self.0.fields {
            text.line(&format!("{name}={value}"));
        }
    }

    fn names(&self) -> Vec<String> {
        vec![self.0.url.clone()]
    }
}

/// An upload that was opened.
#[derive(Debug, Serialize)]
struct Opened {
    id: String,
    bytes: u64,
    parts: u32,
    part_bytes: u64,
}

impl Show for Opened {
    fn people(&self, text: &mut Text) {
        let Self { id, parts, part_bytes, .. } = self;
        text.line(&format!("{id}: {parts} parts of {part_bytes} bytes, the last of what is left"));
    }

    fn names(&self) -> Vec<String> {
        vec![self.id.clone()]
    }
}

/// Addresses of parts.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Addresses(Vec<PartAddress>);

impl Show for Addresses {
    fn people(&self, text: &mut Text) {
        for one in &self.0 {
            text.line(&format!("{} {} {} {}", one.part.number, one.part.offset, one.part.length, one.url));
        }
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|one| one.url.clone()).collect()
    }
}

/// Parts that are there.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Parts(Vec<StoredPart>);

impl Show for Parts {
    fn people(&self, text: &mut Text) {
        for part in &self.0 {
            text.line(&format!("{} {} bytes {}", part.number, part.bytes, part.etag));
        }
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|part| part.number.to_string()).collect()
    }
}

/// What was done.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Done(pub(super) String);

impl Show for Done {
    fn people(&self, text: &mut Text) {
        text.line(&self.0);
    }

    fn names(&self) -> Vec<String> {
        vec![self.0.clone()]
    }
}
