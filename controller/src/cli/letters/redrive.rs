//! `redrive`: moves our dead letters back to their queue.
//!
//! Each letter is received, sent, and only then deleted. A crash in between leaves it in both queues; a second redrive
//! asks for the same generation of the same job, which runs once. A job that dies again during the run is not moved
//! again; otherwise a lasting cause would keep the run going for ever. A job older than the live one stays unless
//! forced: it would run and end as superseded. SQS' own message move could move all letters at once; this command
//! checks each letter, takes as many as asked for, and prints what each becomes.

use std::{borrow::Cow, collections::BTreeSet};

use anyhow::Context;
use aws_sdk_sqs::{Client, types::Message};
use clap::Args;
use transcode_config::{
    contract::{JobKey, SCHEMA},
    settings::QueueSettings,
};
use transcode_core::message::{DEAD_LETTER_KIND, DeadLetterBody, Request, Rules};

use crate::{
    cli::{
        find::{newer, request_of},
        output::{say, shown},
        setup::Session,
    },
    runtime::wall_ms,
};

/// Most letters that one run looks at, so that it ends.
const MAX_LOOKED_AT: usize = 10_000;

/// A letter that is looked at is invisible for this long, in seconds; letters that stay are given back at the end.
const VISIBILITY: i32 = 300;

/// Consecutive empty receives before a queue counts as empty: one receive may miss servers that have messages.
const EMPTY_RECEIVES: u32 = 2;

/// Most messages of one receive: SQS' limit.
const BATCH: i32 = 10;

/// Which letters to move.
#[derive(Debug, Args)]
#[group(skip)]
pub(in crate::cli) struct Redrive {
    /// Only letters of this job.
    #[arg(long)]
    job: Option<JobKey>,
    /// Move at most this many. Start with a few if the cause may not be repaired.
    #[arg(long, value_name = "N")]
    max: Option<usize>,
    /// Move jobs older than the live one too: they go live in its place.
    #[arg(long)]
    force: bool,
}

/// The results of one queue.
#[derive(Debug, Default)]
struct Tally {
    moved: usize,
    left: usize,
    /// Handles of letters that were not moved, to be given back.
    held: Vec<String>,
    /// Ids of the messages seen. A repeated id means that the whole queue was read.
    seen: BTreeSet<String>,
    /// Jobs that this run began; letters of these are new.
    begun: BTreeSet<JobKey>,
}

/// The result for one letter.
enum Fate {
    Moved,
    Left,
    /// A letter of a job that this run began.
    New,
}

