//! Sends the metrics of [`crate::events`] to `CloudWatch`. An outage of `CloudWatch` loses metrics and affects nothing
//! else.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use aws_sdk_cloudwatch::{
    Client,
    types::{Dimension, MetricDatum, StandardUnit},
};
use aws_smithy_types::DateTime;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use transcode_config::{metrics::Detail, settings::Settings};
use transcode_core::protocol::fact::{CallError, ErrorClass};

use super::{class::call_error, wall_ms};
use crate::events::{Event, Events, Point, Value};

/// `CloudWatch`' limits for one call and one datum.
const MAX_DATUMS: usize = 1000;
const MAX_VALUES: usize = 150;

/// Most periods kept while `CloudWatch` does not answer: an hour with the shipped settings. A period has about 40
/// datums.
const MAX_PERIODS: usize = 60;

/// Longest last flush of a process that was asked to end.
const LAST_FLUSH: Duration = Duration::from_secs(5);

/// The flusher.
#[derive(Debug)]
pub struct CloudWatch {
    client: Client,
    namespace: String,
    environment: String,
    period: Duration,
    detail: Detail,
    waiting: VecDeque<Vec<MetricDatum>>,
}

impl CloudWatch {
    /// The flusher for these settings.
    pub fn new(client: Client, settings: &Settings) -> Self {
        Self {
            client,
            namespace: settings.metrics.namespace.clone(),
            environment: settings.environment.clone(),
            period: Duration::from_secs(settings.metrics.period_seconds),
            detail: settings.metrics.detail,
            waiting: VecDeque::new(),
        }
    }

    /// Sends every period until `stop`, and once more after it.
    pub async fn run(mut self, events: Arc<Events>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(self.period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick comes at once, when nothing is counted yet.
        ticks.tick().await;
        loop {
            tokio::select! {
                _ = ticks.tick() => self.flush(&events).await,
                () = stop.cancelled() => break,
            }
        }
        if tokio::time::timeout(LAST_FLUSH, self.flush(&events)).await.is_err() {
            tracing::warn!("last metrics not sent in time");
        }
    }

    /// Takes the counted metrics and sends them, the oldest period first. Unsent periods are kept for the next flush.
    pub async fn flush(&mut self, events: &Events) {
        self.keep(events);
        while let Some(period) = self.waiting.front() {
            match self.send(period).await {
                Ok(()) => {}
                // It would be refused again, and would block all periods after it.
                Err(error) if error.class == ErrorClass::Permanent => {
                    tracing::error!(%error, "metrics refused");
                    events.emit(Event::MetricsDropped { periods: 1 });
                }
                Err(error) => {
                    tracing::warn!(%error, class = ?error.class, waiting = self.waiting.len(), "metrics not sent");
                    return;
                }
            }
            self.waiting.pop_front();
        }
    }

    fn keep(&mut self, events: &Events) {
        let now = DateTime::from_millis(i64::try_from(wall_ms()).unwrap_or(i64::MAX));
        let points = events.registry().drain();
        let sent = points.iter().filter(|point| self.sends(point));
        self.waiting.push_back(sent.flat_map(|point| self.datums(point, now)).collect());
        if self.waiting.len() > MAX_PERIODS {
            self.waiting.pop_front();
            events.emit(Event::MetricsDropped { periods: 1 });
        }
    }

    fn sends(&self, point: &Point) -> bool {
        self.detail.sends(&point.metric.info()) && (point.label.is_none() || self.detail.sends_parts())
    }

    async fn send(&self, period: &[MetricDatum]) -> Result<(), CallError> {
        for datums in period.chunks(MAX_DATUMS) {
            let request = self.client.put_metric_data().namespace(&self.namespace);
            let answer = request.set_metric_data(Some(datums.to_vec())).send().await;
            answer.map_err(|error| call_error("cloudwatch:PutMetricData", &error))?;
        }
        Ok(())
    }

    /// The datums of a point: one, or several if it has too many values.
    fn datums(&self, point: &Point, at: DateTime) -> Vec<MetricDatum> {
        let info = point.metric.info();
        let dimension = |name: &str, value: &str| Dimension::builder().name(name).value(value).build();
        let base = MetricDatum::builder()
            .metric_name(info.name)
            .timestamp(at)
            .unit(StandardUnit::from(info.unit.name()))
            .dimensions(dimension("Environment", &self.environment));
        let base = match info.dimension.zip(point.label.as_deref()) {
            Some((name, value)) => base.dimensions(dimension(name, value)),
            None => base,
        };
        match &point.value {
            Value::One(value) => vec![base.value(*value).build()],
            Value::Many(values) => values
                .chunks(MAX_VALUES)
                .map(|chunk| {
                    let (values, counts) = chunk.iter().copied().unzip();
                    base.clone().set_values(Some(values)).set_counts(Some(counts)).build()
                })
                .collect(),
        }
    }
}
