//! `wait`: until a job has ended. The exit status says how.

use std::{process::ExitCode, time::Duration};

use clap::Args;

use super::{change::Change, rhythm::Rhythm, watch::one};
use crate::{
    cli::{
        find::{Heard, JobRow, Which},
        output::{complain, milliseconds, span},
        setup::Session,
    },
    runtime::wall_ms,
};

/// The job is dead.
const EXIT_DEAD: u8 = 4;
/// A newer upload of the same object is live in its place.
const EXIT_SUPERSEDED: u8 = 5;
/// Somebody cancelled it.
const EXIT_CANCELLED: u8 = 6;
/// It had not ended when the time was over.
const EXIT_TIME_OVER: u8 = 7;

/// What to wait for, and for how long.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Wait {
    #[command(flatten)]
    which: Which,
    /// Longest time, such as `90m` or `2d`. A job that nobody knows yet is waited for, too.
    #[arg(long, value_name = "TIME", default_value = "1d", value_parser = milliseconds)]
    timeout: u64,
    #[command(flatten)]
    rhythm: Rhythm,
}

impl Wait {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<ExitCode> {
        let limit = Duration::from_millis(self.timeout);
        let ended = until_ended(session, &self.which, self.rhythm.interval());
        let Ok(ended) = tokio::time::timeout(limit, ended).await else {
            let (what, time) = (self.which.words(), span(self.timeout));
            complain(&format!("{what} has not ended within {time}; `explain` says what it waits for"));
            return Ok(ExitCode::from(EXIT_TIME_OVER));
        };
        let ended = ended?;
        session.output.print(&ended)?;
        Ok(exit_status(&ended.row))
    }
}

/// The newest of the jobs that are meant, once it has ended: decided, and published if it succeeded. It may not be known
/// yet.
pub(crate) async fn until_ended(
    session: &Session,
    which: &Which,
    interval: Duration,
) -> anyhow::Result<Change> {
    loop {
        let heard = Heard::read(session).await;
        if let Some(row) = one(session, which, &heard).await?.filter(JobRow::ended) {
            return Ok(Change { at_ms: wall_ms(), row });
        }
        tokio::time::sleep(interval).await;
    }
}

/// The exit status that tells how a job ended.
pub(crate) fn exit_status(ended: &JobRow) -> ExitCode {
    match ended.state {
        "succeeded" => ExitCode::SUCCESS,
        "superseded" => ExitCode::from(EXIT_SUPERSEDED),
        "cancelled" => ExitCode::from(EXIT_CANCELLED),
        _ => ExitCode::from(EXIT_DEAD),
    }
}
