//! `cancel`: ends jobs without a result. The controller stops their tasks, writes their terminal records and deletes
//! their messages; nothing is tried again and no dead letter is sent.

use std::time::Duration;

use anyhow::{bail, ensure};
use clap::Args;
use serde::{Serialize, Serializer};
use transcode_config::contract::{
    Cancel as Entry, Cancels, Control, JobKey, JobStatus, MAX_CANCELS, Outcome, Told,
};

use super::change::{Why, change};
use crate::{
    cli::{
        find::{Heard, JobRow, Named, Which, asked_by_upload, named_jobs, tenant},
        output::{Show, Text, address, time},
        setup::{Session, confirmed, source_bucket, unreadable},
        show::until_ended,
    },
    runtime::wall_ms,
};

/// A cancel is of no use any more once no message can be as old: SQS keeps one for 14 days at most, in ms.
const KEPT_MS: u64 = 14 * 86_400_000;

/// Time between two looks at a job.
const LOOK: Duration = Duration::from_secs(1);

/// Which jobs to cancel.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Cancel {
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
pub(crate) struct Done {
    revision: u64,
    #[serde(serialize_with = "plainly")]
    cancelled: Vec<Cancels>,
    /// Jobs that the controller knows now and that are meant.
    jobs: Vec<JobKey>,
    /// Whether a controller is there to do it: `live`, `draining`, `ended`, `silent`, `never` or `unknown`.
    controller: &'static str,
    /// When it takes effect, for a person.
    effect: String,
}

/// As in JSON: YAML would name the kinds by tags, which its readers do not know.
fn plainly<S: Serializer>(all: &[Cancels], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(all.iter().filter_map(|what| serde_json::to_value(what).ok()))
}

impl Show for Done {
    fn people(&self, text: &mut Text) {
        for what in &self.cancelled {
            text.line(&format!("{} is cancelled (revision {})", words(what), self.revision));
        }
        text.line(&self.effect);
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
    /// One job, for this reason.
    pub(crate) fn of(job: JobKey, why: String) -> Self {
        let which = vec![Named::Job(job)];
        Self { which, tenant: None, prefix: None, why: Why::of(why), yes: true, wait: false, timeout: 0 }
    }

    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        let done = self.written(session).await?;
        session.output.print(&done)?;
        if self.wait { self.until_cancelled(session, done.jobs).await } else { Ok(()) }
    }

    /// Writes the cancel into the control document.
    pub(crate) async fn written(&self, session: &Session) -> anyhow::Result<Done> {
        let heard = Heard::read(session).await;
        let (wanted, jobs) = match self.many(session)? {
            Some(many) => known(&heard, many),
            None => self.each(session, &heard).await?,
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
        Ok(Done {
            revision: now.revision,
            cancelled: wanted,
            jobs,
            controller: heard.word(wall_ms()),
            effect: heard.takes_effect(wall_ms()),
        })
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

    /// The named jobs, and the undecided jobs of named objects.
    async fn each(&self, session: &Session, heard: &Heard) -> anyhow::Result<(Vec<Cancels>, Vec<JobKey>)> {
        let mut jobs: Vec<JobKey> = Vec::new();
        for which in &self.which {
            let found = match which {
                Named::Job(job) => vec![job.clone()],
                Named::Object { bucket, key } => {
                    let mut found = named_jobs(session, &Which::of(which.clone()), heard).await?;
                    // What waits in the queue has no record.
                    found.extend(asked_by_upload(session, bucket.as_deref(), key).await);
                    found
                }
            };
            let mut open = false;
            for job in found {
                match session.store.read_terminal_record(&job).await.map_err(unreadable)? {
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

    async fn until_cancelled(&self, session: &Session, jobs: Vec<JobKey>) -> anyhow::Result<()> {
        let limit = Duration::from_secs(self.timeout);
        let all = async {
            for job in jobs {
                let JobRow { state, .. } =
                    until_ended(session, &Which::of(Named::Job(job.clone())), LOOK).await?.row;
                ensure!(state == "cancelled", "job {job} ended otherwise: {state}");
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

/// The jobs of a tenant or prefix that the controller's report lists.
fn known(heard: &Heard, what: Cancels) -> (Vec<Cancels>, Vec<JobKey>) {
    let meant = |job: &&JobStatus| match (&what, job.bucket.as_deref(), job.key.as_deref()) {
        (Cancels::Tenant(tenant), ..) => job.tenant.as_ref() == Some(tenant),
        (Cancels::Prefix { bucket, prefix }, Some(of), Some(key)) => {
            of == bucket && key.starts_with(prefix.as_str())
        }
        _ => false,
    };
    let jobs = heard.report().map(|report| report.jobs.as_slice()).unwrap_or_default();
    let jobs = jobs.iter().filter(meant).map(|job| job.job.clone()).collect();
    (vec![what], jobs)
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
    use crate::cli::output::prints;

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
    #[test]
    fn a_cancel_is_told_with_what_is_known_of_the_controller() {
        let (job, tenant) = (JobKey::of(&["a"]), Cancels::Tenant("uploads/tenants/acme/".into()));
        let done = Done {
            revision: 7,
            cancelled: vec![Cancels::Job(job.clone()), tenant],
            jobs: vec![job],
            controller: "silent",
            effect: "No controller has spoken for 7 min. It takes effect once one runs.".into(),
        };
        prints("cancel", &done);
    }
}
