//! `get`: a job's record.

use std::fmt::Write;

use anyhow::bail;
use clap::Args;
use serde::Serialize;
use serde_json::Value;
use transcode_config::contract::{Heartbeat, JobSpec, JobStatus, Outcome, PastAttempt, TaskState, Terminal};

use crate::{
    cli::{
        find::{Architectures, Heard, Moment, Named, Record, Which, named_jobs, result_of, story},
        output::{Show, Text, address, shown, span, time},
        setup::Session,
    },
    observe::http::Unwritten,
    runtime::wall_ms,
};

/// Which jobs to show.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Get {
    #[command(flatten)]
    which: Which,
}

/// A job with everything that is known of it.
#[derive(Debug, Serialize)]
pub(crate) struct Known {
    #[serde(flatten)]
    record: Record,
    /// Why nothing newer is known: no controller speaks, or it cannot write.
    #[serde(skip_serializing_if = "Option::is_none")]
    controller: Option<String>,
    /// What the controller last reported of it.
    report: Option<JobStatus>,
    /// What happened, the oldest first.
    story: Vec<Moment>,
    /// `result` of its `metadata.json`.
    result: Option<Value>,
    /// About what its tasks cost.
    cost_usd: Option<f64>,
}

/// The jobs that were asked for, the newest first.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Jobs(Vec<Known>);

impl Jobs {
    /// The record of the newest one.
    pub(crate) fn newest(&self) -> Option<&Record> {
        self.0.first().map(|known| &known.record)
    }
}

impl Show for Jobs {
    fn people(&self, text: &mut Text) {
        for (at, known) in self.0.iter().enumerate() {
            if at > 0 {
                text.end();
            }
            let warned = known.controller.as_ref().map(|why| format!("controller {}", shown(why)));
            let lines = self::text(&known.record);
            for line in warned.iter().map(String::as_str).chain(lines.lines()).chain(more(known).lines()) {
                text.line(line);
            }
        }
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|known| known.record.job.to_string()).collect()
    }
}

impl Get {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        let Jobs(jobs) = known_jobs(session, &self.which).await?;
        if jobs.is_empty() {
            let (bucket, what) = (&session.settings.state.bucket, self.which.words());
            let one = if matches!(self.which.named(), Named::Object { .. }) { "a " } else { "" };
            let heard = Heard::read(session).await;
            let why = unheard(session, &heard).await.map(|why| format!("{why} So ")).unwrap_or_default();
            bail!("{why}the state bucket {bucket} has no record of {one}{what}; `explain` says why");
        }
        session.output.print(&Jobs(jobs))
    }
}

/// The jobs that are meant with all that is known of them, the newest first; none if nobody knows one.
pub(crate) async fn known_jobs(session: &Session, which: &Which) -> anyhow::Result<Jobs> {
    let heard = Heard::read(session).await;
    let (mut jobs, mut architectures) = (Vec::new(), Architectures::default());
    for job in named_jobs(session, which, &heard).await? {
        let record = Record::read(&session.store, &job).await?;
        if record.is_none() && heard.job(&job).is_none() {
            continue;
        }
        let record = record.unwrap_or_else(|| Record::none(&job));
        let report = heard.of_record(&record).cloned();
        let open = record.terminal.is_none() && (report.is_none() || heard.silence(wall_ms()).is_some());
        jobs.push(Known {
            story: story(&record, report.as_ref()),
            result: result_of(session, &record).await,
            cost_usd: architectures.cost(session, &record).await,
            controller: if open { unheard(session, &heard).await } else { None },
            report,
            record,
        });
    }
    jobs.sort_by_key(|known| std::cmp::Reverse(since(known)));
    Ok(Jobs(jobs))
}

/// Why the report says nothing new: the controller cannot write it, or none speaks.
async fn unheard(session: &Session, heard: &Heard) -> Option<String> {
    match session.evidence().await.unwritten() {
        Some(Unwritten { since_ms, why }) => {
            Some(format!("A controller runs, and cannot write its report since {}: {why}.", time(since_ms)))
        }
        None => heard.silence(wall_ms()),
    }
}

/// What is not in the record: report, phases, result, cost.
fn more(known: &Known) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<10} {}", shown(value));
    };
    if let Some(report) = &known.report {
        if let (None, Some(bucket), Some(key)) = (&known.record.spec, &report.bucket, &report.key) {
            line("asked for", &address(bucket, key));
        }
        let why = report.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let until = report.until_ms.map(|until| format!(", until {}", time(until))).unwrap_or_default();
        line("state", &format!("{}{why}{until}", report.state.name()));
    }
    for (name, ms) in phases(known) {
        line(if name == "waited" { "phases" } else { "" }, &format!("{name} {}", span(ms)));
    }
    let names = |list: &str| {
        let all =
            known.result.as_ref().and_then(|result| result[list].as_array()).cloned().unwrap_or_default();
        all.iter().filter_map(|one| one["name"].as_str().map(str::to_owned)).collect::<Vec<_>>().join(", ")
    };
    if known.result.is_some() {
        line("renditions", &format!("video {}; audio {}", names("video"), names("audio")));
    }
    let result = known.result.as_ref();
    for warning in result.and_then(|result| result["warnings"].as_array()).into_iter().flatten() {
        line("warning", warning.as_str().unwrap_or_default());
    }
    if let Some(score) = result.and_then(|result| result.get("score")) {
        line("score", &score.to_string());
    }
    if let Some(usd) = known.cost_usd {
        line("cost", &format!("about {usd:.4} USD for its tasks"));
    }
    text
}

/// How long the job waited for its newest claim, how long its task worked, and how long publishing took.
fn phases(known: &Known) -> Vec<(&'static str, u64)> {
    let record = &known.record;
    let accepted = record.spec.as_ref().map(|spec| spec.accepted_at_ms);
    let claimed = record.newest().map(|newest| newest.claim.created_at_ms);
    let decided = record.terminal.as_ref().map(|terminal| terminal.written_at_ms);
    let live = record.live.as_ref().filter(|live| live.job == record.job).map(|live| live.published_at_ms);
    let steps =
        [("waited", accepted, claimed), ("worked", claimed, decided), ("published after", decided, live)];
    let lasted = |(name, from, to): (_, Option<u64>, Option<u64>)| Some((name, to?.saturating_sub(from?)));
    steps.into_iter().filter_map(lasted).collect()
}

/// The earliest time that is known. For a refused job only the end is.
fn since(known: &Known) -> u64 {
    let accepted = known.record.spec.as_ref().map(|spec| spec.accepted_at_ms);
    let ended = known.record.terminal.as_ref().map(|terminal| terminal.written_at_ms);
    accepted.or(ended).or(known.report.as_ref().map(|report| report.known_at_ms)).unwrap_or_default()
}

/// The record for a person: one fact a line.
pub(crate) fn text(record: &Record) -> String {
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
    let past = record.ends();
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
