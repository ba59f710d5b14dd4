//! The body of a dead-letter message: the original body and the reason of the failure. A redrive sends it back
//! unchanged, and it is read as the next generation of the job that died.

use serde::{Deserialize, Serialize};
use transcode_config::{
    contract::{Dead, JobKey, SCHEMA},
    escape::net,
};

use crate::protocol::action::DeadLetter;

/// `kind` of a dead letter.
pub const DEAD_LETTER_KIND: &str = "transcode.dead-letter";

/// Longest body that is sent: SQS' limit of 1 MiB, less space for message attributes.
const MAX_LETTER_BYTES: usize = (1 << 20) - (8 << 10);

/// Longest body for a queue that does not take that: what every queue took before 2025, less the same space.
pub const SMALL_LETTER_BYTES: usize = (256 << 10) - (8 << 10);

/// A dead letter as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct DeadLetterBody {
    pub schema: u32,
    /// [`DEAD_LETTER_KIND`].
    pub kind: String,
    /// The job that died.
    pub job: JobKey,
    /// Generation of the job that died; a redrive runs the next one.
    pub generation: u32,
    /// Id of the message that this letter replaces. Two letters with the same id are duplicates.
    pub message_id: String,
    pub dead: Dead,
    /// The body that first asked for the job. If the job dies again after a redrive, the new letter keeps this first
    /// body.
    pub original: String,
    /// A person wants this job live although a newer job is live. Only `redrive --force` sets it; a letter never has
    /// it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
    /// `original` is cut off: the whole original, with JSON escapes, did not fit into a message.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub original_cut: bool,
}

impl DeadLetterBody {
    /// The letter for a dead job.
    pub fn of(letter: &DeadLetter) -> Self {
        // A redriven letter that dies again keeps its first original; otherwise letters would nest and grow with each
        // redrive.
        let earlier = serde_json::from_str::<Self>(&letter.body)
            .ok()
            .filter(|earlier| earlier.kind == DEAD_LETTER_KIND && earlier.schema == SCHEMA);
        let (original, original_cut) = match earlier {
            Some(earlier) => (earlier.original, earlier.original_cut),
            None => (letter.body.to_string(), false),
        };
        Self {
            schema: SCHEMA,
            kind: DEAD_LETTER_KIND.to_owned(),
            job: letter.job.clone(),
            generation: letter.generation,
            message_id: letter.lease.message.0.to_string(),
            dead: letter.dead.clone(),
            original,
            forced: false,
            original_cut,
        }
    }

    /// Returns the message's body, never longer than SQS accepts. If it is too long, the end of the original is cut off
    /// and `original_cut` is set.
    pub fn encode(self) -> String {
        self.encode_within(MAX_LETTER_BYTES)
    }

    /// The same, with at most `most` bytes: for a queue that takes less than SQS does. The oldest attempts go where the
    /// original alone is not too much.
    pub fn encode_within(mut self, most: usize) -> String {
        loop {
            // Plain structures with string keys: serialising cannot fail.
            let text = serde_json::to_string(&self).unwrap_or_default();
            // The same JSON without characters that SQS refuses or that a terminal would interpret.
            let text = net(&text).into_owned();
            let attempts = self.dead.attempts.len();
            if text.len() <= most || (self.original.is_empty() && attempts == 0) {
                return text;
            }
            if self.original.is_empty() {
                self.dead.attempts.drain(..attempts.div_ceil(2));
                continue;
            }
            self.original_cut = true;
            // Escapes are spread unevenly, so one cut may not be enough; each cut removes at least one byte.
            let share = self.original.len() * most / text.len();
            let keep = self.original.floor_char_boundary(share.min(self.original.len() - 1));
            self.original.truncate(keep);
        }
    }
}
