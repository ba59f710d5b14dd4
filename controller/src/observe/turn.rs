//! What a turn tells, and what is looked at once in a while: states of the ledger, which no fact tells of.

use transcode_config::contract::JobKey;
use transcode_core::{
    judge::{launch_pause::Pause, outcome::stop_reason},
    plan::Plan,
    policy::Policy,
    protocol::{
        action::Action,
        clock::{Ms, Now},
        fact::Hint,
    },
    state::{in_flight::Usage, lease::Content, ledger::Ledger},
};

use super::watch::Watch;
use crate::events::Event;

/// Time between looks at everything that is known. A controller with thousands of tasks takes a turn for every answer,
/// and people do not read that fast.
const SAMPLE_EVERY: Ms = 1000;

/// Receiving that stands still for so long is told.
const FULL_FOR: Ms = 10_000;

impl Watch {
    /// A turn was planned. Gives when a look at everything is due, if none was taken now.
    pub(super) fn turned(&self, plan: &Plan, ledger: &Ledger, policy: &Policy, now: Now) -> Option<Ms> {
        self.events.emit(Event::Turned);
        let pause = ledger.launch_pause(policy, now).filter(Pause::is_told);
        for action in &plan.actions {
            self.begun(action, ledger);
        }
        self.status.turned(ledger);
        let due = self.memory().sampled_at.map(|at| at + SAMPLE_EVERY).filter(|due| now.mono < *due);
        if due.is_none() {
            self.memory().sampled_at = Some(now.mono);
            let full = self.receiving(ledger, policy, now);
            self.sample(pause.as_ref(), full.as_deref(), ledger, now);
        }
        due
    }

    fn begun(&self, action: &Action, ledger: &Ledger) {
        self.events.emit(Event::ActionStarted { action: action.name(), job: job_of(action) });
        match action {
            Action::Launch { claim } => self.events.emit(Event::LaunchSent { claim }),
            Action::Release { lease, .. } => {
                if let Some(Content::Parked(reason)) =
                    ledger.leases.get(&lease.message).map(|lease| &lease.content)
                {
                    self.events.emit(Event::Parked { message: &lease.message, reason });
                }
            }
            Action::Stop { task, reason: stop_reason::ORPHAN } => {
                let job = ledger.tasks.get(task).map(|record| &record.job);
                self.events.emit(Event::OrphanFound { task, job });
            }
            _ => {}
        }
    }

    /// Looks at everything that is known: gauges, bills that can be closed, missed events, notes.
    fn sample(&self, pause: Option<&Pause>, full: Option<&str>, ledger: &Ledger, now: Now) {
        let sent = ledger.leases.values().filter_map(|lease| lease.sent_at_ms).min();
        let oldest_ms = sent.map(|sent| now.wall.saturating_sub(sent));
        let Usage { tasks, cpu } = ledger.in_flight.usage();
        let (jobs, paused) = (ledger.jobs.len(), pause.is_some());
        self.events.emit(Event::Sampled { tasks, cpu, jobs, oldest_ms, paused, full: full.is_some() });
        let mut memory = self.memory();
        for paid in memory.bills.close(|job| ledger.jobs.contains_key(job)) {
            self.events.emit(Event::JobCost { job: &paid.job, usd: paid.usd, minutes: paid.minutes });
        }
        for hint in memory.missed.overdue(now.wall) {
            let what = match &hint {
                Hint::Task(task) => &*task.0,
                Hint::TerminalRecord(job) => job.as_str(),
            };
            self.events.emit(Event::NotificationMissed { what });
        }
        self.status.noted(ledger, tasks, pause, full, now);
    }

    /// Why nothing is received, once that has lasted: for a moment it is the ordinary course. Its change is told.
    fn receiving(&self, ledger: &Ledger, policy: &Policy, now: Now) -> Option<String> {
        let mut memory = self.memory();
        let Some(reason) = ledger.receive_pause(policy) else {
            if let Some((_, true)) = memory.full.take() {
                self.events.emit(Event::ReceivingGoesOn);
            }
            return None;
        };
        let (since, told) = memory.full.get_or_insert((now.mono, false));
        if now.mono.saturating_sub(*since) < FULL_FOR {
            return None;
        }
        if !std::mem::replace(told, true) {
            self.events.emit(Event::ReceivingPaused { reason: &reason });
        }
        Some(reason)
    }
}

fn job_of(action: &Action) -> Option<&JobKey> {
    match action {
        Action::Inspect { job }
        | Action::ReadSpec { job }
        | Action::GiveUp { job, .. }
        | Action::Publish { job, .. }
        | Action::Collect { job, .. } => Some(job),
        Action::Claim { spec, .. } => Some(&spec.job),
        Action::Launch { claim } => Some(&claim.job),
        Action::DeadLetter(letter) => Some(&letter.job),
        _ => None,
    }
}
