//! The index: empty objects in the state bucket whose **keys** say it all, so that a listing answers and nothing needs
//! to be read.
//!
//! ```text
//! index/recent/<9999999999999 - accepted ms>-<job>/accepted/<profile>/<bucket>/<object key>
//! index/recent/<9999999999999 - accepted ms>-<job>/ended/<state>/<code or ->/<ended ms>
//! index/source/<hash of bucket and object key>/<9999999999999 - accepted ms>-<job>
//! ```
//!
//! S3 lists in the order of keys: the newest job comes first, both entries of a job are neighbours, and 1,000 jobs are
//! two pages. Each key follows from documents that are written once (`spec.json`, `terminal.json`), so that whoever
//! writes it again, after a crash or as another controller, writes the same key.
//!
//! Strangers choose object keys, and anything may lie below the prefix: reading never fails, it gives none.

use std::fmt::Write;

use super::{
    job::{JobKey, JobSpec},
    terminal::{Outcome, Terminal},
};
use crate::aws::url_decoded;

/// Prefix of the entries by time.
const RECENT: &str = "index/recent/";

/// Prefix of the entries by source.
const SOURCE: &str = "index/source/";

/// Times are subtracted from this (ms since 1970, in the year 2286), so that the newest comes first.
const LAST_MS: u64 = 9_999_999_999_999;

/// Longest escaped object key, in bytes. S3 allows 1024 for the whole key, and the rest takes at most 320.
const MAX_KEY: usize = 700;

/// Longest escaped profile, bucket and code, in bytes.
const MAX_WORD: usize = 120;

/// The end of a word that was cut. No escaped word contains it.
const CUT: char = '~';

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names of the terminal record's outcomes")]
pub enum EndState {
    Succeeded,
    Dead,
    Superseded,
    Cancelled,
}

impl EndState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Succeeded, Self::Dead, Self::Superseded, Self::Cancelled];

    /// The state of a decided job.
    pub const fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Succeeded(_) => Self::Succeeded,
            Outcome::Dead(_) => Self::Dead,
            Outcome::Superseded(_) => Self::Superseded,
            Outcome::Cancelled(_) => Self::Cancelled,
        }
    }

    /// The state as one lower-case word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Dead => "dead",
            Self::Superseded => "superseded",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What an entry says of its job.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub enum IndexEntry {
    /// The job was accepted.
    Accepted {
        profile: String,
        /// Bucket of the source.
        bucket: String,
        /// Object key of the source, or its beginning. A stranger's word.
        key: String,
        /// The object key is longer; `spec.json` has the whole.
        cut: bool,
    },
    /// The job is decided and published, or buried.
    Ended {
        state: EndState,
        /// Name of the failure code of a dead job.
        code: Option<String>,
        /// When its terminal record was written (ms since 1970).
        ended_at_ms: u64,
    },
}

/// One key below `index/recent/`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct IndexKey {
    pub job: JobKey,
    /// When the job was accepted (ms since 1970), as `spec.json` says. Of a job that ended before it was accepted, as a
    /// refused request does: when its terminal record was written.
    pub accepted_at_ms: u64,
    pub entry: IndexEntry,
}

impl IndexKey {
    /// The entry of a job that is accepted.
    pub fn accepted(spec: &JobSpec) -> Self {
        let entry = IndexEntry::Accepted {
            profile: spec.profile.name.clone(),
            bucket: spec.source.bucket.clone(),
            key: spec.source.key.clone(),
            cut: false,
        };
        Self { job: spec.job.clone(), accepted_at_ms: spec.accepted_at_ms, entry }
    }

    /// The entry of a job that is decided.
    pub fn ended(accepted_at_ms: u64, terminal: &Terminal) -> Self {
        let code = match &terminal.outcome {
            Outcome::Dead(dead) => Some(dead.failure.code.to_string()),
            Outcome::Succeeded(_) | Outcome::Superseded(_) | Outcome::Cancelled(_) => None,
        };
        let (state, ended_at_ms) = (EndState::of(&terminal.outcome), terminal.written_at_ms);
        let entry = IndexEntry::Ended { state, code, ended_at_ms };
        Self { job: terminal.job.clone(), accepted_at_ms, entry }
    }

    /// The key: at most 1024 bytes of letters, digits and `-_.%~/`.
    pub fn to_key(&self) -> String {
        let head = format!("{RECENT}{}", place(self.accepted_at_ms, &self.job));
        match &self.entry {
            IndexEntry::Accepted { profile, bucket, key, cut } => {
                let (profile, bucket) = (word(profile, MAX_WORD), word(bucket, MAX_WORD));
                let mut key = word(key, MAX_KEY);
                if *cut && !key.ends_with(CUT) {
                    key.push(CUT);
                }
                format!("{head}/accepted/{profile}/{bucket}/{key}")
            }
            IndexEntry::Ended { state, code, ended_at_ms } => {
                let code = code.as_ref().map_or_else(|| "-".into(), |code| word(code, MAX_WORD));
                format!("{head}/ended/{}/{code}/{ended_at_ms}", state.name())
            }
        }
    }

