//! Events of a turn as a whole: the calls that begin, and, once a second, a sample of the ledger for the gauges.

use std::collections::BTreeMap;

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
    state::{failing::Purpose, in_flight::Usage, lease::Content, ledger::Ledger},
};

use super::{by_rule::by_rule, watch::Watch};
use crate::events::Event;

/// Time between samples of the ledger (ms). A controller with thousands of tasks takes a turn for every answer, far
/// more often than people read gauges.
const SAMPLE_EVERY: Ms = 1000;

/// Each job's part of that time (ms): a sample looks at every job.
const SAMPLE_OF_JOB: Ms = 1;

impl Watch {
    /// Reports a planned turn. Returns when the next sample is due, unless one was taken now.
    pub(super) fn turned(&self, plan: &Plan, ledger: &Ledger, policy: &Policy, now: Now) -> Option<Ms> {
        self.events.emit(Event::Turned);
        let pause = ledger.launch_pause(policy, now).filter(Pause::is_told);
        for action in &plan.actions {
            self.begun(action, ledger);
        }
        self.status.turned(ledger);
        let every = SAMPLE_EVERY.max(ledger.jobs.len() as Ms * SAMPLE_OF_JOB);
        let due = self.memory().sampled_at.map(|at| at + every).filter(|due| now.mono < *due);
        if due.is_none() {
            self.memory().sampled_at = Some(now.mono);
            self.sample(pause.as_ref(), ledger, now);
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

    /// Samples the ledger: gauges, costs of jobs that have ended, missed notifications, notes.
    fn sample(&self, pause: Option<&Pause>, ledger: &Ledger, now: Now) {
        let sent = ledger.leases.values().filter_map(|lease| lease.sent_at_ms).min();
        let oldest_ms = sent.map(|sent| now.wall.saturating_sub(sent));
        let Usage { tasks, cpu } = ledger.in_flight.usage();
        let (jobs, paused) = (ledger.jobs.len(), pause.is_some());
        let stuck = self.refused(ledger);
        let mut memory = self.memory();
        let full = memory.full.is_some();
        let waiting = ledger.jobs.waiting();
        let tenants = ledger.jobs.lines().filter(|(tenant, _)| *tenant != 0).count();
        let (waiting_by_rule, tasks_by_rule) = by_rule(ledger);
        self.events.emit(Event::Sampled {
            tasks,
            cpu,
            jobs,
            waiting,
            tenants,
            waiting_by_rule: &waiting_by_rule,
            tasks_by_rule: &tasks_by_rule,
            oldest_ms,
            paused,
            full,
            stuck,
        });
        for paid in memory.costs.close(|job| ledger.jobs.contains_key(job)) {
            self.events.emit(Event::JobCost { job: &paid.job, usd: paid.usd, minutes: paid.minutes });
        }
        for hint in memory.missed.overdue(now.wall) {
            let what = match &hint {
                Hint::Task(task) => &*task.0,
                Hint::TerminalRecord(job) => job.as_str(),
            };
            self.events.emit(Event::NotificationMissed { what });
        }
        self.status.noted(ledger, tasks, pause, memory.full.as_deref(), now);
    }

    /// Reports the steps that AWS refuses until somebody removes the cause: once when the refusals begin and once when
    /// they end, however many jobs wait. Returns the number of waiting jobs.
    fn refused(&self, ledger: &Ledger) -> usize {
        let notes = ledger.jobs.iter().filter_map(|(key, job)| Some((key, job.note.as_ref()?)));
        let mut steps: BTreeMap<Purpose, (usize, &JobKey, &str)> = BTreeMap::new();
        for (job, note) in notes.filter(|(_, note)| note.refused) {
            let Some(step) = note.step else { continue };
            steps.entry(step).or_insert((0, job, &note.why)).0 += 1;
        }
        let known = std::mem::replace(&mut self.memory().refused, steps.keys().copied().collect());
        for (step, (jobs, job, why)) in steps.iter().filter(|(step, _)| !known.contains(*step)) {
            self.events.emit(Event::StepRefused { step: step.name(), jobs: *jobs, job, why });
        }
        for step in known.iter().filter(|step| !steps.contains_key(*step)) {
            self.events.emit(Event::StepGoesOn { step: step.name() });
        }
        steps.values().map(|(jobs, ..)| jobs).sum()
    }
}

fn job_of(action: &Action) -> Option<&JobKey> {
    match action {
        Action::Inspect { job, .. }
        | Action::ReadSpec { job }
        | Action::GiveUp { job, .. }
        | Action::Publish { job, .. }
        | Action::Collect { job, .. } => Some(job),
        Action::Claim { spec, .. } => Some(&spec.job),
        Action::Index { terminal, .. } => Some(&terminal.job),
        Action::Announce { event, .. } => Some(&event.job),
        Action::Launch { claim } => Some(&claim.job),
        Action::DeadLetter(letter) => Some(&letter.job),
        _ => None,
    }
}
