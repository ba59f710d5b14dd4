//! `submit`: a job request for an object in an allowed source.

use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use transcode_config::{
    contract::{JobKey, JobSpec, Outcome, Source, Terminal},
    settings::QueueSettings,
};
use transcode_core::{
    effects::ports::Store,
    message::{Parsed, Request, parse, same_source},
};

use super::{
    edit::EditArgs,
    request::{self, Object},
};
use crate::{
    cli::{
        find::newer,
        output::{address, say, time},
        setup::{Session, source_bucket, unreadable},
    },
    runtime::wall_ms,
};

/// Name of the queue in a deployment with one queue.
const DEFAULT_QUEUE: &str = "default";

/// What to transcode. Submitting the same again is the same job; another --idempotency-key makes another job.
#[derive(Debug, Args)]
#[group(skip)]
pub(in crate::cli) struct Submit {
    /// Object key in the source bucket.
    #[arg(long)]
    key: String,
    /// Source bucket, if several sources cover the key.
    #[arg(long)]
    bucket: Option<String>,
    /// Version of the object. Default: the object that exists when the task reads it.
    #[arg(long, value_name = "ID")]
    version_id: Option<String>,
    /// Profile. Default: the source's own, or the default profile.
    #[arg(long)]
    profile: Option<String>,
    #[command(flatten)]
    edit: EditArgs,
    /// The caller's own name for this job, instead of bucket, key, profile and edit.
    #[arg(long, value_name = "I")]
    idempotency_key: Option<String>,
    /// Submit it although something newer is live: it goes live in its place.
    #[arg(long)]
    force: bool,
    /// Name of the job queue in the settings, if there are several.
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
}

impl Submit {
    pub(in crate::cli) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        let bucket = source_bucket(&session.settings, self.bucket.as_deref(), &self.key)?;
        let edit = self.edit.edit()?;
        let object = Object { bucket, key: &self.key, version: self.version_id.as_deref() };
        let (profile, name) = (self.profile.as_deref(), self.idempotency_key.as_deref());
        let mut body = request::body(&object, profile, &edit, name, false);
        let mut spec = accepted(session, &body)?;
        if let Some(why) = newer(session, &spec).await? {
            anyhow::ensure!(self.force, "not sent: {why}. --force sends it, and it goes live all the same");
            body = request::body(&object, profile, &edit, name, true);
            spec = accepted(session, &body)?;
        }
        let job = &spec.job;
        if let Some(there) = session.store.spec(job).await.map_err(unreadable)?
            && !same_source(&spec, &there)
        {
            let Source { bucket, key, .. } = &there.source;
            bail!("not sent: the idempotency key belongs to job {job} of {}", address(bucket, key));
        }
        let decided = session.store.inspect(job).await.map_err(unreadable)?.terminal;
        if let Some(terminal) = decided {
            bail!("{}", already(job, &terminal));
        }
        let (name, queue) = self.queue(session)?;
        let send = session.clients.sqs.write.send_message().queue_url(&queue.url).message_body(body);
        send.send().await.with_context(|| format!("the message could not be put into queue {name}"))?;
        say(&format!("{job}\n"))
    }

    fn queue<'a>(&'a self, session: &'a Session) -> anyhow::Result<(&'a str, &'a QueueSettings)> {
        let queues = &session.settings.queues;
        let names = || queues.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let wanted = self.queue.as_deref().unwrap_or(DEFAULT_QUEUE);
        match (queues.get_key_value(wanted), queues.first_key_value()) {
            (Some((name, queue)), _) => Ok((name, queue)),
            (None, Some((name, queue))) if self.queue.is_none() && queues.len() == 1 => Ok((name, queue)),
            _ => bail!("--queue: the settings have {}", names()),
        }
    }
}

/// Reads the request with the controller's own code. A request that would be refused is not sent, because it would end
/// in the dead-letter queue.
fn accepted(session: &Session, body: &str) -> anyhow::Result<Arc<JobSpec>> {
    match parse(body, &session.rules, wall_ms()) {
        Parsed::Jobs(requests, _) => match requests.first() {
            Some(Request::Run(spec)) => Ok(Arc::clone(spec)),
            Some(Request::Refuse { failure, .. }) => {
                let remedy = failure.code.info().remedy;
                bail!("refused, not sent: {failure} {:?}; {remedy}", failure.evidence)
            }
            None => bail!("the request asks for nothing"),
        },
        Parsed::Ignore(_) => bail!("the request asks for nothing"),
        Parsed::Park(why) => bail!("the request cannot be read: {why}"),
    }
}

fn already(job: &JobKey, terminal: &Terminal) -> String {
    let at = time(terminal.written_at_ms);
    let (end, hint) = match &terminal.outcome {
        Outcome::Superseded(_) => {
            ("was superseded by a newer upload", "an --idempotency-key makes it another job")
        }
        Outcome::Cancelled(_) => ("was cancelled", "an --idempotency-key makes it another job"),
        Outcome::Succeeded(_) => ("succeeded", "to make it again give an --idempotency-key of your own"),
        Outcome::Dead(_) => {
            ("is dead", "`redrive --job` runs it again; an --idempotency-key makes it another job")
        }
    };
    format!("not sent: job {job} {end} since {at}, and asking again would change nothing; {hint}")
}