    /// Reads a key; none for any other than [`Self::to_key`] gives.
    pub fn parse(key: &str) -> Option<Self> {
        let (place, rest) = key.strip_prefix(RECENT)?.split_once('/')?;
        let (accepted_at_ms, job) = placed(place)?;
        let mut words = rest.split('/');
        let entry = match (words.next()?, words.next()?, words.next()?, words.next()?) {
            ("accepted", profile, bucket, key) => {
                let (key, cut) = read(key)?;
                IndexEntry::Accepted { profile: read(profile)?.0, bucket: read(bucket)?.0, key, cut }
            }
            ("ended", state, code, at) => IndexEntry::Ended {
                state: EndState::ALL.into_iter().find(|known| known.name() == state)?,
                code: if code == "-" { None } else { Some(read(code)?.0) },
                ended_at_ms: at.parse().ok()?,
            },
            _ => return None,
        };
        words.next().is_none().then_some(Self { job, accepted_at_ms, entry })
    }

    /// The prefix of all entries by time.
    pub const fn prefix() -> &'static str {
        RECENT
    }

    /// The `start-after` of a listing that begins with the newest job accepted at `until_ms` or before.
    pub fn start_at(until_ms: u64) -> String {
        format!("{RECENT}{:013}", LAST_MS.saturating_sub(until_ms))
    }

    /// The `start-after` of a listing that begins behind a job.
    pub fn start_behind(accepted_at_ms: u64, job: &JobKey) -> String {
        // '~' comes behind every letter.
        format!("{RECENT}{}/~", place(accepted_at_ms, job))
    }

    /// The key by which the job is found by its source.
    pub fn source_key(spec: &JobSpec) -> String {
        let folder = source_folder(&spec.source.bucket, &spec.source.key);
        format!("{folder}{}", place(spec.accepted_at_ms, &spec.job))
    }

    /// Reads a key below [`source_folder`]: when the job was accepted (ms since 1970), and the job.
    pub fn parse_source(key: &str) -> Option<(u64, JobKey)> {
        let (hash, place) = key.strip_prefix(SOURCE)?.split_once('/')?;
        hash.parse::<JobKey>().ok()?;
        placed(place)
    }
}

/// The prefix of the jobs of one object, with a trailing slash: `index/source/<hash of bucket and object key>/`.
pub fn source_folder(bucket: &str, key: &str) -> String {
    format!("{SOURCE}{}/", JobKey::of(&[bucket, key]))
}

/// `<reversed ms>-<job>`
fn place(accepted_at_ms: u64, job: &JobKey) -> String {
    format!("{:013}-{job}", LAST_MS.saturating_sub(accepted_at_ms))
}

fn placed(place: &str) -> Option<(u64, JobKey)> {
    let (reversed, job) = place.split_once('-')?;
    let digits = reversed.len() == 13 && reversed.bytes().all(|byte| byte.is_ascii_digit());
    let reversed: u64 = reversed.parse().ok().filter(|_| digits)?;
    Some((LAST_MS.checked_sub(reversed)?, job.parse().ok()?))
}

/// A word as it is in a key: escaped with `%`, and cut at a character if it is longer than `most` bytes.
fn word(text: &str, most: usize) -> String {
    let mut word = String::with_capacity(text.len().min(most));
    for (at, c) in text.char_indices() {
        // A segment that begins with a dot could be taken for a dot segment on the way.
        let plain = c.is_ascii_alphanumeric() || matches!(c, '-' | '_') || (c == '.' && at > 0);
        let mut bytes = [0; 4];
        let bytes = c.encode_utf8(&mut bytes).bytes();
        let length = if plain { 1 } else { 3 * bytes.len() };
        if word.len() + length > most {
            word.push(CUT);
            break;
        }
        if plain {
            word.push(c);
        } else {
            for byte in bytes {
                // Writing into a string cannot fail.
                let _ = write!(word, "%{byte:02X}");
            }
        }
    }
    word
}

/// Reads a word of a key; and whether it was cut.
fn read(word: &str) -> Option<(String, bool)> {
    let (text, cut) = word.strip_suffix(CUT).map_or((word, false), |text| (text, true));
    Some((url_decoded(text)?, cut))
}

#[cfg(test)]
mod tests;
