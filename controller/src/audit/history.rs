//! The state that the logs describe so far, and the checks on it.

use std::collections::BTreeMap;

use super::{
    duties::Duties,
    line::{Line, LogEvent, Outcome, Pointer, RecordRead},
    message::{End, Message},
    prefixes::Prefixes,
    report::{AuditReport, MessageReport, Violation},
    tenants::{Tenants, Whose},
    totals::{MAX_KNOWN, Totals},
};

/// Most violations kept as text; further ones are only counted.
const MAX_VIOLATIONS: usize = 1000;

/// A launch may be logged this long (ms) after its deadline: no call lies between the decision and the line.
const LAUNCH_SLACK_MS: u64 = 1000;

/// A job. Process numbers say which process has read or done what.
#[derive(Debug, Default)]
pub(super) struct Job {
    pub(super) record: Option<RecordRead>,
    pub(super) terminal_record_read_by: u64,
    pub(super) published_by: u64,
    pub(super) listed_by: u64,
    pub(super) told_by: u64,
    /// By attempt number: the nonce of its claim, and its task.
    pub(super) claims: BTreeMap<u64, String>,
    pub(super) tasks: BTreeMap<u64, String>,
}

/// The state that the logs describe.
#[derive(Debug, Default)]
pub struct History {
    pub(super) jobs: BTreeMap<String, Job>,
    pub(super) messages: BTreeMap<String, Message>,
    prefixes: Prefixes,
    pub(super) tenants: Tenants,
    /// Time of the newest line (ms since 1970).
    now: u64,
    pub(super) violations: Vec<Violation>,
    pub(super) totals: Totals,
    file: String,
    line: u64,
    pub(super) process: u64,
    pub(super) duties: Duties,
    max_attempts: Option<u64>,
    max_platform: Option<u64>,
}

impl History {
    /// A log begins: the following lines are from another process.
    pub(super) fn begin(&mut self, file: &str) {
        file.clone_into(&mut self.file);
        self.totals.files += 1;
        self.process += 1;
        self.duties = Duties::default();
    }

    /// The log, or a process in it, ends.
    pub(super) fn end(&mut self) {
        let found = self.tenants.end(self.now);
        self.unfair(found);
    }

    /// L9.
    fn unfair(&mut self, found: impl IntoIterator<Item = String>) {
        for text in found {
            self.violated("L9", text);
        }
    }

    /// Takes in a line.
    pub(super) fn line(&mut self, number: u64, line: Line) {
        self.line = number;
        self.totals.lines += 1;
        match line {
            Line::Torn => self.totals.torn += 1,
            Line::Other => self.totals.other += 1,
            Line::Event(at, said) => {
                self.now = at.unwrap_or(self.now);
                self.said(at.unwrap_or(0), said);
            }
        }
    }

    fn said(&mut self, at: u64, said: LogEvent) {
        match said {
            LogEvent::Started { attempts, platform, bus } => {
                self.end();
                self.process += 1;
                self.totals.processes += 1;
                self.duties = Duties::at_start(bus.as_deref(), at);
                self.max_attempts = self.max_attempts.max(attempts);
                self.max_platform = self.max_platform.max(platform);
            }
            LogEvent::Limit { platform: false, to } => self.max_attempts = self.max_attempts.max(Some(to)),
            LogEvent::Limit { platform: true, to } => self.max_platform = self.max_platform.max(Some(to)),
            LogEvent::BusChanged { to } => self.duties.bus_changed(&to, at),
            LogEvent::Received { message, jobs } => self.received(message, jobs, at),
            LogEvent::Steered => {
                let found = self.tenants.changed(at);
                self.unfair(found);
            }
            LogEvent::Stirred { job } => self.tenants.stirred(&job),
            LogEvent::Asked { message, job, tenant } => self.asked(&message, job, tenant, at),
            LogEvent::AskedInstead { message, job, of } => {
                if let Some(known) = self.messages.get_mut(&message) {
                    known.jobs.retain(|known| *known != of && *known != job);
                    known.jobs.push(job);
                }
            }
            LogEvent::Parked { message } => self.moved(&message, End::Parked, at),
            LogEvent::Released { message } => self.moved(&message, End::Released, at),
            LogEvent::Lost { message } => self.moved(&message, End::Lost, at),
            LogEvent::Deleted { message } => self.deleted(&message, at),
            LogEvent::Lettered { message, job } => {
                let process = self.process;
                if let Some(known) = self.messages.get_mut(&message) {
                    known.lettered.push((job, process));
                }
            }
            LogEvent::Claimed { job, attempt, nonce, by_job, by_platform, cpu } => {
                let late = self.tenants.claimed(&job, attempt, cpu, at);
                self.unfair(late);
                self.claimed(&job, attempt, &nonce, by_job, by_platform);
            }
            LogEvent::Sent { job, attempt, not_after_ms } => {
                if at > not_after_ms.saturating_add(LAUNCH_SLACK_MS) {
                    let late = at - not_after_ms;
                    self.violated(
                        "S7",
                        format!("job {job}: attempt {attempt} launched {late} ms after its deadline"),
                    );
                }
                self.begun_after_the_terminal_record(&job, attempt, "launched");
            }
            LogEvent::Launched { job, attempt, task } => self.launched(&job, attempt, &task),
            LogEvent::RecordRead { job, record } => self.record(&job, record),
            LogEvent::Published { job, pointer } => self.published(job, pointer),
            LogEvent::Superseded { job } => self.settled_by_us(&job),
            LogEvent::Listed { job } => self.listed(&job),
            LogEvent::Told { job, kind } => self.told(&job, &kind),
            LogEvent::Settled { job, success } => self.settled(&job, success),
        }
    }

