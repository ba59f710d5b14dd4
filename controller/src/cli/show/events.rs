//! `events`: what happened to a job, in order.

use clap::Args;
use serde::Serialize;
use transcode_config::contract::JobKey;

use crate::cli::{
    find::{Heard, Moment, Record, Which, named_jobs, story},
    output::{Show, Table, Text, Tint, time},
    setup::Session,
};

/// Which job.
#[derive(Debug, Args)]
#[group(skip)]
pub(in crate::cli) struct Events {
    #[command(flatten)]
    which: Which,
}

/// A job's story. Stages between two heartbeats are in the task's log: `logs`.
#[derive(Debug, Serialize)]
struct Story {
    job: JobKey,
    events: Vec<Moment>,
}

impl Show for Story {
    fn people(&self, text: &mut Text) {
        text.span(Tint::Faint, "job ").line(self.job.as_str());
        let mut table = Table::of(&["TIME", "EVENT", "ATTEMPT", "DETAIL"]);
        for Moment { at_ms, what, attempt, detail } in &self.events {
            let tint = match *what {
                "succeeded" | "published" => Tint::Good,
                "dead" => Tint::Bad,
                _ => Tint::Plain,
            };
            let attempt = attempt.map(|attempt| attempt.to_string()).unwrap_or_default();
            let plain = |words: String| (Tint::Plain, words);
            table.row([
                plain(time(*at_ms)),
                (tint, (*what).to_owned()),
                plain(attempt),
                plain(detail.clone()),
            ]);
        }
        table.write(text);
    }

    fn names(&self) -> Vec<String> {
        vec![self.job.to_string()]
    }
}

impl Events {
    pub(in crate::cli) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        let heard = Heard::read(session).await;
        let job = self.which.newest(&named_jobs(session, &self.which, &heard).await?)?;
        let record = Record::read(&session.store, &job).await?.unwrap_or_else(|| Record::none(&job));
        let events = story(&record, heard.job(&job));
        anyhow::ensure!(!events.is_empty(), "nothing is known of {}; `explain` says why", self.which.words());
        session.output.print(&Story { job, events })
    }
}
