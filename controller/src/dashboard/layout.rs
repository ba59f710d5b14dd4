//! Which graphs the dashboard shows, and in which order.

use transcode_config::metrics::{Detail, Kind, Metric as M, MetricInfo, Queue, TaskMetric as T};

/// One line of a graph, or several.
#[derive(Debug)]
pub(super) enum Series {
    /// One metric and its statistic.
    One(MetricInfo, &'static str),
    /// One line for each value of the metric's dimension: sums, or a gauge's highest value.
    Each(MetricInfo),
    /// Messages that wait in a queue, and the line's label.
    Waiting(Queue, &'static str),
}

impl Series {
    /// The statistic that reduces a period to one value.
    pub(super) fn stat(&self) -> &'static str {
        match self {
            Self::One(_, stat) => stat,
            Self::Each(info) if info.kind == Kind::Gauge => "Maximum",
            Self::Each(_) => "Sum",
            Self::Waiting(..) => "Maximum",
        }
    }

    /// Whether this detail sends the values.
    pub(super) fn is_sent(&self, detail: Detail) -> bool {
        match self {
            Self::One(info, _) => detail.sends(info),
            Self::Each(_) => detail.sends_parts(),
            Self::Waiting(..) => true,
        }
    }
}

/// A graph.
#[derive(Debug)]
pub(super) struct Widget {
    pub(super) title: &'static str,
    /// Label of the axis.
    pub(super) unit: &'static str,
    pub(super) stacked: bool,
    pub(super) series: &'static [Series],
}

/// A row of graphs under a heading; their number divides 24.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) widgets: &'static [Widget],
}

const fn lines(title: &'static str, unit: &'static str, series: &'static [Series]) -> Widget {
    Widget { title, unit, stacked: false, series }
}

const fn stack(title: &'static str, unit: &'static str, series: &'static [Series]) -> Widget {
    Widget { title, unit, stacked: true, series }
}

const fn sum(metric: M) -> Series {
    Series::One(metric.info(), "Sum")
}

/// The highest value of a gauge: with several controllers each sends its own.
const fn high(metric: M) -> Series {
    Series::One(metric.info(), "Maximum")
}

const fn of(metric: M, stat: &'static str) -> Series {
    Series::One(metric.info(), stat)
}

const fn task(metric: T, stat: &'static str) -> Series {
    Series::One(metric.info(), stat)
}

/// From the top: messages, running tasks, durations, ends, results, costs, and the state of the controller.
pub(super) const SECTIONS: &[Section] = &[
    Section {
        title: "Flow",
        widgets: &[
            lines("Queues", "messages", &[high(M::QueueDepth), high(M::QueueInFlight), high(M::JobsHeld)]),
            lines(
                "Waiting for a slot",
                "jobs, tenants",
                &[high(M::JobsWaiting), high(M::TenantsWaiting), Series::Each(M::JobsWaiting.info())],
            ),
            lines("Oldest message", "seconds", &[high(M::OldestMessageAge)]),
            lines(
                "Jobs a minute",
                "jobs",
                &[
                    sum(M::JobsReceived),
                    sum(M::JobsSucceeded),
                    sum(M::JobsDead),
                    sum(M::JobsSuperseded),
                    sum(M::JobsCancelled),
                ],
            ),
        ],
    },
    Section {
        title: "Tasks",
        widgets: &[
            lines(
                "In flight",
                "tasks, vCPU",
                &[high(M::TasksInFlight), high(M::VcpuInFlight), Series::Each(M::TasksInFlight.info())],
            ),
            lines(
                "Launches",
                "a minute",
                &[
                    sum(M::Attempts),
                    sum(M::Launches),
                    sum(M::LaunchesRefused),
                    high(M::LaunchesPaused),
                    high(M::ReceivingPaused),
                    high(M::JobsStuck),
                    sum(M::ImagesRefused),
                    sum(M::OtherImages),
                    high(M::BreakerOpen),
                ],
            ),
            lines("Refused launches by class", "a minute", &[Series::Each(M::LaunchesRefused.info())]),
            lines(
                "Found and stopped",
                "a minute",
                &[sum(M::Adopted), sum(M::TasksStopped), sum(M::Orphans), sum(M::ForeignTasks)],
            ),
        ],
    },
    Section {
        title: "Latency",
        widgets: &[
            lines(
                "From upload to running task",
                "seconds",
                &[of(M::QueueToRunningSeconds, "p50"), of(M::QueueToRunningSeconds, "p95")],
            ),
            stack(
                "Start of a task, by phase",
                "seconds",
                &[of(M::ProvisioningSeconds, "p50"), of(M::PullSeconds, "p50"), of(M::StartSeconds, "p50")],
            ),
            lines("From upload to result", "seconds", &[of(M::JobSeconds, "p50"), of(M::JobSeconds, "p95")]),
        ],
    },
    Section {
        title: "Outcomes",
        widgets: &[
            stack(
                "How tasks end",
                "a minute",
                &[
                    task(T::TaskSucceeded, "Sum"),
                    task(T::TaskFailed, "Sum"),
                    task(T::TaskSuperseded, "Sum"),
                    task(T::TaskInterrupted, "Sum"),
                ],
            ),
            lines("Dead jobs by code", "a minute", &[Series::Each(M::JobsDead.info())]),
            lines(
                "Dead letters",
                "messages",
                &[
                    sum(M::AttemptsOver),
                    sum(M::DeadLettered),
                    Series::Waiting(Queue::DeadLetters, "waiting in the queue"),
                ],
            ),
            lines(
                "Events on the bus",
                "a minute",
                &[sum(M::EventsSent), sum(M::EventsDelayed), sum(M::EventsDropped)],
            ),
        ],
    },
    Section {
        title: "Media",
        widgets: &[
            lines(
                "Real-time factor",
                "times real time",
                &[task(T::RealTimeFactor, "p50"), task(T::RealTimeFactor, "Minimum")],
            ),
            lines("Result", "minutes of video", &[task(T::OutputMinutes, "Sum")]),
            lines("Bytes", "bytes", &[task(T::SourceBytes, "Sum"), task(T::OutputBytes, "Sum")]),
            lines(
                "Where a task's time goes",
                "seconds",
                &[
                    task(T::DownloadSeconds, "p50"),
                    task(T::TranscodeSeconds, "p50"),
                    task(T::UploadSeconds, "p50"),
                    task(T::TaskSeconds, "p50"),
                ],
            ),
        ],
    },
    Section {
        title: "Cost",
        widgets: &[
            lines("All tasks", "USD a minute", &[of(M::TaskCost, "Sum")]),
            lines("A job", "USD", &[of(M::JobCost, "Average"), of(M::JobCost, "Maximum")]),
            lines("A minute of result", "USD", &[of(M::CostPerOutputMinute, "Average")]),
        ],
    },
    Section {
        title: "Health",
        widgets: &[
            lines("Turns of the loop", "a minute", &[sum(M::Turns)]),
            lines(
                "Calls to AWS",
                "a minute",
                &[
                    sum(M::Throttles),
                    sum(M::ReconcileErrors),
                    sum(M::MetricsDropped),
                    sum(M::LogLinesDropped),
                ],
            ),
            lines(
                "Messages",
                "a minute",
                &[sum(M::LeasesLost), sum(M::Parked), sum(M::Ignored), Series::Each(M::Ignored.info())],
            ),
            lines(
                "Events and promises",
                "a minute",
                &[
                    sum(M::EventsMissed),
                    sum(M::InvariantViolations),
                    Series::Waiting(Queue::EventsDeadLetters, "events unread"),
                ],
            ),
        ],
    },
];