impl Redrive {
    pub(in crate::cli) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        let (mut moved, mut left) = (0, 0);
        for (name, queue) in &session.settings.queues {
            let mut tally = Tally::default();
            let room = self.max.unwrap_or(usize::MAX).saturating_sub(moved);
            let result = self.queue(session, queue, room, &mut tally).await;
            // In every case: letters that were only looked at stay hidden no longer than needed.
            give_back(&session.clients.sqs.write, &queue.dead_letter_url, &tally.held).await;
            result.with_context(|| format!("queue {name}"))?;
            moved += tally.moved;
            left += tally.left;
        }
        say(&format!("{moved} moved, {left} looked at and left\n"))
    }

    /// Reads one dead-letter queue and moves its letters.
    async fn queue(
        &self,
        session: &Session,
        queue: &QueueSettings,
        room: usize,
        tally: &mut Tally,
    ) -> anyhow::Result<()> {
        let mut empty = 0;
        while tally.moved < room && tally.seen.len() < MAX_LOOKED_AT && empty < EMPTY_RECEIVES {
            let wanted = i32::try_from(room - tally.moved).unwrap_or(BATCH).min(BATCH);
            let receive = session.clients.sqs.write.receive_message().queue_url(&queue.dead_letter_url);
            let receive = receive.max_number_of_messages(wanted).visibility_timeout(VISIBILITY);
            let answer = receive.wait_time_seconds(1).send().await.context("receiving dead letters")?;
            let messages = answer.messages.unwrap_or_default();
            empty = if messages.is_empty() { empty + 1 } else { 0 };
            // All handles before the first possible failure, or the rest of the batch would stay hidden.
            tally.held.extend(messages.iter().filter_map(|message| message.receipt_handle.clone()));
            for message in messages {
                if !tally.seen.insert(message.message_id.clone().unwrap_or_default()) {
                    return Ok(());
                }
                match self.letter(session, queue, &message, tally).await? {
                    Fate::Moved => tally.held.retain(|held| Some(held) != message.receipt_handle.as_ref()),
                    Fate::Left => tally.left += 1,
                    Fate::New => {}
                }
            }
        }
        Ok(())
    }

    /// Moves one letter, unless the options exclude it.
    async fn letter(
        &self,
        session: &Session,
        queue: &QueueSettings,
        message: &Message,
        tally: &mut Tally,
    ) -> anyhow::Result<Fate> {
        let (Some(body), Some(receipt)) = (message.body(), message.receipt_handle()) else {
            return Ok(Fate::Left);
        };
        let (mut letter, mut next) = match readable(body, &session.rules) {
            Ok(Found::Letter(letter, next)) => (*letter, next),
            Ok(Found::Message(next)) => {
                let place = (queue, message.message_id().unwrap_or_default());
                return self.message(session, place, (body, receipt), &next, tally).await;
            }
            Err(why) => {
                let why = shown(&why);
                say(&format!("message {} left: {why}\n", message.message_id().unwrap_or_default()))?;
                return Ok(Fate::Left);
            }
        };
        if tally.begun.contains(&letter.job) {
            return Ok(Fate::New);
        }
        if self.job.as_ref().is_some_and(|job| *job != letter.job) {
            return Ok(Fate::Left);
        }
        let mut body = Cow::Borrowed(body);
        if let Request::Run(spec) = &next
            && let Some(why) = newer(session, spec).await?
        {
            if !self.force {
                say(&format!(
                    "job {} left: {why}. `--force` runs it, and it goes live all the same\n",
                    letter.job
                ))?;
                return Ok(Fate::Left);
            }
            letter.forced = true;
            body = Cow::Owned(letter.clone().encode());
            next =
                request_of(&body, &session.rules, wall_ms()).context("the forced letter cannot be read")?;
        }
        let (job, next) = (&letter.job, next.job());
        let sqs = &session.clients.sqs.write;
        // Before the send: the job's next letter may arrive right after it.
        tally.begun.insert(next.clone());
        let send = sqs.send_message().queue_url(&queue.url).message_body(body.as_ref());
        send.send().await.with_context(|| format!("job {job}: not sent; the letter is still there"))?;
        tally.moved += 1;
        let (code, generation) = (letter.dead.failure.code, letter.generation.saturating_add(1));
        let delete = sqs.delete_message().queue_url(&queue.dead_letter_url).receipt_handle(receipt);
        delete.send().await.with_context(|| {
            format!("job {job}: sent as job {next}, but its letter is still there; moving it again asks for the same run")
        })?;
        say(&format!("job {job} ({code}) runs again as job {next}, generation {generation}\n"))?;
        Ok(Fate::Moved)
    }
}

impl Redrive {
    /// Sends a message back that SQS itself has moved: unchanged, so the same job goes on.
    async fn message(
        &self,
        session: &Session,
        (queue, id): (&QueueSettings, &str),
        (body, receipt): (&str, &str),
        next: &Request,
        tally: &mut Tally,
    ) -> anyhow::Result<Fate> {
        let job = next.job();
        if self.job.as_ref().is_some_and(|wanted| wanted != job) {
            return Ok(Fate::Left);
        }
        if let Request::Run(spec) = next
            && let Some(why) = newer(session, spec).await?
        {
            say(&format!("message {id} (job {job}) left: {why}. `submit --force` asks for it anew\n"))?;
            return Ok(Fate::Left);
        }
        let sqs = &session.clients.sqs.write;
        let send = sqs.send_message().queue_url(&queue.url).message_body(body);
        send.send().await.with_context(|| format!("message {id}: not sent; it is still there"))?;
        tally.moved += 1;
        let delete = sqs.delete_message().queue_url(&queue.dead_letter_url).receipt_handle(receipt);
        delete.send().await.with_context(|| format!("message {id}: sent, but still there as well"))?;
        say(&format!("message {id}, moved by SQS, is sent again for job {job}\n"))?;
        Ok(Fate::Moved)
    }
}

