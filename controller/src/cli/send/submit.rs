//! `submit`: asks for jobs of files and of objects in allowed sources.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail, ensure};
use clap::Args;
use futures::stream;
use transcode_config::contract::JobKey;

use super::{
    edit::EditArgs,
    many::{self, Bounds},
    one::{self, Asked, State, Wish},
    request::{self, Object},
    upload::{Target, size_of, upload},
    wait::all_ended,
    words::WordArgs,
};
use crate::{
    cli::{
        find::tenant,
        output::{address, complain, say},
        setup::{Session, source_bucket},
    },
    runtime::wall_ms,
};

/// What to transcode. The same again is the same job: if there is one, it is named and nothing is sent.
#[derive(Debug, Args)]
#[group(skip)]
#[allow(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub(crate) struct Submit {
    /// A file to upload, or what is uploaded already: `s3://BUCKET/KEY`, or with --recursive `s3://BUCKET/PREFIX`.
    #[arg(value_name = "FILE|s3://…", required_unless_present_any = ["key", "manifest"])]
    what: Option<String>,
    /// Object key in the source bucket. With FILE: the key to upload to; default: the source's prefix and the file's
    /// name.
    #[arg(long)]
    key: Option<String>,
    /// Source bucket, if several sources cover the key.
    #[arg(long)]
    bucket: Option<String>,
    /// Every object below the prefix.
    #[arg(long, requires = "what")]
    recursive: bool,
    /// Every object of a list: one key or `s3://BUCKET/KEY` on each line.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["what", "key", "recursive"])]
    manifest: Option<PathBuf>,
    /// With FILE: upload below the prefix of this tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// With FILE: replace an upload of the same key; the newer one goes live.
    #[arg(long)]
    replace: bool,
    /// Version of the object. Default: the object that exists when the task reads it.
    #[arg(long, value_name = "ID", conflicts_with_all = ["recursive", "manifest"])]
    version_id: Option<String>,
    /// Profile. Default: the source's own, or the default profile.
    #[arg(long)]
    profile: Option<String>,
    /// Language (BCP 47) of tracks whose language the file does not name. Default: the source's own, or the profile's.
    #[arg(long, value_name = "TAG")]
    default_language: Option<String>,
    #[command(flatten)]
    words: WordArgs,
    #[command(flatten)]
    edit: EditArgs,
    /// The caller's own name for this job, instead of bucket, key, profile and edit. Of many objects: the name of the run,
    /// which makes a job of its own for each.
    #[arg(long, value_name = "I")]
    idempotency_key: Option<String>,
    /// Make another job, whatever there is already.
    #[arg(long, conflicts_with_all = ["idempotency_key", "recursive", "manifest"])]
    again: bool,
    /// Submit it although something newer is live: it goes live in its place.
    #[arg(long)]
    force: bool,
    /// Name of the job queue in the settings, if there are several.
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    /// Of many objects: most requests in a second.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    rate: u32,
    /// Of many objects: most requests in one run.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    max: usize,
    /// Wait until the jobs have ended. Exit status 1 if one ends without a result.
    #[arg(long)]
    wait: bool,
}

