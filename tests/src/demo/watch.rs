//! Shows what `watch` prints of a job until it ends, as it would at an operator's.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use transcode_config::contract::{Dead, Outcome, Succeeded};

use super::console::say;
use crate::{
    Stack, paths,
    process::{Process, Spec},
    wait,
};

/// Longer than a job may take by the shipped settings, with all its attempts.
const LONGEST: Duration = Duration::from_hours(24);
/// The last step of settling deletes a message.
const SETTLING: Duration = Duration::from_mins(2);

/// Shows the rows of the job as they change, until it has ended and its message is gone. A dead job is an error with its
/// code and message.
pub(super) async fn until_ended(stack: &mut Stack, key: &str) -> Result<Succeeded> {
    let mut watch = start(stack, key)?;
    let mut shown = 0;
    let ended = wait::until("the job ends", LONGEST, async || {
        stack.ensure_alive()?;
        // Looked at before the last reading: what it printed before its end is then read.
        let ended = watch.ended();
        let text = watch.output();
        for line in text.lines().skip(shown) {
            say(&format!("  {line}"))?;
            shown += 1;
        }
        // A message that never becomes a job ends in the dead-letter queue.
        if shown == 0
            && let Some(letter) = stack.dead_letters().await?.first()
        {
            bail!("{}", death(&dead_letter(letter.body().unwrap_or_default())?));
        }
        Ok(ended)
    })
    .await;
    match ended {
        Ok(status) => ensure!(status.success(), "watch: {status}\n{}", watch.tail(20)),
        // The cause first: the logs are long.
        Err(error) => bail!("{error:#}\n{}", stack.tails(20)),
    }
    let job = stack.job_of(key).await?.context("the job has no specification")?.job;
    let record = stack.record(&job).await?.context("the job has no terminal record")?;
    let succeeded = match record.outcome {
        Outcome::Succeeded(succeeded) => succeeded,
        Outcome::Superseded(_) => {
            bail!("a later upload of the same key is live; nothing was made of this one")
        }
        Outcome::Cancelled(cancelled) => bail!("cancelled by {}", cancelled.told.who),
        Outcome::Dead(dead) => bail!("{}", death(&dead)),
    };
    stack.wait_for_empty_queue(SETTLING).await?;
    Ok(succeeded)
}

/// `watch KEY` with the stack's settings. It ends by itself once the job has ended.
fn start(stack: &Stack, key: &str) -> Result<Process> {
    let config = stack.plan.config().display().to_string();
    Process::start(&Spec {
        name: "watch",
        program: &paths::binary("transcode-controller")?,
        args: ["watch", key, "--interval", "1", "--config", &config].map(str::to_owned).into(),
        env: stack.environment().to_vec(),
        folder: stack.folder(),
        logs: stack.folder(),
        out: None,
        orderly: false,
    })
}

/// A dead job as text: code and message, evidence, attempts.
fn death(dead: &Dead) -> String {
    let failure = &dead.failure;
    let mut lines = vec![failure.to_string()];
    lines.extend(failure.evidence.iter().map(|(name, value)| format!("  {name}: {value}")));
    lines.extend(
        dead.attempts
            .iter()
            .map(|past| format!("  attempt {}: {}: {}", past.attempt, past.code, past.message)),
    );
    lines.push(format!("  what to do: {}", failure.code.info().remedy));
    lines.join("\n")
}

/// The failure of a job without a record: the controller's letter contains it.
fn dead_letter(body: &str) -> Result<Dead> {
    let mut letter: Value = serde_json::from_str(body).with_context(|| format!("dead letter {body:?}"))?;
    serde_json::from_value(letter["dead"].take()).with_context(|| format!("dead letter {body:?}"))
}
