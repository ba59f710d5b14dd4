//! Waits until jobs have ended.

use std::time::Duration;

use anyhow::{bail, ensure};
use transcode_config::contract::{JobKey, Outcome};
use transcode_core::effects::ports::Store;

use crate::cli::{
    output::complain,
    setup::{Session, unreadable},
};

/// Time between two looks at a job.
const LOOK: Duration = Duration::from_secs(2);

/// Longest wait: a message lives for four days in its queue.
const LONGEST: Duration = Duration::from_hours(4 * 24);

/// Returns when all jobs are decided. Each end is told on standard error; an error if one has no result.
pub(super) async fn until_ended(session: &Session, jobs: &[JobKey]) -> anyhow::Result<()> {
    let all = async {
        let mut without = 0;
        for job in jobs {
            let outcome = loop {
                match session.store.inspect(job).await.map_err(unreadable)?.terminal {
                    Some(terminal) => break terminal.outcome.clone(),
                    None => tokio::time::sleep(LOOK).await,
                }
            };
            let (end, ok) = match outcome {
                Outcome::Succeeded(_) => ("succeeded".to_owned(), true),
                Outcome::Dead(dead) => (format!("is dead: {}", dead.failure), false),
                Outcome::Superseded(_) => ("was superseded by a newer upload".to_owned(), false),
                Outcome::Cancelled(cancelled) => (format!("was cancelled by {}", cancelled.told.who), false),
            };
            complain(&format!("job {job} {end}"));
            without += usize::from(!ok);
        }
        ensure!(without == 0, "{without} of {} jobs ended without a result", jobs.len());
        Ok(())
    };
    match tokio::time::timeout(LONGEST, all).await {
        Ok(done) => done,
        Err(_) => bail!("the jobs have not ended within {} h", LONGEST.as_secs() / 3_600),
    }
}
