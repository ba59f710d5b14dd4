//! The observer of the loop, and its state between turns.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use transcode_config::{Settings, settings::CostSettings};
use transcode_core::{
    absorb::change::Change,
    judge::launch_pause::Pause,
    message::Request,
    plan::Plan,
    policy::Policy,
    protocol::clock::{Ms, Now},
    state::{failing::Purpose, ledger::Ledger},
};

use super::{
    http::Status,
    job_costs::JobCosts,
    missed_events::Missed,
    news::News,
    report::{Reported, Reporter, Seen},
    traces::Traces,
};
use crate::{events::Events, runtime::Observer};

/// Reports changes and plans to [`Events`] and [`Status`].
#[derive(Debug)]
pub struct Watch {
    pub(super) events: Arc<Events>,
    pub(super) status: Arc<Status>,
    pub(super) cost: CostSettings,
    /// There is an events queue, so events can be missed.
    pub(super) hints: bool,
    traces: Traces,
    news: News,
    /// Reports to people who cannot reach this process.
    reporter: Option<Reporter>,
    memory: Mutex<Memory>,
}

/// State kept so that each change is reported once.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) missed: Missed,
    pub(super) costs: JobCosts,
    /// Why receiving stops; `None` while it goes on.
    pub(super) full: Option<String>,
    /// Steps that AWS refuses, and that were reported.
    pub(super) refused: BTreeSet<Purpose>,
    /// When the ledger was last sampled (monotonic).
    pub(super) sampled_at: Option<Ms>,
    pub(super) reported: Reported,
}

impl Observer for Watch {
    fn turn(
        &self,
        reason: &'static str,
        (plan, told): (&Plan, &[Change]),
        ledger: &Ledger,
        policy: &Policy,
        now: Now,
    ) -> Option<Ms> {
        for change in told {
            self.learn(change, ledger);
            self.traces.tell(change, ledger, now.wall, &self.events);
            self.news.tell(change, ledger, policy, now);
            self.tell(change, now);
        }
        tracing::trace!(reason, actions = plan.actions.len(), "planned");
        let sampled = self.turned(plan, ledger, policy, now);
        let reported = self.report(ledger, policy, now, Reporter::turned);
        sampled.into_iter().chain(reported).min()
    }

    fn ended(&self, ledger: &Ledger, policy: &Policy, now: Now) {
        self.report(ledger, policy, now, Reporter::ended);
    }
}

impl Watch {
    /// With these settings.
    pub fn new(events: Arc<Events>, status: Arc<Status>, settings: &Settings) -> Self {
        let hints = settings.events.queue_url.is_some();
        Self {
            events,
            status,
            cost: settings.cost,
            hints,
            traces: Traces::default(),
            news: News::default(),
            reporter: None,
            memory: Mutex::default(),
        }
    }

    /// Sends spans of jobs there too.
    #[must_use]
    pub fn traced(self, traces: Traces) -> Self {
        Self { traces, ..self }
    }

    /// Sends the events of jobs under way there.
    #[must_use]
    pub fn telling(self, news: News) -> Self {
        Self { news, ..self }
    }

    /// Remembers the object keys of a received message's jobs, for the log lines about them. A job of which only the task
    /// is known has no key yet: it comes with its message.
    fn learn(&self, change: &Change, ledger: &Ledger) {
        let Change::MessageReceived { jobs, .. } = change else { return };
        for job in jobs {
            let request = ledger.jobs.get(job).and_then(|known| known.request.as_ref());
            if let Some(Request::Run(spec)) = request {
                self.events.sources().learn(job, &spec.source.key);
            }
        }
    }

    /// The same, with reports.
    #[must_use]
    pub fn reporting(self, reporter: Reporter) -> Self {
        Self { reporter: Some(reporter), ..self }
    }

    fn report<T>(
        &self,
        ledger: &Ledger,
        policy: &Policy,
        now: Now,
        how: impl FnOnce(&Reporter, &mut Reported, Seen<'_>, (&Ledger, &Policy), Now) -> T,
    ) -> Option<T> {
        let reporter = self.reporter.as_ref()?;
        let pause = ledger.launch_pause(policy, now).filter(Pause::is_told);
        let mut memory = self.memory();
        let Memory { full, reported, .. } = &mut *memory;
        let seen = Seen { launches_pause: pause.as_ref(), receiving_pause: full.as_deref() };
        Some(how(reporter, reported, seen, (ledger, policy), now))
    }

    /// A panic elsewhere must not end all watching: every state of the memory is a valid one.
    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
