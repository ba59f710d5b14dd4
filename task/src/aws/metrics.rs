//! The task's metrics: one `PutMetricData` when the work is over.

use std::time::SystemTime;

use aws_sdk_cloudwatch::{
    Client,
    primitives::DateTime,
    types::{Dimension, MetricDatum, StandardUnit},
};
pub use transcode_config::metrics::TaskMetric as MetricName;

/// The values of one task.
#[derive(Debug, Default, Clone)]
pub struct Metrics {
    values: Vec<(MetricName, f64)>,
}

impl Metrics {
    /// Records a value. Infinite values and NaN are left out: `CloudWatch` would refuse the whole call.
    pub fn put(&mut self, name: MetricName, value: f64) {
        if value.is_finite() {
            self.values.push((name, value));
        }
    }

    /// Sends everything in one call. An error is logged and loses only the metrics.
    pub async fn send(&self, client: &Client, namespace: &str, environment: &str) {
        let dimension = Dimension::builder().name("Environment").value(environment).build();
        let now = DateTime::from(SystemTime::now());
        let data = self.values.iter().map(|(metric, value)| {
            let info = metric.info();
            let unit = StandardUnit::from(info.unit.name());
            let datum = MetricDatum::builder().metric_name(info.name).unit(unit).value(*value);
            datum.timestamp(now).dimensions(dimension.clone()).build()
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
    use super::*;

    #[test]
    fn what_is_not_a_number_is_left_out() {
        let mut metrics = Metrics::default();
        metrics.put(MetricName::RealTimeFactor, f64::INFINITY);
        metrics.put(MetricName::RealTimeFactor, f64::NAN);
        metrics.put(MetricName::TaskSeconds, 1.5);
        assert_eq!(metrics.values, [(MetricName::TaskSeconds, 1.5)]);
    }
}
