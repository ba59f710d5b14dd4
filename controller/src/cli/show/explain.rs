//! `explain`: for a person who is on call. Why does the job wait, until when, and who can act?
//!
//! A settled job is explained from its record alone, any other from its record and the controller's notes. A decided job
//! whose result is not published yet, or whose letter has not been sent, is not settled.

use std::net::SocketAddr;

use clap::Args;
use transcode_config::{
    Settings,
    contract::{
        Budget, Cancelled, Dead, Failure, Heartbeat, JobKey, Outcome, PastAttempt, Published, Succeeded,
        Superseded, TaskState, Told, Who,
    },
};

use crate::{
    cli::{
        find::{AttemptRecord, Record},
        output::{address, say, shown, span, time},
        setup::Session,
    },
    observe::http::{Notes, Waiting, ask_notes},
    runtime::wall_ms,
};

/// Which job to explain.
#[derive(Debug, Args)]
#[group(skip)]
pub(in crate::cli) struct Explain {
    /// The job's key: 32 hexadecimal characters, as in the logs.
    job: JobKey,
}

impl Explain {
    pub(in crate::cli) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        let job = &self.job;
        let record = Record::read(&session.store, job).await?;
        let listen = session.settings.http.listen.clone();
        let address: SocketAddr = listen.parse()?;
        let asked = tokio::task::spawn_blocking(move || ask_notes(address)).await?;
        let heard = asked.map_err(|error| format!("{listen}: {error}"));
        say(&format!("{}\n", paragraph(job, record.as_ref(), &heard, &session.settings, wall_ms())))
    }
}

/// The whole explanation. `heard` is the controller's answer, or why it gave none.
fn paragraph(
    job: &JobKey,
    record: Option<&Record>,
    heard: &Result<Notes, String>,
    settings: &Settings,
    now: u64,
) -> String {
    let view = View { heard, settings, now };
    let decided = record.and_then(|record| record.terminal.as_ref());
    let said = match (record, decided.map(|terminal| (&terminal.outcome, terminal.written_at_ms))) {
        (None, _) => vec![
            format!("The state bucket {} has no record of job {job}.", settings.state.bucket),
            view.controller(job),
            "An upload has a record as soon as its first attempt is claimed; before that its message is in the job queue, \
             and one that the controller cannot read or does not allow ends in the dead-letter queue."
                .to_owned(),
        ],
        (Some(record), None) => {
            let mut said = vec![about(record, now)];
            said.extend(view.undecided(record));
            said
        }
        (Some(record), Some((outcome, at))) => match view.unsettled(record, outcome) {
            Some(left) => vec![about(record, now), ended(outcome, at), left],
            None => vec![about(record, now), settled(record, outcome, at)],
        },
    };
    let said = said.into_iter().filter(|sentence| !sentence.is_empty()).collect::<Vec<_>>().join(" ");
    // It contains keys, and texts of ffmpeg and AWS: the paragraph must stay one line.
    shown(&said).into_owned()
}

fn about(record: &Record, now: u64) -> String {
    let Some(spec) = &record.spec else { return format!("Job {} was never accepted.", record.job) };
    let again = match spec.generation {
        0 => String::new(),
        generation => format!(", redriven {generation} times"),
    };
    let source = address(&spec.source.bucket, &spec.source.key);
    let age = span(now.saturating_sub(spec.accepted_at_ms));
    format!("Job {} is {source}, profile {}{again}, accepted {age} ago.", record.job, spec.profile.name)
}

/// How a settled job ended.
fn settled(record: &Record, outcome: &Outcome, at: u64) -> String {
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
fn ended(outcome: &Outcome, at: u64) -> String {
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
        "It is dead since {}, {}: {}.{arn} {} Then `redrive --job {job}` runs it again.",
        time(at),
        tried(dead),
        why(&dead.failure),
        who(&dead.failure),
    )
}

fn tried(dead: &Dead) -> String {
    match dead.attempts.len() {
        0 => "without an attempt".to_owned(),
        1 => "after 1 attempt".to_owned(),
        many => format!("after {many} attempts"),
    }
}

/// Code, meaning, and the evidence of this failure.
fn why(failure: &Failure) -> String {
    let info = failure.code.info();
    let message = failure.message.trim_end_matches('.');
    if message.is_empty() || message == info.meaning {
        return format!("{} ({})", info.name, info.meaning);
    }
    format!("{} ({}): {message}", info.name, info.meaning)
}

