//! Every metric in one registry: name, unit, kind, dimensions, meaning.
//!
//! The programs' metric calls, the dashboard, the alarms and `docs/metrics.md` all come from it. It lies in this
//! crate because each of the two programs sends its part, and dashboard and alarms show both.

mod alarm;
mod controller;
mod detail;
mod prometheus;
mod task;

pub use alarm::{ALARMS, Alarm, Compare, Queue, Statistic, Watched};
pub use controller::Metric;
pub use detail::Detail;
pub use task::TaskMetric;

/// Unit, as `CloudWatch` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub enum Unit {
    Count,
    Seconds,
    Bytes,
    /// US dollars; `CloudWatch` has no word for money.
    Dollars,
    /// `None`: a ratio.
    None,
}

impl Unit {
    /// `CloudWatch`'s word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Seconds => "Seconds",
            Self::Bytes => "Bytes",
            Self::Dollars | Self::None => "None",
        }
    }
}

/// How values over time become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Added up over the period; the controller sends zero too, so that alarms do not lack data.
    Counter,
    /// The newest value stands until another comes.
    Gauge,
    /// Every value is kept (the controller's are rounded to three digits), for percentiles.
    Distribution,
}

/// A row of the registry.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct MetricInfo {
    /// Name in `CloudWatch`.
    pub name: &'static str,
    pub unit: Unit,
    /// How values become one.
    pub kind: Kind,
    /// A second dimension beside `Environment`. The value is also sent without it: the total is a metric of its own.
    pub dimension: Option<&'static str>,
    /// Its meaning in one line.
    pub meaning: &'static str,
}

const fn row(name: &'static str, unit: Unit, kind: Kind, meaning: &'static str) -> MetricInfo {
    MetricInfo { name, unit, kind, dimension: None, meaning }
}

const fn count(name: &'static str, meaning: &'static str) -> MetricInfo {
    row(name, Unit::Count, Kind::Counter, meaning)
}

const fn gauge(name: &'static str, meaning: &'static str) -> MetricInfo {
    row(name, Unit::Count, Kind::Gauge, meaning)
}

/// Every metric of both programs.
pub fn all() -> impl Iterator<Item = MetricInfo> {
    let controller = Metric::ALL.iter().map(|metric| metric.info());
    controller.chain(TaskMetric::ALL.iter().map(|metric| metric.info()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_registry_is_complete_and_its_names_are_the_enums() {
        let names: BTreeSet<_> = all().map(|info| info.name).collect();
        assert_eq!(names.len(), Metric::ALL.len() + TaskMetric::ALL.len(), "no name twice");
        // `ALL` is in the order of the enum and ends with its last one, so none is missing.
        for (index, metric) in Metric::ALL.iter().enumerate() {
            assert_eq!(format!("{metric:?}"), metric.info().name);
            assert_eq!(*metric as usize, index);
        }
        assert_eq!(Metric::ALL.len(), Metric::LogLinesDropped as usize + 1);
        for (index, metric) in TaskMetric::ALL.iter().enumerate() {
            assert_eq!(format!("{metric:?}"), metric.info().name);
            assert_eq!(*metric as usize, index);
        }
        assert_eq!(TaskMetric::ALL.len(), TaskMetric::TaskSeconds as usize + 1);
    }
}
