//! The alarms: metric, condition and meaning. The template's alarms are generated from this table; each has a section
//! of its name in `docs/runbook.md`.

use super::{Detail, Metric};

/// A queue that SQS itself measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// The dead-letter queue of jobs.
    DeadLetters,
    /// The dead-letter queue of the events queue.
    EventsDeadLetters,
}

/// The value that an alarm watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    /// A metric of the controller.
    Metric(Metric),
    /// Messages waiting in a queue, as SQS counts them (`ApproximateNumberOfMessagesVisible`).
    Waiting(Queue),
}

/// How the values of a period are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    /// Their sum.
    Sum,
    /// The highest.
    Maximum,
    /// The lowest.
    Minimum,
}

/// How the value is compared with the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// `GreaterThanOrEqualToThreshold`.
    AtLeast,
    /// `LessThanThreshold`.
    Below,
}

/// An alarm.
#[derive(Debug, Clone, Copy)]
pub struct Alarm {
    /// Name: of the alarm, after the environment's, and of its section in the runbook.
    pub name: &'static str,
    /// The watched value.
    pub watched: Watched,
    /// How a period becomes one value.
    pub statistic: Statistic,
    /// How the value is compared.
    pub compare: Compare,
    /// With what.
    pub threshold: u32,
    /// The template's parameter for the threshold, where environments differ; its default is `threshold`.
    pub parameter: Option<&'static str>,
    /// Length of a period in seconds.
    pub period: u32,
    /// Number of periods in a row.
    pub periods: u32,
    /// Whether missing data counts as bad data.
    pub missing_is_bad: bool,
    /// Its meaning in one line.
    pub meaning: &'static str,
}

/// An alarm on an event that must never happen.
const fn never(name: &'static str, metric: Metric, meaning: &'static str) -> Alarm {
    at_least(name, metric, 1, meaning)
}

/// An alarm on a sum over five minutes.
const fn at_least(name: &'static str, metric: Metric, threshold: u32, meaning: &'static str) -> Alarm {
    Alarm {
        name,
        watched: Watched::Metric(metric),
        statistic: Statistic::Sum,
        compare: Compare::AtLeast,
        threshold,
        parameter: None,
        period: 300,
        periods: 1,
        missing_is_bad: false,
        meaning,
    }
}

/// An alarm on a queue that ought to be empty.
const fn not_empty(name: &'static str, queue: Queue, meaning: &'static str) -> Alarm {
    Alarm {
        watched: Watched::Waiting(queue),
        statistic: Statistic::Maximum,
        ..at_least(name, Metric::DeadLettered, 1, meaning)
    }
}

/// Every alarm, the most urgent first.
pub const ALARMS: &[Alarm] = &[
    Alarm {
        statistic: Statistic::Sum,
        compare: Compare::Below,
        period: 60,
        periods: 5,
        missing_is_bad: true,
        ..at_least(
            "ControllerSilent",
            Metric::Turns,
            1,
            "no controller has said for five minutes that its loop turns",
        )
    },
    never("InvariantViolated", Metric::InvariantViolations, "a promise of the job protocol was broken"),
    Alarm {
        statistic: Statistic::Maximum,
        ..at_least(
            "BreakerOpen",
            Metric::BreakerOpen,
            1,
            "one job after the other fails and launching has stopped",
        )
    },
    Alarm {
        statistic: Statistic::Minimum,
        periods: 3,
        ..at_least(
            "LaunchesPaused",
            Metric::LaunchesPaused,
            1,
            "nothing has been launched for fifteen minutes",
        )
    },
    Alarm {
        statistic: Statistic::Minimum,
        periods: 3,
        ..at_least(
            "ReceivingPaused",
            Metric::ReceivingPaused,
            1,
            "no message has been received for fifteen minutes, because too many are held or SQS refuses",
        )
    },
    Alarm {
        statistic: Statistic::Minimum,
        periods: 3,
        ..at_least(
            "JobsStuck",
            Metric::JobsStuck,
            1,
            "AWS has refused a step of a job for fifteen minutes, and will until somebody changes something",
        )
    },
    Alarm {
        statistic: Statistic::Maximum,
        parameter: Some("OldestMessageAlarmSeconds"),
        periods: 3,
        ..at_least(
            "MessagesTooOld",
            Metric::OldestMessageAge,
            21_600,
            "a message has waited too long for its result",
        )
    },
    never("JobsDeadLettered", Metric::JobsDead, "a job was given up"),
    not_empty("DeadLettersWaiting", Queue::DeadLetters, "dead letters wait for somebody"),
    never("MessagesParked", Metric::Parked, "messages or records of an unknown version were put aside"),
    never("ForeignTasks", Metric::ForeignTasks, "somebody else runs tasks under this environment's name"),
    never("LeasesLost", Metric::LeasesLost, "messages became visible while their job was in work"),
    Alarm {
        periods: 3,
        ..at_least("CallsThrottled", Metric::Throttles, 50, "AWS refuses calls for their rate")
    },
    Alarm { periods: 3, ..at_least("CallsFailing", Metric::ReconcileErrors, 50, "calls to AWS fail") },
    never(
        "OutcomesDelayed",
        Metric::EventsDelayed,
        "the bus takes no events: how jobs ended waits in the outbox",
    ),
    Alarm {
        period: 900,
        periods: 2,
        ..at_least("EventsMissed", Metric::EventsMissed, 10, "events do not reach the controller")
    },
    not_empty("EventsUnread", Queue::EventsDeadLetters, "events could not be read"),
];

impl Alarm {
    /// Whether this detail sends what the alarm watches. SQS' own metrics are always there.
    pub fn is_fed_by(&self, detail: Detail) -> bool {
        match self.watched {
            Watched::Metric(metric) => detail.sends(&metric.info()),
            Watched::Waiting(_) => true,
        }
    }

    /// The anchor of its section in the runbook: the heading is the alarm's name.
    pub fn anchor(&self) -> String {
        self.name.to_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::metrics::Kind;

    #[test]
    fn each_alarm_can_go_off_and_has_its_own_name() {
        let names: BTreeSet<_> = ALARMS.iter().map(|alarm| alarm.name).collect();
        assert_eq!(names.len(), ALARMS.len());
        for alarm in ALARMS {
            // CloudWatch evaluates at most a day.
            assert!(alarm.period * alarm.periods <= 86_400 && alarm.period % 60 == 0, "{}", alarm.name);
            let Watched::Metric(metric) = alarm.watched else { continue };
            let added_up = metric.info().kind == Kind::Counter;
            assert_eq!(added_up, alarm.statistic == Statistic::Sum, "{}: sums are for counters", alarm.name);
        }
    }
}
