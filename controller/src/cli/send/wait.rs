//! Waits until the jobs that were asked for have ended.

use std::{process::ExitCode, time::Duration};

use anyhow::{bail, ensure};
use transcode_config::contract::JobKey;

use crate::cli::{
    find::{JobRow, Named, Which},
    output::complain,
    setup::Session,
    show::{exit_status, until_ended},
};

/// Time between two looks at a job.
const LOOK: Duration = Duration::from_secs(2);

/// Longest wait: a message lives for four days in its queue.
const LONGEST: Duration = Duration::from_hours(4 * 24);

/// Returns when all jobs have ended. Each end is told on standard error. The exit status is that of `wait` for one job;
/// of several jobs an error if one has no result.
pub(super) async fn all_ended(session: &Session, jobs: &[JobKey]) -> anyhow::Result<ExitCode> {
    let all = async {
        let mut ends = Vec::new();
        for job in jobs {
            let ended = until_ended(session, &Which::of(Named::Job(job.clone())), LOOK).await?.row;
            complain(&format!("job {job} {}", words(&ended)));
            ends.push(ended);
        }
        anyhow::Ok(ends)
    };
    let Ok(ends) = tokio::time::timeout(LONGEST, all).await else {
        bail!("the jobs have not ended within {} h", LONGEST.as_secs() / 3_600);
    };
    let ends = ends?;
    if let [one] = &ends[..] {
        return Ok(exit_status(one));
    }
    let without = ends.iter().filter(|ended| ended.state != "succeeded").count();
    ensure!(without == 0, "{without} of {} jobs ended without a result", jobs.len());
    Ok(ExitCode::SUCCESS)
}

fn words(ended: &JobRow) -> String {
    match (ended.state, &ended.code) {
        ("succeeded", _) => "succeeded".to_owned(),
        ("superseded", _) => "was superseded by a newer upload".to_owned(),
        ("dead", Some(code)) => format!("is dead: {code}; `explain` says why"),
        (state, _) => format!("is {state}"),
    }
}
