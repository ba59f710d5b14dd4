//! `list`: the newest jobs with their states, from the index and the controller's report. Three calls for 1,000 jobs.

use clap::Args;
use serde::Serialize;
use transcode_config::contract::JOB_STATES;

use super::rhythm::Rhythm;
use crate::{
    cli::{
        find::{Heard, Indexed, JobRow, SHORT_KEY, recent, rows, tenant},
        output::{Cut, Show, Table, Text, Tint, milliseconds, span},
        setup::Session,
    },
    runtime::wall_ms,
};

/// Which jobs are meant.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub(crate) struct Choice {
    /// Only jobs in this state; may be given several times.
    #[arg(long, value_name = "STATE", value_parser = clap::builder::PossibleValuesParser::new(JOB_STATES), value_delimiter = ',')]
    pub(crate) state: Vec<String>,
    /// Only jobs of this tenant: `acme`, or as in the logs, bucket and prefix: `uploads/tenants/acme/`.
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// Only jobs whose object key contains this text, or whose own key does.
    #[arg(long, value_name = "TEXT")]
    pub(crate) contains: Option<String>,
    /// Only jobs that were accepted within this time, such as `90m`, `12h` or `7d`.
    #[arg(long, value_name = "TIME", value_parser = milliseconds)]
    pub(crate) since: Option<u64>,
    /// Most jobs.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
}

/// What to list, and how often.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct List {
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    rhythm: Rhythm,
    /// List again and again.
    #[arg(long)]
    watch: bool,
}

/// A list of jobs, and what the controller said of the whole.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct JobList {
    environment: String,
    /// `live`, `draining`, `ended`, `silent`, `never` or `unknown`.
    controller: &'static str,
    /// When the controller reported (ms since 1970).
    reported_at_ms: Option<u64>,
    tasks_in_flight: Option<u64>,
    max_tasks: Option<u64>,
    pub(crate) jobs: Vec<JobRow>,
    /// There are older ones.
    more: bool,
    #[serde(skip)]
    pub(crate) head: Vec<(Tint, String)>,
    #[serde(skip)]
    now_ms: u64,
}

impl List {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        if !self.watch {
            return session.output.print(&job_list(session, &self.choice).await?);
        }
        loop {
            let list = job_list(session, &self.choice).await?;
            session.output.redraw(&list)?;
            tokio::time::sleep(self.rhythm.interval()).await;
        }
    }
}

/// The chosen jobs as of now, the newest first. Three calls for 1,000 jobs.
pub(crate) async fn job_list(session: &Session, choice: &Choice) -> anyhow::Result<JobList> {
    let now = wall_ms();
    let heard = Heard::read(session).await;
    let limit = choice.limit as usize;
    let since = choice.since.map_or(0, |since| now.saturating_sub(since));
    // A tenant of the settings by any of its names; another as it is written, which is bucket and prefix.
    let named = |wanted: &String| tenant::meant(&session.settings, wanted).map(|place| place.name());
    let tenant = choice.tenant.as_ref().map(|wanted| named(wanted).unwrap_or_else(|_| wanted.clone()));
    let fits = |row: &JobRow| choice.fits(row, tenant.as_deref(), since);
    // Live jobs of the report are joined in, so that what is counted here is a lower bound.
    let enough = |indexed: &[Indexed]| rows(indexed, &heard).iter().filter(|row| fits(row)).count() >= limit;
    let (indexed, more) = recent(session, since, enough).await?;
    let mut jobs = rows(&indexed, &heard);
    jobs.retain(fits);
    let more = more || jobs.len() > limit;
    jobs.truncate(limit);
    Ok(JobList::new(&session.settings.environment, &heard, jobs, more, now))
}

impl Choice {
    fn fits(&self, row: &JobRow, tenant: Option<&str>, since: u64) -> bool {
        (self.state.is_empty() || self.state.iter().any(|state| state == row.state))
            && self.contains.as_ref().is_none_or(|text| row.contains(text))
            && tenant.is_none_or(|tenant| row.is_of(tenant))
            && row.since_ms >= since
    }
}