fn who(failure: &Failure) -> String {
    let info = failure.code.info();
    match info.who {
        Who::Uploader => format!("The uploader can act: {}.", info.remedy),
        Who::Operator => format!("You can act: {}.", info.remedy),
        Who::Aws => format!("It was AWS' doing: {}.", info.remedy),
    }
}

/// Who can act on the reason for which a job waits.
fn acts(waiting: &Waiting) -> String {
    if waiting.refused {
        return "You can act: AWS refuses that call until somebody changes what it names (a permission, a key, a \
                setting). The controller tries it less and less often, at last every 15 min; SIGHUP with changed \
                settings makes it try at once."
            .to_owned();
    }
    "Nobody has to act as long as that passes.".to_owned()
}

/// The inputs for the explanation of an undecided job.
struct View<'a> {
    heard: &'a Result<Notes, String>,
    settings: &'a Settings,
    now: u64,
}

impl View<'_> {
    fn undecided(&self, record: &Record) -> Vec<String> {
        let Some(newest) = record.newest() else {
            let claim = "Its first attempt has not been claimed.".to_owned();
            return vec![claim, self.controller(&record.job)];
        };
        vec![self.attempt(newest), self.budgets(&newest.claim.history), self.controller(&record.job)]
    }

    fn attempt(&self, newest: &AttemptRecord) -> String {
        let claim = &newest.claim;
        let (number, deadline) = (claim.attempt, claim.launch_not_after_ms);
        match &newest.heartbeat {
            Some(heartbeat) => self.heartbeat(newest, heartbeat),
            None if self.now < deadline => format!(
                "Attempt {number} was claimed {} ago and its task has not reported yet: it waits for ECS to start one, \
                 until {}. Nobody has to act before that.",
                self.ago(claim.created_at_ms),
                self.until(deadline),
            ),
            None => {
                let sure = deadline + self.margin() + self.settings.observe.heartbeat_stale_seconds * 1000;
                format!(
                    "Attempt {number} was claimed {} ago and no task of it has reported; it had to start before {}. It \
                     is given up and followed by another at about {}, once it is certain that no task came up. If that \
                     repeats, you can act: look at the reasons of the stopped tasks in cluster {} (image, subnets, \
                     quota).",
                    self.ago(claim.created_at_ms),
                    time(deadline),
                    self.until(sure),
                    self.settings.cluster.name,
                )
            }
        }
    }

    fn heartbeat(&self, newest: &AttemptRecord, heartbeat: &Heartbeat) -> String {
        let (number, stage) = (newest.claim.attempt, heartbeat.stage.name());
        let heard = self.ago(heartbeat.written_at_ms);
        let silence = self.settings.observe.heartbeat_stale_seconds * 1000;
        match &heartbeat.state {
            TaskState::Working if self.now <= heartbeat.written_at_ms + silence => {
                let longest = newest.claim.launch_not_after_ms + self.margin() + self.run_time();
                let playable = heartbeat
                    .playable
                    .as_ref()
                    .map(|key| format!(" What is ready can be played: {key} in the output bucket."));
                format!(
                    "Attempt {number} is {stage}, {:.0} % done, last heard of {heard} ago: it waits for that task alone, at \
                     the longest until {}. Nobody has to act.{}",
                    heartbeat.percent,
                    self.until(longest),
                    playable.unwrap_or_default(),
                )
            }
            TaskState::Working => {
                let given_up = heartbeat.written_at_ms + 2 * silence;
                let task = heartbeat.task_arn.as_deref().unwrap_or("its task");
                format!(
                    "Attempt {number} was {stage} when it was last heard of {heard} ago: the task is dead or cut off. The \
                     controller stops it at about {} and then tries again; you need not act, but can: stop {task}.",
                    self.until(given_up),
                )
            }
            TaskState::Finished => format!(
                "Attempt {number} said {heard} ago that it had finished, and yet the terminal record is missing: you can act; \
                 somebody has deleted it, or the state bucket answers with old data."
            ),
            TaskState::Interrupted => format!(
                "Attempt {number} was stopped from outside {heard} ago while {stage}. It waits for the next one, {}. Nobody \
                 has to act.",
                self.backoff(),
            ),
            TaskState::Failed { failure } if failure.code.info().retryable => format!(
                "Attempt {number} failed {heard} ago while {stage}: {}. It waits for the next attempt, {}. {}",
                why(failure),
                self.backoff(),
                who(failure),
            ),
            TaskState::Failed { failure } => format!(
                "Attempt {number} failed {heard} ago while {stage}: {}. Another attempt cannot help, so it is about to be \
                 given up. {}",
                why(failure),
                who(failure),
            ),
        }
    }

    /// The attempts that are left, once some are spent.
    fn budgets(&self, history: &[PastAttempt]) -> String {
        let spent = |budget| history.iter().filter(|past| past.budget == budget).count();
        let Some(last) = history.last() else { return String::new() };
        let jobs = &self.settings.jobs;
        format!(
            "Before it the job itself failed {} of {} allowed times and the platform {} of {}, last with {} ({}).",
            spent(Budget::Job),
            jobs.max_attempts,
            spent(Budget::Platform),
            jobs.max_platform_attempts,
            last.code,
            last.message,
        )
    }

    /// The remaining steps of a decided job, from the controller's notes and from the live job under its stable prefix.
    fn unsettled(&self, record: &Record, outcome: &Outcome) -> Option<String> {
        match self.heard {
            Ok(notes) => match notes.jobs.get(record.job.as_str()) {
                Some(waiting) => Some(format!("{} {}", self.said(waiting), acts(waiting))),
                None if record.is_unpublished(outcome) => Some(format!(
                    "Nothing of it is published yet. {} Its message comes back to the queue by itself, and the controller \
                     goes on with it then.",
                    self.controller(&record.job)
                )),
                None => None,
            },
            Err(_) if record.is_unpublished(outcome) => {
                Some(format!("Nothing of it is published yet. {}", self.controller(&record.job)))
            }
            Err(_) => None,
        }
    }

    fn said(&self, Waiting { why, until_ms, .. }: &Waiting) -> String {
        match until_ms {
            Some(until) => format!("The controller says: {why}; it looks again at {}.", self.until(*until)),
            None => format!("The controller says: {why}."),
        }
    }

    /// The running controller's note on the job.
    fn controller(&self, job: &JobKey) -> String {
        let notes = match self.heard {
            Ok(notes) => notes,
            Err(error) => {
                return format!(
                    "The controller did not answer ({error}): if none runs, nothing goes on; start one."
                );
            }
        };
        let pause = notes.launches_pause.as_ref();
        let pause = pause.map(|why| format!(" It launches nothing at present: {why}.")).unwrap_or_default();
        let full = notes.receiving_pause.as_ref();
        let full = full.map(|why| format!(" It receives nothing at present: {why}.")).unwrap_or_default();
        let draining = if notes.draining { " It is draining and begins nothing new." } else { "" };
        let said = match notes.jobs.get(job.as_str()) {
            Some(waiting) if waiting.refused => format!("{} {}", self.said(waiting), acts(waiting)),
            Some(waiting) => self.said(waiting),
            None if notes.left_off > 0 => {
                format!("The controller's notes do not mention it, but leave {} jobs off.", notes.left_off)
            }
            None => "The controller's notes do not mention it: it holds no message of the job, or is at work on it \
                     right now."
                .to_owned(),
        };
        // The note of a job that waits for the same reason already contains it.
        let told = notes.launches_pause.as_ref().is_some_and(|why| said.contains(why.as_str()));
        said + if told { "" } else { &pause } + &full + draining
    }

    fn backoff(&self) -> String {
        format!("which follows within {}", span(self.settings.jobs.retry_cap_seconds * 1000))
    }

    /// The largest difference of clocks that the protocol allows for.
    fn margin(&self) -> u64 {
        self.settings.launch.clock_skew_seconds * 1000
    }

    fn run_time(&self) -> u64 {
        self.settings.jobs.max_run_seconds * 1000
    }

    fn ago(&self, ms: u64) -> String {
        span(self.now.saturating_sub(ms))
    }

    fn until(&self, ms: u64) -> String {
        match ms.checked_sub(self.now) {
            Some(left) => format!("{} (in {})", time(ms), span(left)),
            None => format!("{} (passed {} ago)", time(ms), span(self.now - ms)),
        }
    }
}

#[cfg(test)]
mod tests;
