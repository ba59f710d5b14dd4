//! `cancel`: ends jobs without a result. The controller stops their tasks, writes their terminal records and deletes
//! their messages; nothing is tried again and no dead letter is sent.

use std::time::Duration;

use anyhow::{bail, ensure};
use clap::Args;
use serde::Serialize;
use transcode_config::contract::{
    Cancel as Entry, Cancels, Control, JobKey, JobStatus, MAX_CANCELS, Outcome, StatusReport, Told,
    status_key,
};
use transcode_core::effects::ports::Store;

use super::change::{Why, change};
use crate::cli::{
    find::{Named, asked_by_upload, of_object, tenant},
    output::{Show, Text, address, time},
    setup::{Session, confirmed, source_bucket, unreadable},
};

/// A cancel is of no use any more once no message can be as old: SQS keeps one for 14 days at most, in ms.
const KEPT_MS: u64 = 14 * 86_400_000;

/// Time between two looks at a job.
const LOOK: Duration = Duration::from_secs(1);

/// Which jobs to cancel.
#[derive(Debug, Args)]
#[group(skip)]
pub(in crate::cli) struct Cancel {
    /// Jobs by their keys, or objects, whose jobs are meant: `films/cat.mp4` or `s3://BUCKET/KEY`.
    #[arg(value_name = "JOB|KEY", required_unless_present_any = ["tenant", "prefix"])]
    which: Vec<Named>,
    /// All jobs of a tenant that were asked for before now.
    #[arg(long, conflicts_with_all = ["which", "prefix"])]
    tenant: Option<String>,
    /// All jobs of objects with this key prefix, or below `s3://BUCKET/PREFIX`, that were asked for before now.
    #[arg(long, conflicts_with = "which")]
    prefix: Option<String>,
    #[command(flatten)]
    why: Why,
    /// Do not ask before more than one job is cancelled.
    #[arg(long)]
    yes: bool,
    /// Wait until the jobs are cancelled. Exit status 1 if one ends otherwise.
    #[arg(long)]
    wait: bool,
    /// With --wait: at most this long, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    timeout: u64,
}

/// The result.
#[derive(Debug, Serialize)]
struct Done {
    revision: u64,
    cancelled: Vec<Cancels>,
    /// Jobs that the controller knows now and that are meant.
    jobs: Vec<JobKey>,
}

impl Show for Done {
    fn people(&self, text: &mut Text) {
        for what in &self.cancelled {
            text.line(&format!("{} is cancelled (revision {})", words(what), self.revision));
        }
        text.line("a running controller stops what is at work within seconds");
    }

    fn names(&self) -> Vec<String> {
        self.jobs.iter().map(ToString::to_string).collect()
    }
}

fn words(what: &Cancels) -> String {
    match what {
        Cancels::Job(job) => format!("job {job}"),
        Cancels::Tenant(tenant) => format!("what was asked for of tenant {tenant}"),
        Cancels::Prefix { bucket, prefix } => format!("what was asked for below {}", address(bucket, prefix)),
    }
}

