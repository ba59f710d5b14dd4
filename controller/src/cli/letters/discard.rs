//! `dead-letters discard`: deletes letters, after it has written each one out whole.

use std::io::{self, Write};

use anyhow::{Context, ensure};
use clap::Args;
use serde_json::json;
use transcode_config::escape::net;

use super::{
    filter::Filter,
    hold::{Hold, MAX_READ, Reading, with_letters},
    letter::Letter,
    list::Row,
};
use crate::cli::{
    output::time,
    setup::{Session, confirmed},
};

/// A letter is held for this long, in seconds, while the person answers and the letters before it are deleted.
const VISIBILITY: i32 = 900;

/// Which letters to delete.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Discard {
    #[command(flatten)]
    filter: Filter,
    /// Delete all letters; needed where no other option chooses some.
    #[arg(long)]
    all: bool,
    /// Print what would be deleted, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask before letters are deleted.
    #[arg(long)]
    yes: bool,
}

impl Discard {
    pub(super) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        ensure!(
            self.all || !self.filter.is_everything(),
            "nothing is deleted: choose letters, as with --job or --older-than, or say --all"
        );
        let (mut discarded, mut complete) = (0, true);
        for queue in self.filter.queues(&session.settings)? {
            let reading = Reading { visibility_seconds: VISIBILITY, most: MAX_READ };
            complete &= with_letters(session, &self.filter, queue, reading, async |hold| {
                self.queue(session, queue.0, hold, &mut discarded).await.map(|()| hold.complete)
            })
            .await?;
        }
        let did = if self.dry_run { "would be discarded" } else { "discarded" };
        let more = if complete { "" } else { "; there are more letters than one run reads: run it again" };
        writeln!(io::stderr(), "{discarded} {did}{more}").ok();
        Ok(())
    }

    async fn queue(
        &self,
        session: &Session,
        name: &str,
        hold: &mut Hold<'_>,
        discarded: &mut usize,
    ) -> anyhow::Result<()> {
        let letters = std::mem::take(&mut hold.letters);
        if !self.dry_run && !letters.is_empty() {
            confirmed(&format!("Delete {} letters of queue {name}?", letters.len()), self.yes).await?;
        }
        for letter in &letters {
            if !self.dry_run {
                hold.keep(letter).await.with_context(|| format!("message {}: not deleted", letter.id))?;
            }
            // Written before it is deleted: what a person pipes into a file has every letter that is gone.
            written(session, letter)?;
            *discarded += 1;
            if !self.dry_run {
                hold.delete(letter).await.with_context(|| format!("message {}: not deleted", letter.id))?;
            }
        }
        Ok(())
    }
}

/// Writes one letter to standard output: a line of JSON with its body.
fn written(session: &Session, letter: &Letter) -> anyhow::Result<()> {
    let mut line = serde_json::to_value(Row::of(letter, &session.settings))?;
    line["sent_at"] = json!(time(letter.sent_at_ms));
    line["body"] = json!(letter.body);
    let mut out = io::stdout().lock();
    // Escapes of JSON only, so that a program reads the same body back.
    writeln!(out, "{}", net(&line.to_string())).and_then(|()| out.flush()).context("standard output")
}