/// What lies in a dead-letter queue.
enum Found {
    /// One of our letters, and what it asks for when it comes back.
    Letter(Box<DeadLetterBody>, Request),
    /// A message that SQS itself has moved here, because no controller has deleted it in all its receives; and what it
    /// asks for.
    Message(Request),
}

/// The letter or message with its request, if the controller can read it; otherwise why it stays.
fn readable(body: &str, rules: &Rules) -> Result<Found, String> {
    let value: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    if value.get("kind").and_then(serde_json::Value::as_str) != Some(DEAD_LETTER_KIND) {
        return match request_of(body, rules, wall_ms()) {
            Some(Request::Refuse { failure, .. }) => {
                Err(format!("no letter of ours, and refused: {failure}"))
            }
            Some(asked) => Ok(Found::Message(asked)),
            None => {
                Err("no letter of ours; asks for no job, or is of a version that is not known here"
                    .to_owned())
            }
        };
    }
    let schema = value.get("schema").and_then(serde_json::Value::as_u64);
    if schema != Some(u64::from(SCHEMA)) {
        return Err(format!("a dead letter of schema {schema:?}; this version knows {SCHEMA}"));
    }
    let letter: DeadLetterBody =
        serde_json::from_value(value).map_err(|error| format!("not a dead letter: {error}"))?;
    if letter.original_cut {
        return Err(format!("job {}: holds only the beginning of its original", letter.job));
    }
    let next = request_of(body, rules, wall_ms());
    let next = next.ok_or_else(|| format!("job {}: asks for nothing any more", letter.job))?;
    Ok(Found::Letter(Box::new(letter), next))
}

/// Makes messages visible again. SQS does the same for those that fail, after their timeout.
async fn give_back(sqs: &Client, url: &str, receipts: &[String]) {
    for receipt in receipts {
        let change = sqs.change_message_visibility().queue_url(url).receipt_handle(receipt);
        if let Err(error) = change.visibility_timeout(0).send().await {
            tracing::debug!(%error, "a message comes back by itself");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use transcode_config::{ladder::Profile, settings::SourceSettings};

    use super::*;

    fn rules() -> Rules {
        Rules {
            sources: vec![SourceSettings { bucket: "uploads".into(), ..SourceSettings::default() }],
            profiles: [("standard".to_owned(), Profile::built_in("standard").unwrap())].into(),
            default_profile: "standard".into(),
            max_source_bytes: 1 << 30,
            ..Rules::default()
        }
    }

    #[test]
    fn a_message_that_sqs_moved_itself_is_told_from_a_letter_and_from_what_nobody_can_read() {
        let body =
            json!({"schema": 1, "kind": "transcode.job", "source": {"bucket": "uploads", "key": "a.mp4"}});
        let found = readable(&body.to_string(), &rules());
        assert!(matches!(found, Ok(Found::Message(Request::Run(spec))) if spec.source.key == "a.mp4"));
        for (body, why) in [
            ("not ours".to_owned(), "MALFORMED_MESSAGE"),
            (json!({"Event": "s3:TestEvent"}).to_string(), "asks for no job"),
            (json!({"schema": 9, "kind": "transcode.job"}).to_string(), "not known here"),
            (json!({"schema": 9, "kind": DEAD_LETTER_KIND}).to_string(), "schema"),
        ] {
            let left = readable(&body, &rules()).err().unwrap();
            assert!(left.contains(why), "{left}");
        }
    }
}
