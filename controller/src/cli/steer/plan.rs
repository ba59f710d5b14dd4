//! `plan`: what the controller would do next, from what AWS keeps. It receives no message and changes nothing.

use std::collections::BTreeMap;

use anyhow::bail;
use clap::Args;
use serde::Serialize;
use transcode_config::{
    Settings,
    contract::{Control, JobKey, JobState, JobStatus, StatusReport, Told, status_key},
};
use transcode_core::effects::ports::{Depth, Queue};

use super::forecast::{Forecast, forecast};
use crate::{
    aws::Sqs,
    cli::{
        find::{Named, SHORT_KEY, SILENT_MS},
        output::{Cut, Show, Table, Text, Tint, address, span, time},
        setup::{Session, current, unreadable},
    },
    runtime::wall_ms,
};

/// Most jobs in the table.
const SHOWN: usize = 50;

/// What to plan.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Plan {
    /// What would be made of a job or an object: ladder, size of the task, cost. Without: what would be done next.
    #[arg(value_name = "JOB|KEY")]
    which: Option<Named>,
    /// With an object: the profile that it would be made with.
    #[arg(long, requires = "which")]
    profile: Option<String>,
}

impl Plan {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        if let Some(which) = &self.which {
            let made: Forecast = forecast(session, which, self.profile.as_deref()).await?;
            return session.output.print(&made);
        }
        session.output.print(&planned(session).await?)
    }
}

/// What the controller would do next.
pub(crate) async fn planned(session: &Session) -> anyhow::Result<Next> {
    let control = current(session).await?;
    let key = status_key(&session.settings.environment);
    let report: Option<StatusReport> = session.store.read(&key).await.map_err(unreadable)?;
    let sqs = Sqs::new(session.clients.sqs.clone(), &session.settings);
    let mut queues = BTreeMap::new();
    for name in session.settings.queues.keys() {
        queues.insert(name.clone(), Waiting::from(sqs.depth(name).await?));
    }
    if queues.is_empty() {
        bail!("the settings have no queue");
    }
    Ok(Next::of(&session.settings, &control, report, queues, wall_ms()))
}

/// Counts of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Waiting {
    visible: u64,
    in_flight: u64,
    delayed: u64,
}

impl From<Depth> for Waiting {
    fn from(Depth { visible, in_flight, delayed }: Depth) -> Self {
        Self { visible, in_flight, delayed }
    }
}

/// What is next for a job.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Step {
    job: JobKey,
    bucket: Option<String>,
    key: Option<String>,
    /// One word: `launch`, `wait`, `cancel`, `go on`, `settle`.
    next: &'static str,
    why: Option<String>,
}

/// The result.
#[derive(Debug, Serialize)]
pub(crate) struct Next {
    environment: String,
    /// Age of the controller's report (ms); none if no controller has written one.
    report_age_ms: Option<u64>,
    held: Vec<String>,
    queues: BTreeMap<String, Waiting>,
    tasks_in_flight: u64,
    max_tasks: u64,
    /// Tasks that would be launched now.
    launches: u64,
    jobs: Vec<Step>,
}

impl Next {
    fn of(
        settings: &Settings,
        control: &Control,
        report: Option<StatusReport>,
        queues: BTreeMap<String, Waiting>,
        now_ms: u64,
    ) -> Self {
        let report_age_ms = report.as_ref().map(|report| report.age_ms(now_ms));
        let report = report.unwrap_or_default();
        let held = held(settings, control, &report);
        let max_tasks = u64::from(settings.launch.max_tasks);
        let whole = !held.is_empty();
        let mut free = if whole { 0 } else { max_tasks.saturating_sub(report.tasks_in_flight) };
        let mut launches = 0;
        let mut jobs = Vec::new();
        for job in &report.jobs {
            let paused = paused(control, job);
            let (next, why) = match job.state {
                _ if is_cancelled(control, job) => ("cancel", None),
                JobState::Settling => ("settle", job.step.clone()),
                JobState::Launching | JobState::Running => ("go on", job.why.clone()),
                JobState::Queued if paused.is_some() => ("wait", paused),
                // A reason that passes with a slot; any other is the controller's own.
                JobState::Queued if free > 0 => {
                    free -= 1;
                    launches += 1;
                    ("launch", None)
                }
                JobState::Queued => ("wait", held.first().cloned().or_else(|| job.why.clone())),
            };
            let (bucket, key) = (job.bucket.clone(), job.key.clone());
            jobs.push(Step { job: job.job.clone(), bucket, key, next, why });
        }
        // What nobody has received yet.
        let open = queues.iter().filter(|(name, _)| !control.paused_queues.contains_key(*name));
        let visible: u64 = open.map(|(_, counts)| counts.visible).sum();
        Self {
            environment: settings.environment.clone(),
            report_age_ms,
            held,
            launches: launches + visible.min(free),
            queues,
            tasks_in_flight: report.tasks_in_flight,
            max_tasks,
            jobs,
        }
    }
}

