//! Follows one job through its documents in the state bucket, as any operator could.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use transcode_config::contract::{Dead, Heartbeat, Outcome, Stage, Succeeded};

use super::console::{Console, Event};
use crate::{Stack, wait};

/// Longer than a job may take by the shipped settings, with all its attempts.
const LONGEST: Duration = Duration::from_hours(24);
/// Settling copies a few small objects and deletes a message.
const SETTLING: Duration = Duration::from_mins(2);

/// Shows the job's progress until its terminal record is there. A dead job is an error with its code and message.
pub(super) async fn until_decided(stack: &mut Stack, key: &str, console: &mut Console) -> Result<Succeeded> {
    let outcome = wait::until("the job ends", LONGEST, async || {
        stack.ensure_alive()?;
        let Some(job) = stack.job_of(key).await? else {
            // A message that never becomes a job ends in the dead-letter queue.
            if let Some(letter) = stack.dead_letters().await?.first() {
                return dead_letter(letter.body().unwrap_or_default()).map(Outcome::Dead).map(Some);
            }
            console.show(moment("waiting", 0.0, "for the controller"))?;
            return Ok(None);
        };
        if let Some(record) = stack.record(&job.job).await? {
            return Ok(Some(record.outcome));
        }
        console.show(match stack.heartbeat(&job.job).await? {
            Some(heartbeat) => of_heartbeat(&heartbeat),
            None => moment("launching", 0.0, "a Fargate task"),
        })?;
        Ok(None)
    })
    .await;
    match outcome {
        Ok(Outcome::Succeeded(succeeded)) => Ok(succeeded),
        Ok(Outcome::Superseded(_)) => {
            bail!("a later upload of the same key is live; nothing was made of this one")
        }
        Ok(Outcome::Cancelled(cancelled)) => bail!("cancelled by {}", cancelled.told.who),
        Ok(Outcome::Dead(dead)) => bail!("{}", death(&dead)),
        // The cause first: the logs are long.
        Err(error) => bail!("{error:#}\n{}", stack.tails(20)),
    }
}

/// Waits until the job is settled: the stable names are published and the message is gone.
pub(super) async fn until_published(stack: &Stack, succeeded: &Succeeded) -> Result<()> {
    stack
        .wait_for("the stable names are published", SETTLING, async || {
            for entry in &succeeded.entry_points {
                let found = stack.objects(&succeeded.bucket, &entry.to).await?;
                if !found.contains_key(&entry.to) {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
        .await?;
    stack.wait_for_empty_queue(SETTLING).await
}

fn moment(stage: &str, percent: f32, note: &str) -> Event {
    Event { stage: stage.to_owned(), percent, note: note.to_owned() }
}

fn of_heartbeat(heartbeat: &Heartbeat) -> Event {
    let mut note = Vec::new();
    if let (Stage::Transcoding, Some(speed)) = (heartbeat.stage, heartbeat.speed) {
        note.push(format!("{speed:.2}x real time"));
    }
    if heartbeat.attempt.number() > 1 {
        note.push(format!("attempt {}", heartbeat.attempt));
    }
    moment(heartbeat.stage.name(), heartbeat.percent, &note.join(", "))
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
