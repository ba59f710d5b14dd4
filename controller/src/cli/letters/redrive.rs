//! `dead-letters redrive`: moves letters back to their queue.
//!
//! Each letter is received, sent, and only then deleted. A crash in between leaves it in both queues; a second redrive
//! asks for the same generation of the same job, which runs once. The letters are chosen before the first one is moved,
//! so a job that dies again during the run is not moved again: otherwise a lasting cause would keep the run going for
//! ever. A job older than the live one stays unless forced: it would run and end as superseded. SQS' own message move
//! could move all letters at once; this command checks each letter, takes as many as asked for, and prints what each
//! becomes.

use std::borrow::Cow;

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use transcode_config::contract::JobKey;
use transcode_core::message::{DeadLetterBody, Request};

use super::{
    filter::Filter,
    hold::{Hold, MAX_READ, Reading, with_letters},
    letter::{Content, Letter},
};
use crate::{
    cli::{
        find::{newer, request_of},
        output::{Format, Show, Text, complain, say, shown},
        setup::{Session, confirmed},
    },
    runtime::wall_ms,
};

/// A letter is held for this long, in seconds, while the person answers and the letters before it are moved.
const VISIBILITY: i32 = 900;

/// Which letters to move.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Redrive {
    #[command(flatten)]
    filter: Filter,
    /// Move at most this many, the oldest first. Start with a few if the cause may not be repaired.
    #[arg(long, value_name = "N")]
    max: Option<usize>,
    /// Move jobs older than the live one too: they go live in its place.
    #[arg(long)]
    force: bool,
    /// Print what would be moved, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask before more than one letter is moved.
    #[arg(long)]
    yes: bool,
}

/// What became of a letter.
#[derive(Debug, Serialize)]
struct Became {
    message_id: String,
    /// The job that died, or the first that its message asks for.
    job: Option<JobKey>,
    /// `moved`, `would_move` or `left`.
    did: &'static str,
    /// The job that runs now, where it is another.
    next: Option<JobKey>,
    /// All of it for a person, and why it is left.
    note: String,
}

impl Became {
    fn new(letter: &Letter, did: &'static str, next: Option<JobKey>, note: String) -> Self {
        let job = letter.jobs().first().map(|job| (*job).clone());
        Self { message_id: letter.id.clone(), job, did, next, note }
    }
}

impl Show for Became {
    fn people(&self, text: &mut Text) {
        text.line(&self.note);
    }

    /// The job that runs again.
    fn names(&self) -> Vec<String> {
        let job = self.next.as_ref().or(self.job.as_ref()).filter(|_| self.did != "left");
        job.iter().map(ToString::to_string).collect()
    }
}

/// What is sent, and how it is told.
struct Move<'a> {
    body: Cow<'a, str>,
    next: Option<JobKey>,
    /// "job … (CODE)": what died.
    what: String,
    /// "runs again as job …, generation 1".
    becomes: String,
}

#[derive(Default)]
struct Tally {
    moved: usize,
    left: usize,
}