/// What the command line names.
enum Named<'a> {
    File(&'a Path),
    Object(&'a str, &'a str),
    Below(&'a str, &'a str),
    List(&'a Path),
}

impl Submit {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<ExitCode> {
        let (edit, words) = (self.edit.edit()?, self.words.words()?);
        let again = self.again.then(|| format!("again {}", wall_ms()));
        let name = self.idempotency_key.as_deref().or(again.as_deref());
        let wish = Wish {
            profile: self.profile.as_deref(),
            language: self.default_language.as_deref(),
            edit: &edit,
            name,
            force: self.force,
            words: &words,
        };
        let queue = one::queue(session, self.queue.as_deref())?;
        let bounds = Bounds { per_second: self.rate, most: self.max };
        let jobs = match self.named(session)? {
            Named::File(file) => self.file(session, file, wish).await?,
            Named::Object(bucket, key) => {
                let object = Object { bucket, key, version: self.version_id.as_deref() };
                vec![self.object(session, &object, wish).await?]
            }
            Named::Below(bucket, prefix) => {
                let below = many::below(session, bucket, prefix);
                Box::pin(many::ask(session, below, wish, queue, bounds)).await?
            }
            Named::List(file) => {
                let listed = many::listed(session, self.bucket.as_deref(), file)?;
                let listed = stream::iter(listed.into_iter().map(Ok));
                Box::pin(many::ask(session, listed, wish, queue, bounds)).await?
            }
        };
        if self.wait { all_ended(session, &jobs).await } else { Ok(ExitCode::SUCCESS) }
    }

    fn named<'a>(&'a self, session: &'a Session) -> anyhow::Result<Named<'a>> {
        if let Some(list) = &self.manifest {
            return Ok(Named::List(list));
        }
        let Some(what) = &self.what else {
            let key = self.key.as_deref().context("--key")?;
            return Ok(Named::Object(source_bucket(&session.settings, self.bucket.as_deref(), key)?, key));
        };
        let Some(rest) = what.strip_prefix("s3://") else {
            ensure!(!self.recursive, "--recursive: for what is uploaded already, s3://BUCKET/PREFIX");
            return Ok(Named::File(Path::new(what)));
        };
        ensure!(
            self.key.is_none() && self.tenant.is_none() && !self.replace,
            "--key, --tenant and --replace are for a file that is uploaded"
        );
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if self.recursive {
            let known = session.settings.sources.values().any(|source| source.bucket == bucket);
            ensure!(known, "no entry of `sources` in the settings has the bucket {bucket}");
            return Ok(Named::Below(bucket, key));
        }
        ensure!(
            !key.is_empty() && !key.ends_with('/'),
            "{what}: names no object; --recursive asks for all objects below a prefix"
        );
        Ok(Named::Object(source_bucket(&session.settings, Some(bucket), key)?, key))
    }

    /// Asks for an object that is there.
    async fn object(&self, session: &Session, object: &Object<'_>, wish: Wish<'_>) -> anyhow::Result<JobKey> {
        let asked = match one::look(session, object, wish).await? {
            Ok(there) => there,
            Err(ready) => ready.send(session, one::queue(session, self.queue.as_deref())?).await?,
        };
        told(session, asked)
    }

    /// Uploads a file. The bucket's own event asks for its job.
    async fn file(&self, session: &Session, file: &Path, wish: Wish<'_>) -> anyhow::Result<Vec<JobKey>> {
        let size = size_of(file, session.settings.jobs.max_source_bytes)?;
        let (bucket, key) = self.place(session, file)?;
        let event = |version: &str| request::event(&bucket, &key, version, Some(size));
        // As the controller will read it: what it would refuse is not uploaded.
        let spec = one::accepted(session, &event("v"))?;
        let other = wish.profile.filter(|profile| *profile != spec.profile.name);
        ensure!(
            other.is_none()
                && wish.edit.is_none()
                && wish.name.is_none()
                && wish.language.is_none()
                && !wish.force
                && self.version_id.is_none(),
            "an upload becomes a job with the profile of its source, {}: upload without these options, then submit the \
             address with them",
            spec.profile.name
        );
        let target =
            Target { bucket: &bucket, key: &key, replace: self.replace, words: &self.words.of_object()? };
        let version = upload(session, file, size, target).await?;
        let Some(version) = version else {
            complain("uploaded; the bucket keeps no versions, so the job's key is known when it is accepted");
            say(&format!("{}\n", address(&bucket, &key)))?;
            ensure!(!self.wait, "--wait: `list` has the job once it is accepted");
            return Ok(Vec::new());
        };
        let job = one::accepted(session, &event(&version))?.job.clone();
        let object = Object { bucket: &bucket, key: &key, version: Some(&version) };
        Ok(vec![told(session, Asked::new(job, &object, State::Uploaded, None))?])
    }

    /// Bucket and key for a file.
    fn place(&self, session: &Session, file: &Path) -> anyhow::Result<(String, String)> {
        let settings = &session.settings;
        let name = file.file_name().and_then(|name| name.to_str());
        let name = name.context("the file's name is no text: give --key")?;
        if let Some(wanted) = &self.tenant {
            ensure!(self.key.is_none(), "--key and --tenant: one of them names the place");
            let place = tenant::meant(settings, wanted)?;
            return Ok((place.bucket, place.prefix + name));
        }
        if let Some(key) = &self.key {
            let key = if key.ends_with('/') { format!("{key}{name}") } else { key.clone() };
            let bucket = source_bucket(settings, self.bucket.as_deref(), &key)?.to_owned();
            return Ok((bucket, key));
        }
        let wanted = |bucket: &str| self.bucket.as_deref().is_none_or(|named| named == bucket);
        let mut sources = settings.sources.values().filter(|source| wanted(&source.bucket));
        match (sources.next(), sources.next()) {
            (Some(source), None) => Ok((source.bucket.clone(), format!("{}{name}", source.prefix))),
            (None, _) => bail!("no entry of `sources` in the settings has this bucket"),
            (Some(_), Some(_)) => bail!("several sources: give --key, --tenant or --bucket"),
        }
    }
}

/// Prints the job. An error if there is one that ended without a result.
fn told(session: &Session, asked: Asked) -> anyhow::Result<JobKey> {
    match asked.note {
        Some(note) if asked.state == State::Ended => bail!(note),
        Some(ref note) => complain(note),
        None => {}
    }
    session.output.print(&asked)?;
    Ok(asked.job)
}
