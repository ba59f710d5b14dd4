//! How a decided job ended, and who can act.

use transcode_config::contract::{
    Cancelled, Dead, Failure, JobKey, Outcome, Published, Succeeded, Superseded, Told, Who,
};

use crate::cli::{
    find::Record,
    output::{address, shown, time},
};

/// How a settled job ended.
pub(super) fn settled(record: &Record, outcome: &Outcome, at: u64) -> String {
    match outcome {
        Outcome::Succeeded(won) => {
            record.superseded_by().map_or_else(|| succeeded(won, at), |by| superseded(won, by, at))
        }
        Outcome::Superseded(superseded) => stopped(superseded, at),
        Outcome::Cancelled(cancelled) => called_off(cancelled, at),
        Outcome::Dead(dead) => died(&record.job, dead, at),
    }
}

/// The end of a decided job that is not settled yet.
pub(super) fn ended(outcome: &Outcome, at: u64) -> String {
    match outcome {
        Outcome::Succeeded(won) => format!(
            "Attempt {} has succeeded at {} with {} files, and the job is not settled yet.",
            won.attempt,
            time(at),
            won.files,
        ),
        Outcome::Superseded(_) => format!("It is superseded since {}, and not settled yet.", time(at)),
        Outcome::Cancelled(cancelled) => {
            format!("It is cancelled since {} by {}, and not settled yet.", time(at), by(&cancelled.told))
        }
        Outcome::Dead(dead) => format!(
            "It is given up since {}, {}: {}. {} The job is not settled yet.",
            time(at),
            tried(dead),
            why(&dead.failure),
            who(&dead.failure),
        ),
    }
}

fn succeeded(won: &Succeeded, at: u64) -> String {
    // Players are given a playlist, not the poster that lies beside it.
    let playlist = won.entry_points.iter().find(|entry| entry.to.ends_with("/master.m3u8"));
    let stable = playlist.or(won.entry_points.first()).map(|entry| address(&won.bucket, &entry.to));
    format!(
        "It is done: attempt {} succeeded at {} with {} files, to be played from {}. Nobody has to act.",
        won.attempt,
        time(at),
        won.files,
        stable.unwrap_or_else(|| address(&won.bucket, &won.folder)),
    )
}

/// The job has no result.
fn stopped(superseded: &Superseded, at: u64) -> String {
    let by = superseded.by.as_ref().map(|by| format!(": job {by}")).unwrap_or_default();
    let tried = if superseded.attempts.is_empty() { "It was not begun" } else { "Its task was stopped" };
    let at = time(at);
    format!(
        "It is superseded since {at}: a later upload of the same object is live{by}. {tried}. Nobody has to act."
    )
}

/// The job has no result, because somebody wanted none.
fn called_off(cancelled: &Cancelled, at: u64) -> String {
    let tried = if cancelled.attempts.is_empty() { "It was not begun" } else { "Its task was stopped" };
    let (by, at) = (by(&cancelled.told), time(at));
    format!(
        "It is cancelled since {at} by {by}. {tried}, it has no result and is not tried again. Nobody has to act."
    )
}

/// Who wanted something, and why.
fn by(Told { who, why, .. }: &Told) -> String {
    let because = if why.is_empty() { "without a reason".into() } else { format!("because: {}", shown(why)) };
    format!("{}, {because}", shown(who))
}

/// The result of a superseded job stays until the lifecycle rule of the bucket removes it.
fn superseded(won: &Succeeded, by: &Published, at: u64) -> String {
    format!(
        "It is superseded: attempt {} succeeded at {}, and something newer is live at {}: job {}, uploaded {}, published \
         {}. Its own result stays in {} until the bucket's lifecycle rules remove it. Nobody has to act.",
        won.attempt,
        time(at),
        address(&by.output.bucket, &by.output.prefix),
        by.job,
        time(by.order.uploaded_at_ms),
        time(by.published_at_ms),
        address(&won.bucket, &won.folder),
    )
}

fn died(job: &JobKey, dead: &Dead, at: u64) -> String {
    let arn = dead.last_task_arn.as_ref().map(|arn| format!(" The last task was {arn}.")).unwrap_or_default();
    format!(
        "It is dead since {}, {}: {}.{arn} {} {}",
        time(at),
        tried(dead),
        why(&dead.failure),
        who(&dead.failure),
        again(job, &dead.failure),
    )
}

/// Whether the same version can do better in a second run, and how to begin it.
fn again(job: &JobKey, failure: &Failure) -> String {
    match failure.code.info().who {
        Who::Uploader => "The same version would fail again; a new upload is a job of its own.".to_owned(),
        Who::Operator | Who::Aws => format!("Then `dead-letters redrive --job {job}` runs it again."),
    }
}

fn tried(dead: &Dead) -> String {
    match dead.attempts.len() {
        0 => "without an attempt".to_owned(),
        1 => "after 1 attempt".to_owned(),
        many => format!("after {many} attempts"),
    }
}

/// Code, meaning, and the evidence of this failure.
pub(super) fn why(failure: &Failure) -> String {
    let info = failure.code.info();
    let message = failure.message.trim_end_matches('.');
    if message.is_empty() || message == info.meaning {
        return format!("{} ({})", info.name, info.meaning);
    }
    format!("{} ({}): {message}", info.name, info.meaning)
}

pub(super) fn who(failure: &Failure) -> String {
    let info = failure.code.info();
    match info.who {
        Who::Uploader => format!("The uploader can act: {}.", info.remedy),
        Who::Operator => format!("You can act: {}.", info.remedy),
        Who::Aws => format!("It was AWS' doing: {}.", info.remedy),
    }
}