impl JobList {
    pub(crate) fn new(environment: &str, heard: &Heard, jobs: Vec<JobRow>, more: bool, now_ms: u64) -> Self {
        let report = heard.report();
        Self {
            environment: environment.to_owned(),
            controller: heard.word(now_ms),
            reported_at_ms: report.map(|report| report.written_at_ms),
            tasks_in_flight: report.map(|report| report.tasks_in_flight),
            max_tasks: report.map(|report| report.max_tasks),
            jobs,
            more,
            head: head(environment, heard, now_ms),
            now_ms,
        }
    }
}

/// The lines above the jobs: who speaks, how old that is, and what holds everything up.
fn head(environment: &str, heard: &Heard, now_ms: u64) -> Vec<(Tint, String)> {
    let mut lines = Vec::new();
    if let Some(report) = heard.report() {
        let mut line = format!(
            "{environment}: reported {} ago, {} of {} tasks",
            span(report.age_ms(now_ms)),
            report.tasks_in_flight,
            report.max_tasks
        );
        for queue in heard.queues() {
            line += "; ";
            line += &queue;
        }
        lines.push((Tint::Plain, line));
    }
    lines.extend(heard.silence(now_ms).map(|silence| (Tint::Bad, silence)));
    lines.extend(heard.pauses(now_ms).into_iter().map(|pause| (Tint::Busy, pause)));
    lines
}

impl Show for JobList {
    fn people(&self, text: &mut Text) {
        for (tint, line) in &self.head {
            text.span(*tint, line).end();
        }
        if self.jobs.is_empty() {
            text.line("No jobs.");
            return;
        }
        let table = Table::of(&["JOB", "STATE", "AGE", "ATTEMPT", "KEY", "PROGRESS"]);
        let table = table.cut("PROGRESS", Cut::End(40)).cut("JOB", Cut::Key(SHORT_KEY));
        let mut table = table.cut("KEY", Cut::Middle(16)).cut("PROGRESS", Cut::End(20));
        for row in &self.jobs {
            let age = span(self.now_ms.saturating_sub(row.since_ms));
            let attempt = row.attempt.map(|attempt| attempt.to_string()).unwrap_or_default();
            let key = row.key.clone().unwrap_or_default() + if row.key_cut { "…" } else { "" };
            let plain = |words: String| (Tint::Plain, words);
            table.row([
                plain(row.job.to_string()),
                (tint(row.state), row.state.to_owned()),
                plain(age),
                plain(attempt),
                plain(key),
                plain(progress(row)),
            ]);
        }
        table.write(text);
        if self.more {
            text.span(Tint::Faint, "There are older ones: --limit, --since.").end();
        }
    }

    fn names(&self) -> Vec<String> {
        self.jobs.iter().map(|row| row.job.to_string()).collect()
    }
}

/// The colour of a state.
pub(crate) fn tint(state: &str) -> Tint {
    match state {
        "succeeded" => Tint::Good,
        "dead" => Tint::Bad,
        "launching" | "running" | "settling" => Tint::Busy,
        "superseded" | "cancelled" => Tint::Faint,
        _ => Tint::Plain,
    }
}

/// How far a job is, why it waits, or why it is dead, in a few words.
pub(crate) fn progress(row: &JobRow) -> String {
    if let Some(code) = &row.code {
        return code.clone();
    }
    if let Some(end) = row.ended_at_ms {
        return format!("took {}", span(end.saturating_sub(row.since_ms)));
    }
    if let (Some(stage), Some(percent)) = (row.stage, row.percent) {
        let speed = row.speed.map(|speed| format!(", {speed:.2}x")).unwrap_or_default();
        return format!("{stage} {percent:.0} %{speed}");
    }
    row.why.clone().unwrap_or_default()
}
