//! `logs`: the log of a job's task, from CloudWatch Logs.

use anyhow::Context;
use aws_config::BehaviorVersion;
use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value, json};
use transcode_config::contract::{JobKey, Layout, Terminal};
use transcode_core::policy::log_link::LogStreams;

use super::rhythm::Rhythm;
use crate::{
    aws::query::{Query, Service},
    cli::{
        find::{Heard, Record, Which, named_jobs},
        output::{Show, Text, Tint, time},
        setup::{Session, unreadable},
    },
};

/// Lines of one call: at most 1 MiB.
const LINES: u32 = 1_000;

/// Most calls that read what is there.
const MAX_PAGES: usize = 100;

/// Which log.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Logs {
    #[command(flatten)]
    which: Which,
    /// The attempt. Default: the newest that has a task.
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
    /// Go on until the job is decided.
    #[arg(long, short)]
    follow: bool,
    #[command(flatten)]
    rhythm: Rhythm,
}

/// One line of the log.
#[derive(Debug, Serialize)]
struct Line {
    /// When the task wrote it (ms since 1970).
    at_ms: u64,
    message: String,
}

impl Show for Line {
    /// Level, message and fields; the job, which all lines have, is left out.
    fn people(&self, text: &mut Text) {
        text.span(Tint::Faint, &time(self.at_ms)).span(Tint::Plain, " ");
        let Ok(Value::Object(mut fields)) = serde_json::from_str(&self.message) else {
            text.line(&self.message);
            return;
        };
        let mut word = |name: &str| words(&fields.remove(name).unwrap_or_default());
        let (level, message) = (word("level"), word("message"));
        let tint = match level.as_str() {
            "ERROR" => Tint::Bad,
            "WARN" => Tint::Busy,
            _ => Tint::Plain,
        };
        text.span(tint, &format!("{level:<5}")).line(&format!(" {message}{}", rest(fields)));
    }

    fn names(&self) -> Vec<String> {
        vec![self.message.clone()]
    }
}

fn rest(fields: Map<String, Value>) -> String {
    let shown = fields
        .into_iter()
        .filter(|(name, _)| !matches!(name.as_str(), "timestamp" | "span" | "spans" | "target"));
    shown.map(|(name, value)| format!(" {name}={}", words(&value))).collect::<Vec<_>>().concat()
}

fn words(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| if value.is_null() { String::new() } else { value.to_string() }, str::to_owned)
}

impl Logs {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        let heard = Heard::read(session).await;
        let job = self.which.newest(&named_jobs(session, &self.which, &heard).await?)?;
        let record = Record::read(&session.store, &job).await?.unwrap_or_else(|| Record::none(&job));
        let task = self.task(&record, &heard)?;
        let sdk = aws_config::defaults(BehaviorVersion::latest()).load().await;
        let reader = Reader::new(Query::new(sdk, &session.settings.calls), session, &task)?;
        let mut token = None;
        loop {
            // Looked at before the last reading: what the task wrote before its end is then read.
            let decided = !self.follow || is_decided(session, &job).await?;
            token = match reader.print(session, token).await {
                // Its task has not come up yet, or is in its first moments.
                Err(error) if !decided && has_no_stream(&error) => None,
                Err(error) if has_no_stream(&error) => return Err(reader.nothing()),
                read => read?,
            };
            if decided {
                return Ok(());
            }
            tokio::time::sleep(self.rhythm.interval()).await;
        }
    }

    /// ARN of the attempt's task.
    fn task(&self, record: &Record, heard: &Heard) -> anyhow::Result<String> {
        let claimed = record.attempts.iter().rev();
        let told = claimed.filter_map(|attempt| {
            let number = attempt.claim.attempt.number();
            let own = attempt.heartbeat.as_ref().and_then(|heartbeat| heartbeat.task_arn.clone());
            let past = record.ends().iter().find(|past| past.attempt.number() == number);
            Some((number, own.or_else(|| past?.task_arn.clone())?))
        });
        let status = heard.job(&record.job);
        let known = status.and_then(|status| Some((status.attempt?.number(), status.task_arn.clone()?)));
        let mut all = known.into_iter().chain(told);
        let found = all.find(|(number, _)| self.attempt.is_none_or(|wanted| wanted == *number));
        found.map(|(_, task)| task).ok_or_else(|| {
            let which = self
                .attempt
                .map_or_else(|| "no attempt".to_owned(), |wanted| format!("attempt {wanted} not"));
            anyhow::anyhow!("of {} {which} has a task that is known; `explain` says why", self.which.words())
        })
    }
}

async fn is_decided(session: &Session, job: &JobKey) -> anyhow::Result<bool> {
    let terminal = session.store.read::<Terminal>(&Layout::of(job).terminal()).await.map_err(unreadable)?;
    Ok(terminal.is_some())
}

/// Whether the task has written nothing, or nothing that is still kept.
fn has_no_stream(error: &anyhow::Error) -> bool {
    let text = error.to_string();
    text.contains("ResourceNotFoundException") && text.contains("log stream")
}

/// Reads one log stream.
struct Reader {
    query: Query,
    group: String,
    stream: String,
}

impl Reader {
    fn new(query: Query, session: &Session, task: &str) -> anyhow::Result<Self> {
        let streams = LogStreams::of(&session.settings.cluster);
        let streams = streams.context("cluster.log_group is not set: where the tasks log is not known")?;
        let id = task.rsplit('/').next().unwrap_or_default();
        Ok(Self { query, stream: format!("{}/{id}", streams.prefix), group: streams.group })
    }

    /// For who asks for a log that is not there.
    fn nothing(&self) -> anyhow::Error {
        anyhow::anyhow!(
            "log group {} has no log of this task, {}: it has not come up yet (`logs -f` waits for it), or its log is past \
             the group's retention, or it writes elsewhere, as the tasks of `make up` do, whose logs are files",
            self.group,
            self.stream
        )
    }

    /// Prints the lines behind `token`, and returns the token of what follows.
    async fn print(&self, session: &Session, token: Option<String>) -> anyhow::Result<Option<String>> {
        let mut token = token;
        for _ in 0..MAX_PAGES {
            let mut body = json!({
                "logGroupName": self.group, "logStreamName": self.stream, "startFromHead": true, "limit": LINES,
            });
            if let Some(token) = &token {
                body["nextToken"] = token.as_str().into();
            }
            let target = "Logs_20140328.GetLogEvents";
            let answer = self.query.json(Service::Logs, "logs:GetLogEvents", target, &body).await?;
            let answer: Value = serde_json::from_str(&answer.text)?;
            for event in answer["events"].as_array().into_iter().flatten() {
                let message = event["message"].as_str().unwrap_or_default().to_owned();
                session
                    .output
                    .print_next(&Line { at_ms: event["timestamp"].as_u64().unwrap_or(0), message })?;
            }
            let next = answer["nextForwardToken"].as_str().map(str::to_owned);
            // At the end of the stream the token is the same again.
            let end = next == token || next.is_none();
            token = next.or(token);
            if end {
                break;
            }
        }
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::prints;

    #[test]
    fn a_line_of_the_log_is_its_level_message_and_fields() {
        let message = json!({"timestamp": "t", "level": "WARN", "message": "left out", "stream": 2, "span": {"job": "x"}});
        prints("logs", &Line { at_ms: 1_796_029_920_000, message: message.to_string() });
        prints("logs-strange", &Line { at_ms: 0, message: "no object \u{1b}[8m".into() });
    }
}
