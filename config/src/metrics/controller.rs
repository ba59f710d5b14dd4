//! The controller's metrics.

use super::{Kind, MetricInfo, Unit, count, gauge, row};

/// A metric of the controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the table below says what each one means")]
pub enum Metric {
    QueueDepth,
    QueueInFlight,
    OldestMessageAge,
    JobsHeld,
    JobsWaiting,
    TenantsWaiting,
    JobsReceived,
    Parked,
    /// Messages without any job.
    Ignored,
    TasksInFlight,
    VcpuInFlight,
    Attempts,
    Launches,
    LaunchesRefused,
    LaunchesPaused,
    /// Receiving stands still.
    ReceivingPaused,
    /// Jobs at a step that AWS refuses.
    JobsStuck,
    BreakerOpen,
    AttemptsOver,
    Adopted,
    TasksStopped,
    Orphans,
    ForeignTasks,
    JobsSucceeded,
    JobsDead,
    /// Jobs that ended behind a newer upload.
    JobsSuperseded,
    /// Jobs that somebody cancelled.
    JobsCancelled,
    DeadLettered,
    /// Events of jobs.
    EventsSent,
    EventsDelayed,
    EventsDropped,
    ImagesRefused,
    OtherImages,
    QueueToRunningSeconds,
    ProvisioningSeconds,
    PullSeconds,
    StartSeconds,
    JobSeconds,
    TaskCost,
    JobCost,
    CostPerOutputMinute,
    Turns,
    LeasesLost,
    EventsMissed,
    Throttles,
    ReconcileErrors,
    InvariantViolations,
    MetricsDropped,
    LogLinesDropped,
}

