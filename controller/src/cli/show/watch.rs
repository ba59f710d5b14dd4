//! `watch`: one job until it ends, or all jobs. On a terminal the picture is redrawn; elsewhere each change is a line.

use std::collections::BTreeMap;

use clap::Args;
use transcode_config::contract::JobKey;

use super::{
    change::{Change, row_of},
    list::JobList,
    rhythm::Rhythm,
};
use crate::{
    cli::{
        find::{Heard, JobRow, Named, Record, Which, named_jobs, recent, rows},
        setup::Session,
    },
    runtime::wall_ms,
};

/// Jobs that ended within this time are still shown, in ms.
const SHOWN_AFTER_MS: u64 = 600_000;

/// Jobs that were accepted before this time and that no report mentions are not looked for, in ms.
const LOOKED_BACK_MS: u64 = 86_400_000;

/// What to watch.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Watch {
    /// A job, or the object that it is made of. Default: all jobs.
    #[arg(value_name = "JOB|KEY")]
    what: Option<Named>,
    #[command(flatten)]
    rhythm: Rhythm,
}

impl Watch {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        let which = self.what.clone().map(Which::of);
        let mut seen: BTreeMap<JobKey, JobRow> = BTreeMap::new();
        loop {
            let (now, heard) = (wall_ms(), Heard::read(session).await);
            let jobs = match &which {
                Some(which) => one(session, which, &heard).await?.into_iter().collect(),
                None => watched(session, &heard, now).await?,
            };
            let ended = which.is_some() && jobs.iter().any(JobRow::ended);
            show(session, &heard, jobs, &mut seen, now)?;
            if ended {
                return Ok(());
            }
            tokio::time::sleep(self.rhythm.interval()).await;
        }
    }
}

/// Draws the picture, or prints what is new.
fn show(
    session: &Session,
    heard: &Heard,
    jobs: Vec<JobRow>,
    seen: &mut BTreeMap<JobKey, JobRow>,
    now: u64,
) -> anyhow::Result<()> {
    if session.output.is_screen() {
        return session.output.redraw(&JobList::new(&session.settings.environment, heard, jobs, false, now));
    }
    for row in jobs {
        if seen.get(&row.job) != Some(&row) {
            session.output.print_next(&Change { at_ms: now, row: row.clone() })?;
            seen.insert(row.job.clone(), row);
        }
    }
    Ok(())
}

/// The job that is meant, if anybody knows it.
pub(crate) async fn one(session: &Session, which: &Which, heard: &Heard) -> anyhow::Result<Option<JobRow>> {
    let found = named_jobs(session, which, heard).await?;
    let Some(job) = found.first() else { return Ok(None) };
    let record = Record::read(&session.store, job).await?.unwrap_or_else(|| Record::none(job));
    Ok(row_of(&record, heard))
}

/// The jobs at work, and those that have just ended, the newest first.
pub(crate) async fn watched(session: &Session, heard: &Heard, now: u64) -> anyhow::Result<Vec<JobRow>> {
    let (indexed, _) = recent(session, now.saturating_sub(LOOKED_BACK_MS), |_| false).await?;
    let mut jobs = rows(&indexed, heard);
    jobs.retain(|row| row.ended_at_ms.is_none_or(|at| at + SHOWN_AFTER_MS > now));
    Ok(jobs)
}
