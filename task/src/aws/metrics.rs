//! The task's metrics: one `PutMetricData` when the work is over.

use std::time::SystemTime;

use aws_sdk_cloudwatch::{
    Client,
    primitives::DateTime,
    types::{Dimension, MetricDatum, StandardUnit},
};

/// A metric's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the registry below says what each one means")]
pub enum MetricName {
    TaskSucceeded,
    TaskFailed,
    TaskSuperseded,
    TaskInterrupted,
    SourceBytes,
    OutputBytes,
    OutputMinutes,
    RealTimeFactor,
    DownloadSeconds,
    TranscodeSeconds,
    UploadSeconds,
    TaskSeconds,
}

/// One row of the registry. The dashboard and the documentation are made of it.
#[derive(Debug, Clone)]
pub struct Metric {
    /// Which metric.
    pub name: MetricName,
    /// The unit, as `CloudWatch` knows it.
    pub unit: StandardUnit,
    /// What one value means.
    pub meaning: &'static str,
}

/// Every metric of the task. The only dimension is the environment: a custom metric is paid for by name and dimension.
pub const METRICS: &[Metric] = &[
    row(MetricName::TaskSucceeded, StandardUnit::Count, "attempts that wrote the register"),
    row(MetricName::TaskFailed, StandardUnit::Count, "attempts that ended with a failure"),
    row(MetricName::TaskSuperseded, StandardUnit::Count, "attempts that found the job decided or taken over"),
    row(MetricName::TaskInterrupted, StandardUnit::Count, "attempts that were stopped from outside"),
    row(MetricName::SourceBytes, StandardUnit::Bytes, "size of the source"),
    row(MetricName::OutputBytes, StandardUnit::Bytes, "size of all outputs of one job"),
    row(
        MetricName::OutputMinutes,
        StandardUnit::Count,
        "length of the result in minutes, counted once for a job",
    ),
    row(MetricName::RealTimeFactor, StandardUnit::None, "length of the result over the time to transcode it"),
    row(MetricName::DownloadSeconds, StandardUnit::Seconds, "time to fetch the source"),
    row(MetricName::TranscodeSeconds, StandardUnit::Seconds, "time to probe, encode, package and verify"),
    row(MetricName::UploadSeconds, StandardUnit::Seconds, "time from the last encoded byte to the register"),
    row(MetricName::TaskSeconds, StandardUnit::Seconds, "time from the start of the process to its end"),
];

const fn row(name: MetricName, unit: StandardUnit, meaning: &'static str) -> Metric {
    Metric { name, unit, meaning }
}

impl MetricName {
    /// The name as `CloudWatch` shows it.
    pub fn name(self) -> String {
        format!("{self:?}")
    }
}

/// The values of one task.
#[derive(Debug, Default, Clone)]
pub struct Metrics {
    values: Vec<(MetricName, f64)>,
}

impl Metrics {
    /// Notes a value. What is not a finite number is left out: `CloudWatch` would refuse the whole call.
    pub fn put(&mut self, name: MetricName, value: f64) {
        if value.is_finite() {
            self.values.push((name, value));
        }
    }

    /// The values noted so far.
    pub fn values(&self) -> &[(MetricName, f64)] {
        &self.values
    }

    /// Sends everything in one call. An error is logged and costs nothing but the metrics.
    pub async fn send(&self, client: &Client, namespace: &str, environment: &str) {
        let dimension = Dimension::builder().name("Environment").value(environment).build();
        let now = DateTime::from(SystemTime::now());
        let data = self.values.iter().filter_map(|(name, value)| {
            let unit = METRICS.iter().find(|metric| metric.name == *name)?.unit.clone();
            let datum = MetricDatum::builder().metric_name(name.name()).unit(unit).value(*value);
            Some(datum.timestamp(now).dimensions(dimension.clone()).build())
        });
        let put = client.put_metric_data().namespace(namespace).set_metric_data(Some(data.collect()));
        match put.send().await {
            Ok(_) => tracing::debug!(metrics = self.values.len(), "metrics sent"),
            Err(error) => {
                let error = super::AwsError::from(error);
                tracing::warn!(%error, "metrics were not sent");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_metric_is_in_the_registry_once() {
        let names: BTreeSet<_> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len());
        assert!(names.contains(&MetricName::TaskSeconds));
    }

    #[test]
    fn what_is_not_a_number_is_left_out() {
        let mut metrics = Metrics::default();
        metrics.put(MetricName::RealTimeFactor, f64::INFINITY);
        metrics.put(MetricName::RealTimeFactor, f64::NAN);
        metrics.put(MetricName::TaskSeconds, 1.5);
        assert_eq!(metrics.values(), [(MetricName::TaskSeconds, 1.5)]);
    }
}
