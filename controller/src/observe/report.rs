//! The report of what the controller knows ([`StatusReport`]): when one is due, and what it says.
//!
//! It is made from the ledger within a turn, job by job, so that at no time all of it exists as structures: 10,000 jobs
//! are some megabytes. Heartbeats are those that the controller has read anyway; a report costs no call but its own.

use std::{
    hash::{DefaultHasher, Hasher},
    sync::Arc,
};

use transcode_config::{
    contract::{BreakerStatus, ControlStatus, Document, PauseStatus, SCHEMA, StatusReport, encode},
    escape::one_line,
};
use transcode_core::{
    judge::launch_pause::Pause,
    policy::Policy,
    protocol::clock::{Ms, Now},
    state::ledger::{Definition, Ledger},
};

use super::{
    job_status::{job_status, place, wall_of},
    queues::QueueCounts,
    slot::Slot,
};

/// Shortest time between two reports (ms).
const EVERY: Ms = 10_000;

/// Each job's part of that time (ms): a report of thousands of jobs has megabytes.
const EVERY_OF_JOB: Ms = 4;

/// The same while the process ends (ms): the next report may be the last one.
const EVERY_WHILE_DRAINING: Ms = 1_000;

/// Longest time between two reports (ms), even if nothing changes: less than a minute, so that turns and the write
/// itself have time.
const ALIVE: Ms = 50_000;

/// Room for everything but the jobs, in bytes.
const HEAD: usize = 256 << 10;

/// Most characters of why the control document is refused.
const MOST_WORDS: usize = 500;

/// Who reports.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Reporter {
    pub environment: String,
    /// Random for each process.
    pub instance: String,
    /// When the process started (ms since 1970).
    pub started_at_ms: u64,
    /// For the writer.
    pub slot: Arc<Slot>,
    /// Counts of the queues, by name, as they are read for the metrics.
    pub queues: Arc<QueueCounts>,
}

/// What a turn has found out beside the ledger.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    /// Why launches pause, if people are told.
    pub(super) launches_pause: Option<&'a Pause>,
    /// Why receiving stops.
    pub(super) receiving_pause: Option<&'a str>,
}

/// What the reporter remembers between turns.
#[derive(Debug, Default)]
pub(super) struct Reported {
    /// When the ledger was last looked at for a report (monotonic).
    looked_at: Option<Ms>,
    /// When a report was last put in (monotonic).
    put_at: Option<Ms>,
    /// Hash of the last report without its times.
    print: u64,
    launches_pause: Option<PauseStatus>,
    receiving_pause: Option<PauseStatus>,
}

impl Reporter {
    /// Puts a report in if one is due. Returns when the next turn is needed (monotonic).
    pub(super) fn turned(
        &self,
        memory: &mut Reported,
        seen: Seen<'_>,
        (ledger, policy): (&Ledger, &Policy),
        now: Now,
    ) -> Ms {
        let large = (ledger.jobs.len() as Ms * EVERY_OF_JOB).min(ALIVE);
        let every = if ledger.draining { EVERY_WHILE_DRAINING } else { EVERY.max(large) };
        if let Some(due) = memory.looked_at.map(|at| at + every).filter(|due| now.mono < *due) {
            return due;
        }
        self.look(memory, seen, (ledger, policy), false, now);
        memory.put_at.unwrap_or(now.mono) + ALIVE
    }

    /// Puts the last report in and closes the slot.
    pub(super) fn ended(&self, memory: &mut Reported, seen: Seen<'_>, state: (&Ledger, &Policy), now: Now) {
        self.look(memory, seen, state, true, now);
        self.slot.close();
    }

    fn look(
        &self,
        memory: &mut Reported,
        seen: Seen<'_>,
        (ledger, policy): (&Ledger, &Policy),
        ended: bool,
        now: Now,
    ) {
        memory.looked_at = Some(now.mono);
        let pause = seen.launches_pause.map(Pause::to_string);
        since(&mut memory.launches_pause, pause.as_deref(), now);
        since(&mut memory.receiving_pause, seen.receiving_pause, now);
        let (mut text, left_off) = jobs(ledger, now);
        let head = StatusReport {
            ended,
            launches_pause: memory.launches_pause.clone(),
            receiving_pause: memory.receiving_pause.clone(),
            left_off,
            ..self.head(ledger, policy, now)
        };
        let print = print(&head, &text);
        let alive = memory.put_at.is_none_or(|at| now.mono >= at + ALIVE);
        if alive || ended || print != memory.print {
            (memory.put_at, memory.print) = (Some(now.mono), print);
            put_before(&head, &mut text);
            self.slot.put(text.into());
        }
    }

