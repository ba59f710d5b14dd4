//! `events`: what happened to a job, in order.

use clap::Args;
use serde::Serialize;
use transcode_config::contract::{EventKind, JobKey, Outcome, Terminal, outbox_key_of, outcome_id};

use crate::{
    cli::{
        find::{Heard, Moment, Record, Which, named_jobs, story},
        output::{Show, Table, Text, Tint, time},
        setup::Session,
    },
    runtime::wall_ms,
};

/// Which job.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Events {
    #[command(flatten)]
    which: Which,
}

/// A job's story. Stages between two heartbeats are in the task's log: `logs`.
#[derive(Debug, Serialize)]
pub(crate) struct Story {
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
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        session.output.print(&happened(session, &self.which).await?)
    }
}

/// What happened to the newest of the jobs that are meant.
pub(crate) async fn happened(session: &Session, which: &Which) -> anyhow::Result<Story> {
    let heard = Heard::read(session).await;
    let job = which.newest(&named_jobs(session, which, &heard).await?)?;
    let record = Record::read(&session.store, &job).await?.unwrap_or_else(|| Record::none(&job));
    let mut events = story(&record, heard.job(&job));
    events.extend(told(session, &record, &heard).await);
    events.sort_by_key(|moment| moment.at_ms);
    anyhow::ensure!(!events.is_empty(), "nothing is known of {}; `explain` says why", which.words());
    Ok(Story { job, events })
}

/// What became of the event of the job's end (S18). None if there is no bus, or no end.
async fn told(session: &Session, record: &Record, heard: &Heard) -> Option<Moment> {
    let bus = &session.settings.events.bus;
    let terminal = record.terminal.as_ref().filter(|_| !bus.is_empty())?;
    let generation = record.spec.as_ref().map_or(0, |spec| spec.generation);
    let id = outcome_id(&record.job, generation, kind(record, terminal));
    let key = outbox_key_of(&session.settings.environment, terminal.written_at_ms, &id);
    let list = session.clients.s3.read.list_objects_v2().bucket(&session.settings.state.bucket);
    let outbox = list.prefix(&key).max_keys(1).send().await.ok().map(|page| !page.contents().is_empty());
    let held = heard.job(&record.job).is_some() || record.is_unpublished(&terminal.outcome);
    let listed = heard.report().is_some_and(|report| report.left_off == 0);
    let became = match outbox {
        None => "was sent, or will be: the outbox cannot be listed",
        Some(true) => "waits in the outbox: the bus did not take it in time",
        Some(false) if held => "is sent before the job's message is deleted",
        Some(false) if listed && heard.word(wall_ms()) == "live" => "was sent",
        Some(false) => "was sent, unless the job's message is still in its queue: no controller says",
    };
    let detail = format!("{id} {became} (bus: {bus})");
    Some(Moment { at_ms: terminal.written_at_ms, what: "event", attempt: None, detail })
}

/// Which event tells the end of a job.
fn kind(record: &Record, terminal: &Terminal) -> EventKind {
    match &terminal.outcome {
        Outcome::Succeeded(_) if record.superseded_by().is_none() => EventKind::Succeeded,
        Outcome::Succeeded(_) | Outcome::Superseded(_) => EventKind::Superseded,
        Outcome::Dead(_) => EventKind::Dead,
        Outcome::Cancelled(_) => EventKind::Cancelled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::prints;

    #[test]
    fn events_are_told_in_order() {
        let moment =
            |at_ms, what, attempt, detail: &str| Moment { at_ms, what, attempt, detail: detail.into() };
        let events = vec![
            moment(1_796_029_920_000, "accepted", None, "s3://uploads/films/a.mp4, profile standard"),
            moment(1_796_029_921_000, "claimed", Some(1), "arn:task-definition:3, to start before 09:17"),
            moment(1_796_029_990_000, "dead", None, "NOT_MEDIA: no pictures in it"),
        ];
        prints("events", &Story { job: JobKey::of(&["a"]), events });
    }
}
