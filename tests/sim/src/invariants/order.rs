//! S17: stable names only move forward.

use transcode_core::message::Request;

use super::{Kept, keep};
use crate::truth::JobTruth;

/// Position of a job's source by S3's own rule: hexadecimal digits, padded on the right. Computed independently, so
/// that the product's comparison is checked against a second implementation. A forced job is newer than every upload of
/// a seed.
pub fn rank(job: &JobTruth) -> u128 {
    let Request::Run(spec) = &job.request else { return 0 };
    // Tasks here do not report what they have read, so a job without a sequencer counts from its acceptance.
    if spec.forced || spec.source.sequencer.is_none() {
        return u128::MAX;
    }
    let digits = spec.source.sequencer.as_deref().unwrap_or_default().bytes().chain(std::iter::repeat(b'0'));
    digits.take(24).fold(0, |sum, digit| sum * 16 + u128::from((digit as char).to_digit(16).unwrap_or(0)))
}

/// An object under a stable name, or the job of the pointer, is never followed by an older version.
pub fn s17_moves_forward(what: &str, before: Option<&JobTruth>, after: &JobTruth) -> Kept {
    let back = before.is_some_and(|before| rank(before) > rank(after));
    keep(!back, "S17", || {
        let before = before.map(|job| job.key().to_string()).unwrap_or_default();
        format!("{what} went back from {before} to {}", after.key())
    })
}

/// A job that is reported as superseded really is.
pub fn s17_superseded_by_newer(job: &JobTruth, pointer: Option<&JobTruth>) -> Kept {
    let newer = pointer.is_some_and(|live| rank(live) > rank(job));
    keep(newer, "S17", || format!("{} is superseded by nothing newer", job.key()))
}

/// At rest, the newest version that succeeded is live under every stable name.
pub fn s17_newest_is_live(newest: &JobTruth, live: Option<&JobTruth>) -> Kept {
    keep(live.is_some_and(|live| rank(live) >= rank(newest)), "S17", || {
        let live = live.map_or_else(|| "nothing".to_owned(), |job| job.key().to_string());
        format!("{} is the newest that succeeded, and {live} is live", newest.key())
    })
}
