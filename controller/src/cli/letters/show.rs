//! `dead-letters show`: one letter whole.

use std::{cell::RefCell, collections::BTreeMap};

use clap::Args;
use serde::Serialize;
use serde_json::Value;
use transcode_config::{
    Settings,
    contract::{JobKey, PastAttempt},
};
use transcode_core::message::Request;

use super::{
    filter::Filter,
    hold::{MAX_READ, Reading, with_letters},
    letter::{Content, Letter},
    list::{Row, VISIBILITY},
};
use crate::cli::{
    find::JobBegin,
    output::{Show, Text, address},
    setup::Session,
};

/// Which letter to show.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct ShowLetter {
    /// The job's key or the first 8 or more characters of it, or the id of the message in the dead-letter queue.
    #[arg(value_name = "JOB|MESSAGE")]
    name: String,
}

impl ShowLetter {
    pub(super) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        let filter = Filter::default();
        let found = RefCell::new(None);
        let begin = self.name.parse::<JobBegin>().ok();
        for queue in filter.queues(&session.settings)? {
            let reading = Reading { visibility_seconds: VISIBILITY, most: MAX_READ };
            with_letters(session, &filter, queue, reading, async |hold| {
                let takes = |job: &&JobKey| begin.as_ref().is_some_and(|begin| begin.takes(job));
                let own = |letter: &&Letter| letter.id == self.name || letter.jobs().iter().any(takes);
                let jobs = hold.letters.iter().flat_map(Letter::jobs);
                begin.as_ref().map_or(Ok(()), |begin| begin.only(jobs))?;
                if let Some(letter) = hold.letters.iter().find(own) {
                    found.replace(Some(Whole::of(letter, &session.settings)));
                }
                Ok(())
            })
            .await?;
        }
        match found.into_inner() {
            Some(letter) => session.output.print(&letter),
            None => anyhow::bail!(
                "no letter of {}: `dead-letters list` names what is there; another command may hold it for some minutes",
                self.name
            ),
        }
    }
}

/// A job that a message asks for.
#[derive(Debug, Serialize)]
struct Asked {
    job: JobKey,
    generation: u32,
    address: String,
    profile: String,
    /// Why it is refused, if it is.
    refused: Option<String>,
}

/// The result of `show`.
#[derive(Debug, Serialize)]
struct Whole {
    #[serde(flatten)]
    row: Row,
    what_to_do: Option<&'static str>,
    evidence: BTreeMap<String, String>,
    attempts: Vec<PastAttempt>,
    last_task_arn: Option<String>,
    log_link: Option<String>,
    /// What it asks for when it is sent back.
    asks_for: Vec<Asked>,
    /// The body that first asked for the job: as JSON, or as text where it is none.
    original: Value,
}

impl Whole {
    fn of(letter: &Letter, settings: &Settings) -> Self {
        let (dead, requests, original) = match &letter.content {
            Content::Dead(dead, next) => (
                Some(dead.as_ref()),
                next.as_ref().ok().map_or(&[][..], std::slice::from_ref),
                &dead.original,
            ),
            Content::Moved(requests) => (None, requests.as_slice(), &letter.body),
            Content::Unreadable(..) => (None, &[][..], &letter.body),
        };
        let failure = letter.failure();
        Self {
            row: Row::of(letter, settings),
            what_to_do: failure.map(|failure| failure.code.info().remedy),
            evidence: failure.map(|failure| failure.evidence.clone()).unwrap_or_default(),
            attempts: dead.map(|dead| dead.dead.attempts.clone()).unwrap_or_default(),
            last_task_arn: dead.and_then(|dead| dead.dead.last_task_arn.clone()),
            log_link: dead.and_then(|dead| dead.dead.log_link.clone()),
            asks_for: requests.iter().map(Asked::of).collect(),
            original: serde_json::from_str(original).unwrap_or_else(|_| Value::from(original.as_str())),
        }
    }
}

impl Asked {
    fn of(request: &Request) -> Self {
        let (job, generation) = (request.job().clone(), request.generation());
        match request {
            Request::Run(spec) => Self {
                job,
                generation,
                address: address(&spec.source.bucket, &spec.source.key),
                profile: spec.profile.name.clone(),
                refused: None,
            },
            Request::Refuse { failure, .. } => Self {
                job,
                generation,
                address: String::new(),
                profile: String::new(),
                refused: Some(failure.to_string()),
            },
        }
    }
}

impl Show for Whole {
    fn people(&self, text: &mut Text) {
        let mut line = |name: &str, value: &str| {
            text.line(&format!("{name:<10} {value}"));
        };
        self.row.lines(&mut line);
        if let Some(remedy) = self.what_to_do {
            line("what to do", remedy);
        }
        for (name, value) in &self.evidence {
            line("", &format!("{name}: {value}"));
        }
        for past in &self.attempts {
            line("attempt", &format!("{}: {}: {}", past.attempt, past.code, past.message));
        }
        for place in [&self.last_task_arn, &self.log_link].into_iter().flatten() {
            line("", place);
        }
        for asked in &self.asks_for {
            let what = match &asked.refused {
                Some(why) => format!("refused: {why}"),
                None => {
                    format!("{}, profile {}, generation {}", asked.address, asked.profile, asked.generation)
                }
            };
            line("asks for", &format!("job {}: {what}", asked.job));
        }
        line("original", &self.original.to_string());
    }

    fn names(&self) -> Vec<String> {
        vec![self.row.name().to_owned()]
    }
}

#[cfg(test)]
mod tests {
    use transcode_config::contract::FailureCode;

    use super::{
        super::letter::tests::{dead, letter, request},
        *,
    };
    use crate::cli::{letters::filter::tests::settings, output::prints};

    #[test]
    fn a_letter_is_shown_whole() {
        let died = letter(&dead("tenants/acme/a.mp4", FailureCode::NotMedia), 1_000);
        prints("dead-letters-show", &Whole::of(&died, &settings()));
        prints("dead-letters-show-moved", &Whole::of(&letter(&request("films/b.mov"), 50_000), &settings()));
    }
}