impl Cancel {
    pub(in crate::cli) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        let (wanted, jobs) = match self.many(session)? {
            Some(many) => self.known(session, many).await?,
            None => self.each(session).await?,
        };
        let many = wanted.len() > 1 || !matches!(wanted.first(), Some(Cancels::Job(_)));
        if many {
            let what = wanted.iter().take(3).map(words).collect::<Vec<_>>().join(", ");
            let more =
                if wanted.len() > 3 { format!(" and {} more", wanted.len() - 3) } else { String::new() };
            let known = format!("{} jobs that the controller knows now", jobs.len());
            confirmed(&format!("Cancel {what}{more} ({known})?"), self.yes).await?;
        }
        let told = self.why.told(session).await?;
        let now = change(session, &told, |control| {
            cancel(control, &wanted, &told);
            Ok(())
        })
        .await?;
        session.output.print(&Done { revision: now.revision, cancelled: wanted, jobs: jobs.clone() })?;
        if self.wait { self.until_cancelled(session, jobs).await } else { Ok(()) }
    }

    /// A tenant or prefix.
    fn many(&self, session: &Session) -> anyhow::Result<Option<Cancels>> {
        if let Some(wanted) = &self.tenant {
            return Ok(Some(Cancels::Tenant(tenant::meant(&session.settings, wanted)?.name())));
        }
        let Some(prefix) = &self.prefix else { return Ok(None) };
        let address = prefix.strip_prefix("s3://").map(|rest| rest.split_once('/').unwrap_or((rest, "")));
        let (bucket, prefix) = match address {
            Some((bucket, prefix)) => (bucket, prefix),
            None => (source_bucket(&session.settings, None, prefix)?, prefix.as_str()),
        };
        let known = session.settings.sources.values().any(|source| source.bucket == bucket);
        ensure!(known, "--prefix: no entry of `sources` in the settings has the bucket {bucket}");
        Ok(Some(Cancels::Prefix { bucket: bucket.to_owned(), prefix: prefix.to_owned() }))
    }

    /// The jobs of a tenant or prefix that the controller's report lists.
    async fn known(&self, session: &Session, what: Cancels) -> anyhow::Result<(Vec<Cancels>, Vec<JobKey>)> {
        let key = status_key(&session.settings.environment);
        let report: Option<StatusReport> = session.store.read(&key).await.map_err(unreadable)?;
        let meant = |job: &&JobStatus| match (&what, job.bucket.as_deref(), job.key.as_deref()) {
            (Cancels::Tenant(tenant), ..) => job.tenant.as_ref() == Some(tenant),
            (Cancels::Prefix { bucket, prefix }, Some(of), Some(key)) => {
                of == bucket && key.starts_with(prefix.as_str())
            }
            _ => false,
        };
        let report = report.unwrap_or_default();
        let jobs = report.jobs.iter().filter(meant).map(|job| job.job.clone()).collect();
        Ok((vec![what], jobs))
    }

    /// The named jobs, and the undecided jobs of named objects.
    async fn each(&self, session: &Session) -> anyhow::Result<(Vec<Cancels>, Vec<JobKey>)> {
        let mut jobs: Vec<JobKey> = Vec::new();
        for which in &self.which {
            let found = match which {
                Named::Job(job) => vec![job.clone()],
                Named::Object { bucket, key } => {
                    let mut found = of_object(session, bucket.as_deref(), key).await?;
                    // What waits in the queue has no record.
                    found.extend(asked_by_upload(session, bucket.as_deref(), key).await);
                    found
                }
            };
            let mut open = false;
            for job in found {
                match session.store.inspect(&job).await.map_err(unreadable)?.terminal {
                    Some(terminal) if matches!(which, Named::Job(_)) => {
                        bail!("{}", ended(&job, &terminal.outcome, terminal.written_at_ms));
                    }
                    Some(_) => {}
                    None => {
                        open = true;
                        if !jobs.contains(&job) {
                            jobs.push(job);
                        }
                    }
                }
            }
            if let (false, Named::Object { key, .. }) = (open, which) {
                bail!("no job of {key} waits or runs");
            }
        }
        Ok((jobs.iter().cloned().map(Cancels::Job).collect(), jobs))
    }

    async fn until_cancelled(&self, session: &Session, mut jobs: Vec<JobKey>) -> anyhow::Result<()> {
        let limit = Duration::from_secs(self.timeout);
        let all = async {
            while let Some(job) = jobs.last() {
                match session.store.inspect(job).await.map_err(unreadable)?.terminal {
                    None => tokio::time::sleep(LOOK).await,
                    Some(terminal) if matches!(terminal.outcome, Outcome::Cancelled(_)) => drop(jobs.pop()),
                    Some(terminal) => bail!("{}", ended(job, &terminal.outcome, terminal.written_at_ms)),
                }
            }
            Ok(())
        };
        match tokio::time::timeout(limit, all).await {
            Ok(done) => done,
            Err(_) => bail!(
                "not cancelled within {} s: no controller has taken it up; `doctor` says why",
                self.timeout
            ),
        }
    }
}

fn ended(job: &JobKey, outcome: &Outcome, at_ms: u64) -> String {
    let end = match outcome {
        Outcome::Succeeded(_) => "succeeded",
        Outcome::Dead(_) => "is dead",
        Outcome::Superseded(_) => "was superseded",
        Outcome::Cancelled(_) => "is cancelled",
    };
    format!("job {job} {end} since {}: there is nothing to cancel", time(at_ms))
}

/// Adds cancels; removes what they replace and what is too old to matter.
fn cancel(control: &mut Control, wanted: &[Cancels], told: &Told) {
    // The first cancel of a job stays; one of a tenant or prefix is for more jobs each time.
    let there = |what: &Cancels| {
        let same =
            |entry: &Entry| entry.what == *what && (matches!(what, Cancels::Job(_)) || entry.told == *told);
        control.cancels.iter().any(same)
    };
    let new: Vec<Entry> = wanted
        .iter()
        .filter(|what| !there(what))
        .map(|what| Entry { what: what.clone(), told: told.clone() })
        .collect();
    if new.is_empty() {
        return;
    }
    control.cancels.retain(|entry| {
        told.at_ms.saturating_sub(entry.told.at_ms) < KEPT_MS && !new.iter().any(|it| it.what == entry.what)
    });
    control.cancels.extend(new);
    let over = control.cancels.len().saturating_sub(MAX_CANCELS);
    control.cancels.drain(..over);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(at_ms: u64) -> Told {
        Told { who: "ann".into(), why: "wrong file".into(), at_ms }
    }

    #[test]
    fn cancels_are_added_once_and_old_ones_go() {
        let job = |name: &str| Cancels::Job(JobKey::of(&[name]));
        let tenant = Cancels::Tenant("t/".into());
        let mut control = Control::default();
        cancel(&mut control, &[job("a"), tenant.clone()], &told(1_000));
        let first = control.clone();
        cancel(&mut control, &[job("a")], &told(2_000));
        assert_eq!(control, first, "the first one stays");
        cancel(&mut control, std::slice::from_ref(&tenant), &told(3_000));
        let of = |control: &Control| {
            control.cancels.iter().map(|it| (it.what.clone(), it.told.at_ms)).collect::<Vec<_>>()
        };
        assert_eq!(of(&control), [(job("a"), 1_000), (tenant, 3_000)], "a tenant's later jobs are meant now");
        cancel(&mut control, &[job("b")], &told(KEPT_MS + 2_000));
        assert_eq!(control.cancels.len(), 2, "the job's own is too old to matter");
        for number in 0..MAX_CANCELS {
            cancel(&mut control, &[job(&number.to_string())], &told(KEPT_MS + 2_000));
        }
        assert_eq!(control.cancels.len(), MAX_CANCELS);
        assert_eq!(control.check(), Ok(()));
        assert!(!control.cancels.iter().any(|it| it.what == job("b")), "the oldest goes");
    }
}
