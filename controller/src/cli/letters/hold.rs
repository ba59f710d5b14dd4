//! Messages of a dead-letter queue that a command has received, and gives back.
//!
//! A received message is invisible for some time and then comes back by itself, so a command that is killed loses
//! nothing. One that ends, or is interrupted, makes what it has not deleted visible at once.

use std::collections::BTreeSet;

use anyhow::Context;
use aws_sdk_sqs::{
    Client,
    types::{ChangeMessageVisibilityBatchRequestEntry, MessageSystemAttributeName},
};

use super::{filter::Filter, letter::Letter};
use crate::{cli::setup::Session, runtime::wall_ms};

/// Most letters that one command reads from one queue, so that it ends.
pub(super) const MAX_READ: usize = 10_000;

/// Most bytes of letters that one command holds.
const MAX_BYTES: usize = 256 << 20;

/// Time that a receive waits, in seconds. One that waits asks all of SQS' servers: if it brings nothing, nothing is there.
const RECEIVE_WAIT: i32 = 1;

/// Most messages of one receive or one batch: SQS' limit.
const BATCH: usize = 10;

/// The letters of one queue.
pub(super) struct Hold<'a> {
    sqs: &'a Client,
    /// Address of the dead-letter queue.
    pub(super) url: String,
    visibility_seconds: i32,
    /// Chosen letters, the oldest first.
    pub(super) letters: Vec<Letter>,
    /// How many others were received.
    pub(super) others: usize,
    /// Whether every visible letter was read.
    pub(super) complete: bool,
    /// Handles of what is still there.
    held: BTreeSet<String>,
}

/// How to read a queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    /// Letters are invisible for this long.
    pub(super) visibility_seconds: i32,
    /// Most chosen letters.
    pub(super) most: usize,
}

/// Reads the queue's letters, runs `act` on them, and gives back what it has not deleted, whatever the result; also
/// when the person presses Ctrl-C.
pub(super) async fn with_letters<'a, T>(
    session: &'a Session,
    filter: &Filter,
    (name, url): (&str, &str),
    reading: Reading,
    act: impl AsyncFnOnce(&mut Hold<'a>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut hold = Hold {
        sqs: &session.clients.sqs.write,
        url: url.to_owned(),
        visibility_seconds: reading.visibility_seconds,
        letters: Vec::new(),
        others: 0,
        complete: false,
        held: BTreeSet::new(),
    };
    let work = async {
        hold.read(session, filter, name, reading.most).await?;
        filter.names_one_job(&hold.letters)?;
        act(&mut hold).await
    };
    let result = tokio::select! {
        result = work => result,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted; what was not reported is unchanged")),
    };
    hold.give_back().await;
    result.with_context(|| format!("queue {name}"))
}

impl Hold<'_> {
    async fn read(
        &mut self,
        session: &Session,
        filter: &Filter,
        name: &str,
        most: usize,
    ) -> anyhow::Result<()> {
        let (mut bytes, mut seen) = (0, BTreeSet::new());
        loop {
            if self.letters.len() >= most || seen.len() >= MAX_READ || bytes >= MAX_BYTES {
                self.letters.sort_by_key(|letter| letter.sent_at_ms);
                return Ok(());
            }
            let receive = self.sqs.receive_message().queue_url(&self.url).wait_time_seconds(RECEIVE_WAIT);
            let receive = receive.max_number_of_messages(10).visibility_timeout(self.visibility_seconds);
            let receive = receive.message_system_attribute_names(MessageSystemAttributeName::SentTimestamp);
            let messages =
                receive.send().await.context("receiving dead letters")?.messages.unwrap_or_default();
            if messages.is_empty() {
                break;
            }
            let now = wall_ms();
            let mut again = false;
            for message in messages {
                self.held.extend(message.receipt_handle.clone());
                let Some(letter) = Letter::of(name, message, &session.rules, now) else { continue };
                // Its time was over before the whole queue was read, or SQS has delivered it twice.
                again |= !seen.insert(letter.id.clone());
                if again {
                    self.letters
                        .iter_mut()
                        .filter(|it| it.id == letter.id)
                        .for_each(|it| it.receipt.clone_from(&letter.receipt));
                } else if filter.takes(&letter, &session.settings, now) && self.letters.len() < most {
                    bytes += letter.body.len();
                    self.letters.push(letter);
                } else {
                    self.others += 1;
                }
            }
            if again {
                break;
            }
        }
        self.complete = true;
        self.letters.sort_by_key(|letter| letter.sent_at_ms);
        Ok(())
    }

    /// Begins the letter's time anew. An error means that it may have come back to the queue meanwhile, and somebody
    /// else may have it.
    pub(super) async fn keep(&self, letter: &Letter) -> anyhow::Result<()> {
        let change = self.sqs.change_message_visibility().queue_url(&self.url);
        let change = change.receipt_handle(&letter.receipt).visibility_timeout(self.visibility_seconds);
        change.send().await.context("it is not held any more; run the command again")?;
        Ok(())
    }

    /// Deletes a letter.
    pub(super) async fn delete(&mut self, letter: &Letter) -> anyhow::Result<()> {
        let delete = self.sqs.delete_message().queue_url(&self.url).receipt_handle(&letter.receipt);
        delete.send().await.context("deleting the letter")?;
        self.held.remove(&letter.receipt);
        Ok(())
    }

    /// Makes what is held visible again. What fails comes back by itself, after its time.
    async fn give_back(&mut self) {
        let held: Vec<String> = std::mem::take(&mut self.held).into_iter().collect();
        for receipts in held.chunks(BATCH) {
            let entry = |(index, receipt): (usize, &String)| {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(index.to_string());
                entry.receipt_handle(receipt).visibility_timeout(0).build().ok()
            };
            let entries = receipts.iter().enumerate().filter_map(entry).collect();
            let change = self.sqs.change_message_visibility_batch().queue_url(&self.url);
            if let Err(error) = change.set_entries(Some(entries)).send().await {
                tracing::debug!(%error, "messages come back by themselves");
            }
        }
    }
}