    /// All but the pauses and the jobs.
    fn head(&self, ledger: &Ledger, policy: &Policy, now: Now) -> StatusReport {
        let (task_definition, image_digest) = match &ledger.definition {
            Definition::Fit(pinned) => (Some(pinned.task_definition.clone()), pinned.image_digest.clone()),
            Definition::Unknown(_) | Definition::Unfit(_) => (None, None),
        };
        let breaker = ledger
            .breaker
            .probe_at(policy)
            .map(|(stage, at)| BreakerStatus { why: stage.to_string(), probe_at_ms: wall_of(at, now) });
        StatusReport {
            schema: SCHEMA,
            environment: self.environment.clone(),
            instance: self.instance.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at_ms: self.started_at_ms,
            written_at_ms: now.wall,
            draining: ledger.draining,
            queues: self.queues.all(),
            tasks_in_flight: ledger.in_flight.usage().tasks as u64,
            max_tasks: policy.max_tasks as u64,
            control: control(ledger),
            breaker,
            task_definition,
            image_digest,
            ..StatusReport::default()
        }
    }
}

/// The control document in force, and why a newer one is not; `None` before the first reading.
fn control(ledger: &Ledger) -> Option<ControlStatus> {
    let refused = ledger.steering_refused.as_deref().map(|why| one_line(why, MOST_WORDS));
    let read = !ledger.unsteered || refused.is_some();
    read.then_some(ControlStatus { revision: ledger.steering.revision, refused })
}

/// The jobs as JSON, with commas between them, and the number of those that are left off. The text has room for
/// the head: growing by doubling, and a copy with the head before it, would take four times as much.
fn jobs(ledger: &Ledger, now: Now) -> (Vec<u8>, u64) {
    let mut all: Vec<_> = ledger.jobs.iter().map(|(key, job)| (place(ledger, job), key)).collect();
    all.sort_unstable();
    let most = all.len().min(StatusReport::MOST_JOBS);
    let (mut text, mut listed) = (Vec::new(), 0);
    for (_, key) in all.iter().take(StatusReport::MOST_JOBS) {
        let Some(status) = job_status(ledger, key, now) else { continue };
        // A plain structure: serialising it cannot fail.
        let job = serde_json::to_vec(&status).unwrap_or_default();
        if text.len() + job.len() + HEAD > StatusReport::LIMIT {
            break;
        }
        if listed > 0 {
            text.push(b',');
        } else {
            // Jobs of one environment are about as long as each other.
            text.reserve_exact((job.len() * most * 9 / 8).min(StatusReport::LIMIT) + HEAD);
        }
        text.extend_from_slice(&job);
        listed += 1;
    }
    (text, (all.len() - listed) as u64)
}

/// Puts the rest of the report around its jobs, which are the last field.
fn put_before(head: &StatusReport, jobs: &mut Vec<u8>) {
    const TAIL: &[u8] = b"]}";
    let mut text = encode(head);
    text.truncate(text.len().saturating_sub(TAIL.len()));
    jobs.splice(0..0, text);
    jobs.extend_from_slice(TAIL);
}

/// A hash of all but the times that pass by themselves.
fn print(head: &StatusReport, jobs: &[u8]) -> u64 {
    let mut still = StatusReport { written_at_ms: 0, ..head.clone() };
    still.queues.values_mut().for_each(|queue| queue.counted_at_ms = 0);
    let mut hasher = DefaultHasher::new();
    hasher.write(&encode(&still));
    hasher.write(jobs);
    hasher.finish()
}

/// Notes a pause and since when it is told with these words.
fn since(known: &mut Option<PauseStatus>, why: Option<&str>, now: Now) {
    if known.as_ref().map(|pause| pause.why.as_str()) != why {
        *known = why.map(|why| PauseStatus { why: why.to_owned(), since_ms: now.wall });
    }
}

#[cfg(test)]
mod tests;
