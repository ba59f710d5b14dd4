//! Every metric of the controller, in one table.

/// Unit, as `CloudWatch` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// `Count`.
    Count,
    /// `Seconds`.
    Seconds,
}

/// How values over time become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Added up over the period; zero is sent too, so that alarms do not lack data.
    Counter,
    /// The newest value stands until another comes.
    Gauge,
    /// Every value is kept (rounded to three digits), for percentiles.
    Distribution,
}

/// What a metric is.
#[derive(Debug, Clone, Copy)]
pub struct MetricInfo {
    /// Name in `CloudWatch`.
    pub name: &'static str,
    /// Unit.
    pub unit: Unit,
    /// How values become one.
    pub kind: Kind,
    /// Dimensions beside `Environment`.
    pub dimensions: &'static [&'static str],
    /// What it says.
    pub meaning: &'static str,
}

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// Messages waiting.
    QueueDepth,
    /// Messages in flight.
    QueueInFlight,
    /// Age of the oldest held message.
    OldestMessageAge,
    /// Tasks in flight.
    TasksInFlight,
    /// Jobs known.
    JobsHeld,
    /// Messages that brought a job.
    JobsReceived,
    /// Messages put aside.
    Parked,
    /// Attempts begun.
    Attempts,
    /// Tasks launched.
    Launches,
    /// Launches refused.
    LaunchesRefused,
    /// Launching has stopped.
    BreakerOpen,
    /// Attempts that did not win.
    AttemptsOver,
    /// Tasks adopted.
    Adopted,
    /// Jobs succeeded.
    JobsSucceeded,
    /// Jobs dead.
    JobsDead,
    /// Dead-letter messages.
    DeadLettered,
    /// Readings of the task's image that refused it.
    ImagesRefused,
    /// Leases lost.
    LeasesLost,
    /// Tasks stopped by us.
    TasksStopped,
    /// Foreign tasks seen.
    ForeignTasks,
    /// Calls refused for their rate.
    Throttles,
    /// Calls that failed otherwise.
    ReconcileErrors,
    /// From upload message to running task.
    QueueToRunningSeconds,
    /// From upload message to settled job.
    JobSeconds,
    /// Periods of metrics that were thrown away.
    MetricsDropped,
}

impl Metric {
    /// Every metric, for tables and tests.
    pub const ALL: &'static [Self] = &[
        Self::QueueDepth,
        Self::QueueInFlight,
        Self::OldestMessageAge,
        Self::TasksInFlight,
        Self::JobsHeld,
        Self::JobsReceived,
        Self::Parked,
        Self::Attempts,
        Self::Launches,
        Self::LaunchesRefused,
        Self::BreakerOpen,
        Self::AttemptsOver,
        Self::Adopted,
        Self::JobsSucceeded,
        Self::JobsDead,
        Self::DeadLettered,
        Self::ImagesRefused,
        Self::LeasesLost,
        Self::TasksStopped,
        Self::ForeignTasks,
        Self::Throttles,
        Self::ReconcileErrors,
        Self::QueueToRunningSeconds,
        Self::JobSeconds,
        Self::MetricsDropped,
    ];

    /// What it is.
    #[rustfmt::skip]
    pub const fn info(self) -> MetricInfo {
        use Kind::{Counter, Distribution, Gauge};
        const fn row(name: &'static str, unit: Unit, kind: Kind, meaning: &'static str) -> MetricInfo {
            MetricInfo { name, unit, kind, dimensions: &[], meaning }
        }
        const fn count(name: &'static str, meaning: &'static str) -> MetricInfo {
            row(name, Unit::Count, Counter, meaning)
        }
        const fn gauge(name: &'static str, meaning: &'static str) -> MetricInfo {
            row(name, Unit::Count, Gauge, meaning)
        }
        match self {
            Self::QueueDepth => gauge("QueueDepth", "messages waiting in the job queues, as SQS estimates"),
            Self::QueueInFlight => gauge("QueueInFlight", "messages received and not deleted, as SQS estimates"),
            Self::OldestMessageAge => row("OldestMessageAge", Unit::Seconds, Gauge,
                "age of the oldest message held; SQS' own metric leaves out what was received three times"),
            Self::TasksInFlight => gauge("TasksInFlight", "tasks launched and not seen ended"),
            Self::JobsHeld => gauge("JobsHeld", "jobs that this controller holds a message or a task of"),
            Self::JobsReceived => count("JobsReceived", "jobs that messages asked for; a job asked for twice counts twice"),
            Self::Parked => count("Parked", "messages of an unknown version, put aside"),
            Self::Attempts => count("Attempts", "attempts claimed"),
            Self::Launches => count("Launches", "tasks launched"),
            Self::LaunchesRefused => count("LaunchesRefused", "RunTask calls that gave no task"),
            Self::BreakerOpen => row("BreakerOpen", Unit::Count, Gauge,
                "1 while launching has stopped because one job after the other fails"),
            Self::AttemptsOver => count("AttemptsOver", "attempts that ended without winning"),
            Self::Adopted => count("Adopted", "tasks found that this controller had not launched"),
            Self::JobsSucceeded => count("JobsSucceeded", "jobs published"),
            Self::JobsDead => MetricInfo { dimensions: &["Code"],
                ..count("JobsDead", "jobs given up; in total, and by failure code") },
            Self::DeadLettered => count("DeadLettered", "messages put into a dead-letter queue"),
            Self::ImagesRefused => count("ImagesRefused",
                "looks at the task's image that found it unfit; while it is, nothing is launched"),
            Self::LeasesLost => count("LeasesLost", "messages whose lease ran out or was taken"),
            Self::TasksStopped => count("TasksStopped", "StopTask calls that were taken"),
            Self::ForeignTasks => count("ForeignTasks", "tasks under our startedBy that are not ours; left alone"),
            Self::Throttles => count("Throttles", "calls to AWS refused for their rate"),
            Self::ReconcileErrors => count("ReconcileErrors", "calls to AWS that failed otherwise"),
            Self::QueueToRunningSeconds => row("QueueToRunningSeconds", Unit::Seconds, Distribution,
                "from the message's sending to its task seen running"),
            Self::JobSeconds => row("JobSeconds", Unit::Seconds, Distribution,
                "from the message's sending to the job published or dead-lettered"),
            Self::MetricsDropped => count("MetricsDropped", "periods of metrics lost while CloudWatch was away"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_is_complete_and_its_names_are_the_enums() {
        let names: BTreeSet<_> = Metric::ALL.iter().map(|metric| metric.info().name).collect();
        assert_eq!(names.len(), Metric::ALL.len());
        for metric in Metric::ALL {
            assert_eq!(format!("{metric:?}"), metric.info().name);
        }
        // `ALL` is in the order of the enum and ends with its last one, so none is missing.
        assert_eq!(Metric::ALL.len(), Metric::MetricsDropped as usize + 1);
    }
}