impl Redrive {
    /// Moves the letters of one job, without a question.
    pub(crate) fn of(job: &JobKey, force: bool) -> Self {
        Self { filter: Filter::of(job), max: None, force, dry_run: false, yes: true }
    }

    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        let (Tally { moved, left }, complete) = self.queues(session).await?;
        let did = if self.dry_run { "would be moved" } else { "moved" };
        let more = if complete { "" } else { "\nthere are more letters than one run reads: run it again" };
        let counts = format!("{moved} {did}, {left} looked at and left{more}");
        if session.output.format == Format::Table {
            return say(&format!("{counts}\n"));
        }
        complain(&counts);
        Ok(())
    }

    /// The same, and returns how many were moved.
    pub(crate) async fn moved(&self, session: &Session) -> anyhow::Result<usize> {
        Ok(self.queues(session).await?.0.moved)
    }

    async fn queues(&self, session: &Session) -> anyhow::Result<(Tally, bool)> {
        let mut tally = Tally::default();
        let mut complete = true;
        for queue in self.filter.queues(&session.settings)? {
            let room = self.max.unwrap_or(MAX_READ).saturating_sub(tally.moved);
            if room == 0 {
                break;
            }
            let reading = Reading { visibility_seconds: VISIBILITY, most: MAX_READ };
            complete &= with_letters(session, &self.filter, queue, reading, async |hold| {
                self.queue(session, queue.0, hold, room, &mut tally).await.map(|()| hold.complete)
            })
            .await?;
        }
        Ok((tally, complete))
    }

    /// Moves the letters of one queue.
    async fn queue(
        &self,
        session: &Session,
        name: &str,
        hold: &mut Hold<'_>,
        room: usize,
        tally: &mut Tally,
    ) -> anyhow::Result<()> {
        tally.left += hold.others;
        let letters = std::mem::take(&mut hold.letters);
        let sent_back = letters.iter().filter(|letter| !matches!(letter.content, Content::Unreadable(..)));
        let count = sent_back.count().min(room);
        if !self.dry_run && count > 1 {
            confirmed(&format!("Move {count} letters of queue {name}?"), self.yes).await?;
        }
        let to = &session.settings.queues.get(name).context("the queue is not in the settings")?.url;
        let before = tally.moved;
        for letter in &letters {
            let full = tally.moved - before >= room;
            let ready = if full { None } else { self.ready(session, letter).await? };
            let Some(Move { body, next, what, becomes }) = ready else {
                tally.left += 1;
                continue;
            };
            if self.dry_run {
                tally.moved += 1;
                let note = format!("{what} would be sent: {becomes}");
                session.output.print_next(&Became::new(letter, "would_move", next, note))?;
                continue;
            }
            hold.keep(letter).await.with_context(|| format!("{what}: not sent"))?;
            let send = session.clients.sqs.write.send_message().queue_url(to).message_body(body);
            send.send().await.with_context(|| format!("{what}: not sent; the letter is still there"))?;
            tally.moved += 1;
            hold.delete(letter).await.with_context(|| {
                format!("{what}: sent, {becomes}, but its letter is still there; moving it again asks for the same run")
            })?;
            let note = format!("{what} {becomes}");
            session.output.print_next(&Became::new(letter, "moved", next, note))?;
        }
        Ok(())
    }

    /// What is to be sent for a letter; none, with a line about it, where it stays.
    async fn ready<'a>(&self, session: &Session, letter: &'a Letter) -> anyhow::Result<Option<Move<'a>>> {
        let left = |what: &str, why: &str| {
            let note = format!("{what} left: {why}");
            session.output.print_next(&Became::new(letter, "left", None, note)).map(|()| None)
        };
        match &letter.content {
            Content::Unreadable(why, _) => left(&format!("message {}", letter.id), &shown(why)),
            Content::Dead(dead, Err(why)) => left(&format!("job {}", dead.job), &shown(why)),
            Content::Dead(dead, Ok(next)) => self.dead(session, letter, dead, next).await,
            Content::Moved(requests) => {
                let jobs =
                    requests.iter().map(|request| request.job().as_str()).collect::<Vec<_>>().join(", ");
                let what = format!("message {}, moved by SQS,", letter.id);
                for request in requests {
                    if let Request::Run(spec) = request
                        && let Some(why) = newer(session, spec).await?
                    {
                        return left(
                            &format!("message {} (job {})", letter.id, spec.job),
                            &format!("{why}. `submit --force` asks for it anew"),
                        );
                    }
                }
                let becomes = format!("is sent again for job {jobs}");
                Ok(Some(Move { body: Cow::Borrowed(&letter.body), next: None, what, becomes }))
            }
        }
    }

    async fn dead<'a>(
        &self,
        session: &Session,
        letter: &'a Letter,
        dead: &DeadLetterBody,
        next: &Request,
    ) -> anyhow::Result<Option<Move<'a>>> {
        let mut body = Cow::Borrowed(letter.body.as_str());
        let mut job = next.job().clone();
        if let Request::Run(spec) = next
            && let Some(why) = newer(session, spec).await?
        {
            if !self.force {
                let note =
                    format!("job {} left: {why}. `--force` runs it, and it goes live all the same", dead.job);
                session.output.print_next(&Became::new(letter, "left", None, note))?;
                return Ok(None);
            }
            let forced = DeadLetterBody { forced: true, ..dead.clone() };
            body = Cow::Owned(forced.encode());
            let next = request_of(&body, &session.rules, wall_ms());
            job = next.context("the forced letter cannot be read")?.job().clone();
        }
        let generation = dead.generation.saturating_add(1);
        Ok(Some(Move {
            body,
            next: Some(job.clone()),
            what: format!("job {} ({})", dead.job, dead.dead.failure.code),
            becomes: format!("runs again as job {job}, generation {generation}"),
        }))
    }
}

#[cfg(test)]
mod tests {
    use transcode_config::contract::FailureCode;

    use super::{
        super::letter::tests::{dead, letter},
        *,
    };
    use crate::cli::output::prints;

    #[test]
    fn each_letter_is_told_with_what_became_of_it() {
        let letter = letter(&dead("films/a.mp4", FailureCode::NotMedia), 1_000);
        let note = |did: &str| format!("job x (NOT_MEDIA) {did}");
        let next = JobKey::of(&["next"]);
        prints(
            "redrive",
            &Became::new(&letter, "moved", Some(next), note("runs again as job y, generation 1")),
        );
        prints("redrive-left", &Became::new(&letter, "left", None, note("left: something newer is live")));
    }
}
