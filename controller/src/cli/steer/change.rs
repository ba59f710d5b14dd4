//! Writes the control document: reads it, changes it, and writes it on condition that nobody was faster.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use aws_config::BehaviorVersion;
use clap::Args;
use serde::Serialize;
use transcode_config::contract::{Control, MAX_CONTROL_TEXT, Told, control_key};

use crate::{
    aws::query::{Query, Service, texts},
    cli::{
        find::Heard,
        output::{Show, Text},
        setup::{Session, asked, unreadable},
    },
    runtime::wall_ms,
};

/// Tries of a change. Each one means that somebody else wrote the document in the same moment.
const TRIES: u32 = 10;

/// Wait after the first try that somebody else was faster in; grows with each.
const WAIT: Duration = Duration::from_millis(100);

/// The reason of a change, which the controller logs and the job's record keeps.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Why {
    /// The reason, in your own words: the log and the records show it. Asked for on a terminal.
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
}

impl Why {
    /// This reason.
    pub(crate) fn of(why: String) -> Self {
        Self { why: Some(why) }
    }

    /// Who wants the change, why, and when.
    pub(crate) async fn told(&self, session: &Session) -> anyhow::Result<Told> {
        let why = match &self.why {
            Some(why) => why.clone(),
            None => {
                asked("Why?").await.context("--why \"…\": say the reason; the log and the records show it")?
            }
        };
        let why = why.trim();
        ensure!(!why.is_empty(), "--why: the reason is empty");
        told(session, why).await
    }
}

/// The caller wants it, for this reason, now.
pub(super) async fn told(session: &Session, why: &str) -> anyhow::Result<Told> {
    ensure!(why.len() <= MAX_CONTROL_TEXT, "--why: at most {MAX_CONTROL_TEXT} bytes");
    Ok(Told { who: caller(session).await?, why: why.to_owned(), at_ms: wall_ms() })
}

/// The ARN of the credentials in use.
async fn caller(session: &Session) -> anyhow::Result<String> {
    let sdk = aws_config::defaults(BehaviorVersion::latest()).load().await;
    let query = Query::new(sdk, &session.settings.calls);
    let parameters = [("Action", "GetCallerIdentity"), ("Version", "2011-06-15")];
    let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let answer = query.form(Service::Sts, "sts:GetCallerIdentity", &parameters).await?;
    let arn = texts(&answer.text, "Arn").into_iter().next();
    arn.filter(|arn| arn.len() <= MAX_CONTROL_TEXT).context("STS does not name the caller")
}

/// The result of a command that writes the control document.
#[derive(Debug, Serialize)]
pub(super) struct Written {
    environment: String,
    /// Revision of the control document.
    revision: u64,
    /// Whether this command changed it.
    changed: bool,
    /// What is wanted now, for a person.
    #[serde(rename = "wanted")]
    what: String,
    /// Whether a controller is there to do it: `live`, `draining`, `ended`, `silent`, `never` or `unknown`.
    controller: &'static str,
    /// When it takes effect, for a person.
    effect: String,
    #[serde(skip)]
    name: String,
}

impl Written {
    /// The result of [`change`]. `name` is what was changed: an environment, a queue, a job.
    pub(super) async fn new(session: &Session, before: u64, now: &Control, name: &str, what: String) -> Self {
        let heard = Heard::read(session).await;
        Self {
            controller: heard.word(wall_ms()),
            effect: heard.takes_effect(wall_ms()),
            environment: session.settings.environment.clone(),
            revision: now.revision,
            changed: now.revision != before,
            what,
            name: name.to_owned(),
        }
    }
}

impl Show for Written {
    fn people(&self, text: &mut Text) {
        let Self { what, revision, effect, .. } = self;
        if self.changed {
            text.line(&format!("{what} (revision {revision})"));
            text.line(effect);
        } else {
            text.line(&format!("nothing is changed (revision {revision}): {what}"));
        }
    }

    fn names(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}

/// Changes what is wanted. `act` may run several times, each time on what others have written meanwhile; if it changes
/// nothing, nothing is written. Returns what is wanted now.
pub(crate) async fn change(
    session: &Session,
    told: &Told,
    mut act: impl FnMut(&mut Control) -> anyhow::Result<()>,
) -> anyhow::Result<Control> {
    let key = control_key(&session.settings.environment);
    let mut wait = WAIT;
    for _ in 0..TRIES {
        let found = session.store.read_tagged::<Control>(&key).await.map_err(unreadable)?;
        let (before, tag) = found.map(|(control, tag)| (control, Some(tag))).unwrap_or_default();
        let mut next = before.clone();
        act(&mut next)?;
        if next == before {
            return Ok(before);
        }
        next.revision = before.revision.saturating_add(1);
        next.last = Some(told.clone());
        next.check().map_err(anyhow::Error::msg)?;
        if session.store.swap(&key, &next, tag.as_deref()).await? {
            tracing::debug!(
                who = told.who,
                why = told.why,
                revision = next.revision,
                "control document written"
            );
            return Ok(next);
        }
        tokio::time::sleep(wait).await;
        wait += WAIT;
    }
    bail!("nothing is changed: others change {key} all the time; run it again")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::prints;

    #[test]
    fn a_change_is_told_with_what_is_known_of_the_controller() {
        let written = |changed, controller, effect: &str| {
            Written {
            environment: "prod".into(),
            revision: 7,
            changed,
            what: "launches of queue default are paused since 2026-11-30T09:11:00Z by arn:anna because a fire drill"
                .into(),
            controller,
            effect: effect.into(),
            name: "default".into(),
        }
        };
        prints("pause", &written(true, "live", "The running controller has it within seconds."));
        prints(
            "pause-again",
            &written(false, "never", "No controller has ever reported in this environment."),
        );
    }
}