    /// The report on the logs read so far.
    pub fn report(mut self) -> AuditReport {
        let messages = self.messages.into_iter().map(|(message, known)| {
            let end = known.end();
            self.totals.count(end);
            MessageReport { message, end, jobs: known.jobs }
        });
        let messages = messages.collect();
        AuditReport { messages, violations: self.violations, totals: self.totals }
    }

    pub(super) fn violated(&mut self, invariant: &'static str, text: String) {
        self.totals.violations += 1;
        if self.violations.len() < MAX_VIOLATIONS {
            let (file, line) = (self.file.clone(), self.line);
            self.violations.push(Violation { invariant, file, line, text });
        }
    }

    /// Returns a job, and keeps it from now on. If there is no room, decided jobs are forgotten.
    pub(super) fn job(&mut self, key: &str) -> &mut Job {
        if self.jobs.len() >= MAX_KNOWN && !self.jobs.contains_key(key) {
            let all = self.jobs.len();
            self.jobs.retain(|_, job| job.record.is_none());
            if self.jobs.len() == all {
                self.jobs.clear();
            }
            self.totals.forgotten += (all - self.jobs.len()) as u64;
        }
        self.jobs.entry(key.to_owned()).or_default()
    }

    fn received(&mut self, id: String, jobs: u64, at: u64) {
        if self.messages.len() >= MAX_KNOWN && !self.messages.contains_key(&id) {
            let all = self.messages.len();
            let totals = &mut self.totals;
            self.messages.retain(|_, message| {
                let end = message.end();
                if end.settled() {
                    totals.count(end);
                }
                !end.settled()
            });
            if self.messages.len() == all {
                self.messages.clear();
            }
            self.totals.forgotten += (all - self.messages.len()) as u64;
        }
        let process = self.process;
        let message = self.messages.entry(id).or_default();
        message.held_by = process;
        if jobs == 0 {
            message.jobs.clear();
        }
        message.to(End::Held, at);
    }

    fn asked(&mut self, message: &str, job: String, tenant: Option<Whose>, at: u64) {
        if let Some(whose) = tenant {
            self.totals.forgotten += self.tenants.asked(&job, whose, at);
        }
        if let Some(known) = self.messages.get_mut(message)
            && !known.jobs.contains(&job)
        {
            known.jobs.push(job);
        }
    }

    fn moved(&mut self, id: &str, end: End, at: u64) {
        let Some(message) = self.messages.get_mut(id) else { return };
        message.jobs.iter().for_each(|job| self.tenants.stirred(job));
        match end {
            End::Parked => message.parked = true,
            // A message is put aside by a release with a delay.
            End::Released if message.parked => return,
            _ => {}
        }
        message.to(end, at);
    }

    /// S5, S6, S9, S10, S12.
    fn claimed(&mut self, key: &str, attempt: u64, nonce: &str, by_job: u64, by_platform: u64) {
        let over = by_job.saturating_add(by_platform);
        if over.saturating_add(1) != attempt {
            let text =
                format!("job {key}: attempt {attempt} is claimed and {over} before it are said to be over");
            self.violated("S5", text);
        }
        for (invariant, spent, most) in
            [("S9", by_job, self.max_attempts), ("S10", by_platform, self.max_platform)]
        {
            if most.is_some_and(|most| spent >= most) {
                let text = format!(
                    "job {key}: attempt {attempt} is claimed after {spent} failures; the budget is used up"
                );
                self.violated(invariant, text);
            }
        }
        self.begun_after_the_terminal_record(key, attempt, "claimed");
        let before = self.job(key).claims.entry(attempt).or_insert_with(|| nonce.to_owned()).clone();
        if before != nonce {
            self.violated(
                "S6",
                format!("job {key}: attempt {attempt} is claimed by {before} and by {nonce}"),
            );
        }
    }

    fn begun_after_the_terminal_record(&mut self, key: &str, attempt: u64, what: &str) {
        let process = self.process;
        let job = self.job(key);
        if job.record.is_some() && job.terminal_record_read_by == process {
            self.violated(
                "S12",
                format!("job {key}: attempt {attempt} {what} after the terminal record was read"),
            );
        }
    }

    /// S7.
    fn launched(&mut self, key: &str, attempt: u64, task: &str) {
        let over = self.tenants.launched(key);
        self.unfair(over);
        let before = self.job(key).tasks.entry(attempt).or_insert_with(|| task.to_owned()).clone();
        if before != task {
            self.violated("S7", format!("job {key}: attempt {attempt} has the tasks {before} and {task}"));
        }
    }

    /// This process has read that a job is live, or that a newer one is.
    fn settled_by_us(&mut self, key: &str) {
        let process = self.process;
        self.job(key).published_by = process;
    }

    /// S17, S19.
    fn published(&mut self, job: String, pointer: Option<Pointer>) {
        self.settled_by_us(&job);
        let outcome = self.job(&job).record.as_ref().map(|record| record.outcome);
        if outcome == Some(Outcome::Cancelled) {
            self.violated("S19", format!("job {job} was cancelled and is published"));
        }
        if let Some(pointer) = pointer {
            self.live(job, pointer);
        }
    }

    /// S17.
    fn live(&mut self, job: String, pointer: Pointer) {
        let (wrong, forgotten) = self.prefixes.live(job, pointer);
        self.totals.forgotten += forgotten;
        for text in wrong {
            self.violated("S17", text);
        }
    }
}