/// Why nothing at all is launched.
fn held(settings: &Settings, control: &Control, report: &StatusReport) -> Vec<String> {
    let by = |what: &str, Told { who, why, at_ms }: &Told| {
        format!("{what} since {} by {who} because {why}", time(*at_ms))
    };
    let mut held: Vec<String> = Vec::new();
    held.extend(control.drained.as_ref().map(|told| by("drained", told)));
    held.extend(control.paused.as_ref().map(|told| by("paused", told)));
    if settings.launch.paused {
        held.push("paused by the setting launch.paused".to_owned());
    }
    let pauses = [("launches pause", &report.launches_pause), ("receiving stops", &report.receiving_pause)];
    let pauses = pauses.into_iter().filter_map(|(what, pause)| Some((what, pause.as_ref()?)));
    held.extend(pauses.map(|(what, pause)| format!("{what} since {}: {}", time(pause.since_ms), pause.why)));
    held.extend(report.breaker.as_ref().map(|breaker| format!("one job at a time: {}", breaker.why)));
    held
}

/// Why a job alone is held back.
fn paused(control: &Control, job: &JobStatus) -> Option<String> {
    let (tenant, told) = control.paused_tenants.get_key_value(job.tenant.as_ref()?)?;
    Some(format!("tenant {tenant} is paused because {}", told.why))
}

fn is_cancelled(control: &Control, job: &JobStatus) -> bool {
    use transcode_config::contract::Cancels;
    control.cancels.iter().any(|cancel| match &cancel.what {
        Cancels::Job(wanted) => *wanted == job.job,
        // Of many, what was asked for later is not meant: only the controller knows.
        Cancels::Tenant(_) | Cancels::Prefix { .. } => false,
    })
}

impl Show for Next {
    fn people(&self, text: &mut Text) {
        match self.report_age_ms {
            None => text.line("no controller has spoken yet"),
            Some(age) if age > SILENT_MS => text.line(&format!("no controller has spoken for {}", span(age))),
            Some(age) => text.line(&format!("the controller spoke {} ago", span(age))),
        };
        for (name, Waiting { visible, in_flight, delayed }) in &self.queues {
            text.line(&format!("queue {name}: {visible} wait, {in_flight} held, {delayed} delayed"));
        }
        text.line(&format!("{} of {} tasks run", self.tasks_in_flight, self.max_tasks));
        for why in &self.held {
            text.line(why);
        }
        text.line(&format!("{} tasks would be launched now", self.launches));
        if self.jobs.is_empty() {
            return;
        }
        let table = Table::of(&["JOB", "OBJECT", "NEXT", "WHY"]);
        let table = table.cut("WHY", Cut::End(30)).cut("JOB", Cut::Key(SHORT_KEY));
        let mut table = table.cut("OBJECT", Cut::Middle(16)).cut("WHY", Cut::End(20));
        for step in self.jobs.iter().take(SHOWN) {
            let object = step.bucket.as_deref().zip(step.key.as_deref());
            let object = object.map(|(bucket, key)| address(bucket, key)).unwrap_or_default();
            let cells =
                [step.job.to_string(), object, step.next.to_owned(), step.why.clone().unwrap_or_default()];
            table.row(cells.map(|cell| (Tint::Plain, cell)));
        }
        table.write(text);
        if self.jobs.len() > SHOWN {
            text.line(&format!("and {} more jobs", self.jobs.len() - SHOWN));
        }
    }

    fn names(&self) -> Vec<String> {
        self.jobs.iter().map(|step| step.job.to_string()).collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use figment::providers::Env;
    use serde_json::json;

    use super::*;
    use crate::cli::output::prints;

    pub(in crate::cli::steer) fn settings() -> Settings {
        let text = r#"
            environment = "prod"
            queues.default = { url = "q", dead_letter_url = "d" }
            sources.uploads.bucket = "uploads"
            state.bucket = "state"
            output.bucket = "videos"
            launch.max_tasks = 3
            cluster = { name = "c", task_definition = "t", subnets = ["s"] }
            "#;
        transcode_config::load::from_text(text, Env::prefixed("NOT_SET_")).unwrap()
    }

    fn job(name: &str, state: &str, why: Option<&str>) -> JobStatus {
        let key = format!("films/{name} as its director wanted it.mp4");
        let job = json!({"job": JobKey::of(&[name]), "bucket": "uploads", "key": key, "state": state, "known_at_ms": 1,
            "why": why});
        serde_json::from_value(job).unwrap()
    }

    #[test]
    fn the_next_steps_are_what_fits_the_free_slots_unless_somebody_holds_them() {
        let now = 1_796_029_920_000;
        let jobs = vec![
            job("one", "running", None),
            job("two", "queued", Some("waiting for a free slot of the whole environment")),
            job("three", "settling", None),
        ];
        let report =
            StatusReport { written_at_ms: now - 5_000, tasks_in_flight: 1, jobs, ..StatusReport::default() };
        let queues = || [("default".to_owned(), Waiting { visible: 5, in_flight: 2, delayed: 0 })].into();
        let free = Next::of(&settings(), &Control::default(), Some(report.clone()), queues(), now);
        assert_eq!(free.launches, 2, "one that is held, and one of five that wait");
        prints("plan", &free);
        let told = Told { who: "arn:anna".into(), why: "a fire drill".into(), at_ms: now - 60_000 };
        let paused = Control { paused: Some(told), ..Control::default() };
        let held = Next::of(&settings(), &paused, Some(report), queues(), now);
        assert_eq!(held.launches, 0);
        prints("plan-paused", &held);
    }
}
