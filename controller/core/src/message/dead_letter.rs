//! The body of a dead-letter message: the original and why it is here. A redrive sends it back as it is, and it is
//! read as the next generation of the job that died.

use serde::{Deserialize, Serialize};
use transcode_config::{
    contract::{Dead, JobKey, SCHEMA},
    escape::net,
};

use crate::protocol::action::DeadLetter;

/// `kind` of a dead letter.
pub const DEAD_LETTER_KIND: &str = "transcode.dead-letter";

/// Longest body that is sent: SQS' limit of 1 MiB less some room for message attributes.
const MAX_LETTER_BYTES: usize = (1 << 20) - (8 << 10);

/// A dead letter as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct DeadLetterBody {
    pub schema: u32,
    /// [`DEAD_LETTER_KIND`].
    pub kind: String,
    /// The job that died.
    pub job: JobKey,
    /// Its generation; a redrive runs the next.
    pub generation: u32,
    /// Id of the message that is replaced by this one. The same id twice is a marked duplicate.
    pub message_id: String,
    pub dead: Dead,
    /// The body that first asked for the job: of a job that died again after a redrive, still the first one.
    pub original: String,
    /// A person wants the job that this asks for live, though something newer is. Set by a redrive; a letter never has it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
    /// `original` is only the beginning: with escapes and the rest it would not have fitted into a message.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub original_cut: bool,
}

impl DeadLetterBody {
    /// The letter for a job that is dead.
    pub fn of(letter: &DeadLetter) -> Self {
        // A letter that came back and died again: its own original, or letters would nest and double with each redrive.
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

    /// The message's body, never longer than SQS takes: what is too long loses the end of its original, and says so.
    pub fn encode(mut self) -> String {
        loop {
            // Plain structures with string keys: serialising cannot fail.
            let text = serde_json::to_string(&self).unwrap_or_default();
            // The same JSON, without characters that SQS refuses or that act on whoever looks at the letter.
            let text = net(&text).into_owned();
            if text.len() <= MAX_LETTER_BYTES || self.original.is_empty() {
                return text;
            }
            self.original_cut = true;
            // Escapes are unevenly spread, so the first cut may not be enough; each one takes at least a byte.
            let share = self.original.len() * MAX_LETTER_BYTES / text.len();
            let keep = self.original.floor_char_boundary(share.min(self.original.len() - 1));
            self.original.truncate(keep);
        }
    }
}