impl Metric {
    /// Every metric, for tables and tests.
    pub const ALL: &'static [Self] = &[
        Self::QueueDepth,
        Self::QueueInFlight,
        Self::OldestMessageAge,
        Self::JobsHeld,
        Self::JobsWaiting,
        Self::TenantsWaiting,
        Self::JobsReceived,
        Self::Parked,
        Self::Ignored,
        Self::TasksInFlight,
        Self::VcpuInFlight,
        Self::Attempts,
        Self::Launches,
        Self::LaunchesRefused,
        Self::LaunchesPaused,
        Self::ReceivingPaused,
        Self::JobsStuck,
        Self::BreakerOpen,
        Self::AttemptsOver,
        Self::Adopted,
        Self::TasksStopped,
        Self::Orphans,
        Self::ForeignTasks,
        Self::JobsSucceeded,
        Self::JobsDead,
        Self::JobsSuperseded,
        Self::JobsCancelled,
        Self::DeadLettered,
        Self::EventsSent,
        Self::EventsDelayed,
        Self::EventsDropped,
        Self::ImagesRefused,
        Self::OtherImages,
        Self::QueueToRunningSeconds,
        Self::ProvisioningSeconds,
        Self::PullSeconds,
        Self::StartSeconds,
        Self::JobSeconds,
        Self::TaskCost,
        Self::JobCost,
        Self::CostPerOutputMinute,
        Self::Turns,
        Self::LeasesLost,
        Self::EventsMissed,
        Self::Throttles,
        Self::ReconcileErrors,
        Self::InvariantViolations,
        Self::MetricsDropped,
        Self::LogLinesDropped,
    ];

    /// What `metrics.detail = "basic"` sends: whether the pipeline runs, what it makes, and what stops it. Each name is
    /// paid for by the month, so there are at most ten; SQS counts waiting messages for nothing.
    pub const BASIC: &'static [Self] = &[
        Self::OldestMessageAge,
        Self::LaunchesPaused,
        Self::ReceivingPaused,
        Self::JobsStuck,
        Self::BreakerOpen,
        Self::JobsSucceeded,
        Self::JobsDead,
        Self::Turns,
        Self::InvariantViolations,
    ];

    /// The metric's row in the registry.
    pub const fn info(self) -> MetricInfo {
        match self.flow() {
            Some(info) => info,
            None => self.outcome(),
        }
    }

    /// Queues, jobs, tasks and launches.
    #[rustfmt::skip]
    const fn flow(self) -> Option<MetricInfo> {
        Some(match self {
            Self::QueueDepth => gauge("QueueDepth", "messages waiting in the job queues, as SQS estimates"),
            Self::QueueInFlight => gauge("QueueInFlight", "messages received and not deleted, as SQS estimates"),
            Self::OldestMessageAge => row("OldestMessageAge", Unit::Seconds, Kind::Gauge,
                "age of the oldest message held; SQS' own metric omits messages that were received three times"),
            Self::JobsHeld => gauge("JobsHeld", "jobs that this controller holds a message or a task of"),
            Self::JobsWaiting => MetricInfo { dimension: Some("Rule"),
                ..gauge("JobsWaiting", "of these, jobs that lack nothing but a slot; in total, and by tenant rule where a source has tenants") },
            Self::TenantsWaiting => gauge("TenantsWaiting", "tenants whose jobs these are; 0 where no source has tenants"),
            Self::JobsReceived => count("JobsReceived", "jobs that messages asked for; a job asked for twice counts twice"),
            Self::Parked => count("Parked", "messages of an unknown version, put aside"),
            Self::Ignored => MetricInfo { dimension: Some("Reason"),
                ..count("Ignored", "messages, or records in them, that ask for no job; in total, and by reason") },
            Self::TasksInFlight => MetricInfo { dimension: Some("Rule"),
                ..gauge("TasksInFlight", "tasks launched and not seen ended; in total, and by tenant rule where a source has tenants") },
            Self::VcpuInFlight => gauge("VcpuInFlight", "their vCPU: what counts against the account's Fargate quota"),
            Self::Attempts => count("Attempts", "attempts claimed"),
            Self::Launches => count("Launches", "tasks launched"),
            Self::LaunchesRefused => MetricInfo { dimension: Some("Class"),
                ..count("LaunchesRefused", "RunTask calls that returned no task; in total, and by class of error") },
            Self::LaunchesPaused => gauge("LaunchesPaused",
                "1 while nothing is launched: paused by the settings, cooling down after a refusal, or without a usable task definition or a list of tasks"),
            Self::ReceivingPaused => gauge("ReceivingPaused",
                "1 while receiving stops: the most messages are held (results cannot be published or letters not sent), or SQS refuses"),
            Self::JobsStuck => gauge("JobsStuck",
                "jobs at a step that AWS refuses until somebody changes something (reading, claiming, publishing, sending the letter, deleting)"),
            Self::BreakerOpen => gauge("BreakerOpen", "1 while launching has stopped because one job after the other fails"),
            Self::AttemptsOver => count("AttemptsOver", "attempts that ended without winning"),
            Self::Adopted => count("Adopted", "tasks found that this controller had not launched"),
            Self::TasksStopped => count("TasksStopped", "StopTask calls that ECS accepted"),
            Self::Orphans => count("Orphans", "tasks stopped because their job was decided or a newer attempt existed"),
            Self::ForeignTasks => count("ForeignTasks", "tasks under our startedBy that are not ours; left alone"),
            _ => return None,
        })
    }

    /// Results, times, money, health.
    #[rustfmt::skip]
    const fn outcome(self) -> MetricInfo {
        const fn seconds(name: &'static str, meaning: &'static str) -> MetricInfo {
            row(name, Unit::Seconds, Kind::Distribution, meaning)
        }
        const fn dollars(name: &'static str, meaning: &'static str) -> MetricInfo {
            row(name, Unit::Dollars, Kind::Distribution, meaning)
        }
        match self {
            Self::JobsSucceeded => count("JobsSucceeded", "jobs published"),
            Self::JobsDead => MetricInfo { dimension: Some("Code"),
                ..count("JobsDead", "jobs given up; in total, and by failure code") },
            Self::JobsSuperseded => count("JobsSuperseded", "jobs that ended while a newer upload was live"),
            Self::JobsCancelled => count("JobsCancelled", "jobs that somebody cancelled before they had a result"),
            Self::DeadLettered => count("DeadLettered", "messages put into a dead-letter queue"),
            Self::EventsSent => count("EventsSent", "events of jobs that the bus has taken"),
            Self::EventsDelayed => count("EventsDelayed",
                "events of outcomes that the bus did not take in time; they wait in the outbox"),
            Self::EventsDropped => count("EventsDropped",
                "events of jobs under way that the bus did not take; nobody sends them again"),
            Self::ImagesRefused => count("ImagesRefused",
                "checks that found the task's image unfit; nothing is launched until it fits"),
            Self::OtherImages => count("OtherImages",
                "tasks that ran another image than the one that was checked before their launch"),
            Self::QueueToRunningSeconds => seconds("QueueToRunningSeconds",
                "from the message's sending to its task seen running"),
            Self::ProvisioningSeconds => seconds("ProvisioningSeconds",
                "from ECS' taking of a task to the begin of the image pull"),
            Self::PullSeconds => seconds("PullSeconds", "time to pull the image"),
            Self::StartSeconds => seconds("StartSeconds", "from the end of the pull to RUNNING"),
            Self::JobSeconds => seconds("JobSeconds", "from the message's sending to the job published or dead-lettered"),
            Self::TaskCost => dollars("TaskCost", "USD of one task, from the pull to its end, by the price table"),
            Self::JobCost => dollars("JobCost", "USD of all tasks of one settled job"),
            Self::CostPerOutputMinute => dollars("CostPerOutputMinute", "that of a published job, over the minutes of its result"),
            Self::Turns => count("Turns", "turns of the controller's loop; at least one a minute"),
            Self::LeasesLost => count("LeasesLost", "messages whose lease expired or was lost"),
            Self::EventsMissed => count("EventsMissed",
                "ends of tasks and terminal records that polling found, and that no event announced within a minute"),
            Self::Throttles => count("Throttles", "calls to AWS refused for their rate"),
            Self::ReconcileErrors => count("ReconcileErrors", "calls to AWS that failed otherwise"),
            Self::InvariantViolations => count("InvariantViolations", "broken promises of the job protocol that the controller saw; always 0"),
            Self::LogLinesDropped => count("LogLinesDropped", "log lines lost while standard output was blocked"),
            // MetricsDropped, and nothing else: `flow` has the others.
            _ => count("MetricsDropped", "periods of metrics lost while CloudWatch did not answer"),
        }
    }
}
