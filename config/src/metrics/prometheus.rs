//! The names of the controller's metrics in Prometheus: the same registry under its conventions
//! (<https://prometheus.io/docs/practices/naming/>): one prefix, snake case, base units at the end, `_total` for what is
//! counted.

use super::{Kind, MetricInfo, Unit};

/// The prefix of all names.
const PREFIX: &str = "transcode";

/// Upper bounds of the buckets of durations, in seconds: from a quick call to the longest run of a job.
const SECONDS: &[f64] =
    &[1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14_400.0, 43_200.0];

/// Upper bounds of the buckets of amounts, in USD.
const DOLLARS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

impl MetricInfo {
    /// The family's name without its unit: `transcode_jobs_dead`.
    pub fn family(&self) -> String {
        let mut text = String::from(PREFIX);
        for letter in self.name.chars() {
            if letter.is_ascii_uppercase() {
                text.push('_');
            }
            text.push(letter.to_ascii_lowercase());
        }
        let unit = self.base_unit().map(|unit| format!("_{unit}")).unwrap_or_default();
        text.strip_suffix(&unit).map(str::to_owned).unwrap_or(text)
    }

    /// The unit at the end of the name.
    pub fn base_unit(&self) -> Option<&'static str> {
        match self.unit {
            Unit::Seconds => Some("seconds"),
            Unit::Bytes => Some("bytes"),
            Unit::Dollars => Some("usd"),
            Unit::Count | Unit::None => None,
        }
    }

    /// The name that queries use: `transcode_jobs_dead_total`. Of a distribution it continues with `_bucket`, `_sum` or
    /// `_count`.
    pub fn prometheus_name(&self) -> String {
        let unit = self.base_unit().map(|unit| format!("_{unit}")).unwrap_or_default();
        let total = if self.kind == Kind::Counter { "_total" } else { "" };
        format!("{}{unit}{total}", self.family())
    }

    /// The label of the parts, in lower case. A labelled metric has no total of its own: that is the sum of its parts.
    pub fn prometheus_label(&self) -> Option<String> {
        self.dimension.map(str::to_ascii_lowercase)
    }

    /// The buckets' upper bounds, without the last, infinite one.
    pub fn bounds(&self) -> &'static [f64] {
        if self.unit == Unit::Dollars { DOLLARS } else { SECONDS }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::metrics::Metric;

    #[test]
    fn names_follow_the_conventions_and_are_unique() {
        let names: BTreeSet<_> = Metric::ALL.iter().map(|metric| metric.info().prometheus_name()).collect();
        assert_eq!(names.len(), Metric::ALL.len());
        for (metric, name) in [
            (Metric::JobsSucceeded, "transcode_jobs_succeeded_total"),
            (Metric::OldestMessageAge, "transcode_oldest_message_age_seconds"),
            (Metric::JobSeconds, "transcode_job_seconds"),
            (Metric::TaskCost, "transcode_task_cost_usd"),
            (Metric::LaunchesPaused, "transcode_launches_paused"),
        ] {
            assert_eq!(metric.info().prometheus_name(), name);
        }
        let plain = |name: &String| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        assert!(names.iter().all(plain), "{names:?}");
    }

    #[test]
    fn buckets_grow() {
        assert!([SECONDS, DOLLARS].iter().all(|bounds| bounds.is_sorted()));
    }
}
