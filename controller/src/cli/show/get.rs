//! `get`: a job's record.

use std::fmt::Write;

use anyhow::bail;
use clap::Args;
use serde::Serialize;
use transcode_config::contract::{Heartbeat, JobSpec, Outcome, PastAttempt, TaskState, Terminal};

use crate::cli::{
    find::{Named, Record, Which, of_object},
    output::{Show, Text, address, shown, time},
    setup::Session,
};

/// Which jobs to show.
#[derive(Debug, Args)]
#[group(skip)]
pub(in crate::cli) struct Get {
    #[command(flatten)]
    which: Which,
}

/// The records of the jobs that were asked for, the newest first.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Records(Vec<Record>);

impl Show for Records {
    fn people(&self, text: &mut Text) {
        let all = self.0.iter().map(self::text).collect::<Vec<_>>().join("\n");
        for line in all.lines() {
            text.line(line);
        }
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|record| record.job.to_string()).collect()
    }
}

impl Get {
    pub(in crate::cli) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        let wanted = match &self.which.what {
            Named::Job(job) => vec![job.clone()],
            Named::Object { key, .. } => of_object(session, self.which.bucket(), key).await?,
        };
        let mut records = Vec::new();
        for job in &wanted {
            records.extend(Record::read(&session.store, job).await?);
        }
        if records.is_empty() {
            let (bucket, what) = (&session.settings.state.bucket, self.which.words());
            bail!("the state bucket {bucket} has no record of {what}");
        }
        records.sort_by_key(|record| std::cmp::Reverse(since(record)));
        session.output.print(&Records(records))
    }
}

/// The earliest time in the record. For a refused job only the end is known.
fn since(record: &Record) -> u64 {
    let accepted = record.spec.as_ref().map(|spec| spec.accepted_at_ms);
    accepted.or(record.terminal.as_ref().map(|terminal| terminal.written_at_ms)).unwrap_or_default()
}

/// The record for a person: one fact a line.
pub(in crate::cli) fn text(record: &Record) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{:<10} {}", shown(name), shown(value));
    };
    line("job", record.job.as_str());
    match &record.spec {
        Some(spec) => specification(&mut line, spec),
        None => line("source", "not accepted: there is no specification"),
    }
    // The terminal record of a dead job has the ends of all attempts; the newest claim has the ends of all but its own.
    let past = match record.terminal.as_ref().map(|terminal| &terminal.outcome) {
        Some(Outcome::Dead(dead)) => dead.attempts.as_slice(),
        Some(Outcome::Superseded(superseded)) => superseded.attempts.as_slice(),
        Some(Outcome::Cancelled(cancelled)) => cancelled.attempts.as_slice(),
        _ => record.history(),
    };
    for attempt in &record.attempts {
        let claim = &attempt.claim;
        let size = format!("{} CPU units, {} MiB", claim.variant.cpu, claim.variant.memory_mib);
        let claimed = time(claim.created_at_ms);
        let capacity = match claim.variant.capacity {
            transcode_config::contract::Capacity::Fargate => "on demand",
            transcode_config::contract::Capacity::FargateSpot => "Spot",
        };
        line("attempt", &format!("{} claimed {claimed}, {capacity}, {size}", claim.attempt));
        line("", &claim.task_definition);
        if let Some(heartbeat) = &attempt.heartbeat {
            beat(&mut line, heartbeat);
        }
        if let Some(past) = past.iter().find(|past| past.attempt == claim.attempt) {
            ended(&mut line, past);
        }
    }
    match &record.terminal {
        Some(terminal) => decided(&mut line, terminal),
        None => line("terminal record", "none: the job is not decided"),
    }
    if let Some(live) = record.superseded_by() {
        let at = time(live.published_at_ms);
        line(
            "superseded",
            &format!("by job {}, published {at}; this result stays in its own folder", live.job),
        );
    }
    text
}

fn specification(line: &mut impl FnMut(&str, &str), spec: &JobSpec) {
    let source = &spec.source;
    let version = source.version_id.as_ref().map(|version| format!(" version {version}"));
    line("source", &(address(&source.bucket, &source.key) + &version.unwrap_or_default()));
    line("output", &address(&spec.output.bucket, &spec.output.prefix));
    line("profile", &format!("{}, {} renditions at most", spec.profile.name, spec.profile.rungs.len()));
    let accepted = time(spec.accepted_at_ms);
    line("accepted", &format!("{accepted}, generation {}", spec.generation));
}

fn beat(line: &mut impl FnMut(&str, &str), heartbeat: &Heartbeat) {
    let state = match &heartbeat.state {
        TaskState::Working => "working".to_owned(),
        TaskState::Finished => "finished".to_owned(),
        TaskState::Interrupted => "interrupted".to_owned(),
        TaskState::Failed { failure } => format!("failed: {failure}"),
    };
    let speed = heartbeat.speed.map(|speed| format!(", {speed:.2}x real time")).unwrap_or_default();
    let (at, doing) = (time(heartbeat.written_at_ms), heartbeat.stage.name());
    line(
        "",
        &format!("heartbeat {} at {at}: {doing}, {:.0} %{speed}, {state}", heartbeat.seq, heartbeat.percent),
    );
    if let Some(arn) = &heartbeat.task_arn {
        line("", arn);
    }
    if let Some(key) = &heartbeat.playable {
        line("", &format!("playable already: {key}"));
    }
}

fn ended(line: &mut impl FnMut(&str, &str), past: &PastAttempt) {
    let budget = match past.budget {
        transcode_config::contract::Budget::Job => "the job",
        transcode_config::contract::Budget::Platform => "the platform",
    };
    line("", &format!("over, charged to {budget}: {}: {}", past.code, past.message));
}

fn decided(line: &mut impl FnMut(&str, &str), terminal: &Terminal) {
    let at = time(terminal.written_at_ms);
    match &terminal.outcome {
        Outcome::Succeeded(won) => {
            let seconds = won.duration_ms / 1000;
            line("terminal record", &format!("succeeded {at}, attempt {}", won.attempt));
            line("", &format!("{} files, {} bytes, {seconds} s of video", won.files, won.bytes));
            line("", &address(&won.bucket, &won.folder));
            for entry in &won.entry_points {
                line("", &address(&won.bucket, &entry.to));
            }
        }
        Outcome::Superseded(superseded) => {
            let by = superseded.by.as_ref().map(|by| format!(" by job {by}")).unwrap_or_default();
            line("terminal record", &format!("superseded {at}{by}: no result, and nobody has to act"));
        }
        Outcome::Cancelled(cancelled) => {
            line("terminal record", &format!("cancelled {at} by {}", cancelled.told.who));
            line("", &format!("reason: {}", cancelled.told.why));
        }
        Outcome::Dead(dead) => {
            line("terminal record", &format!("dead {at}: {}", dead.failure));
            line("", &format!("what to do: {}", dead.failure.code.info().remedy));
            for (name, value) in &dead.failure.evidence {
                line("", &format!("{name}: {value}"));
            }
            for place in [&dead.last_task_arn, &dead.log_link].into_iter().flatten() {
                line("", place);
            }
        }
    }
}
