//! `/metrics`: the registry of [`crate::events`] as Prometheus scrapes it, on a port of its own.
//!
//! The text is made at each scrape from the same counts that go to CloudWatch, whatever `metrics.detail` is. Labels are
//! closed lists (failure codes, classes of refusal, reasons) or the settings' own names (queues): no upload adds one.

use std::{fmt, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet, prometheus_text, text},
    metrics::MetricType,
    registry::{Registry, Unit},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use transcode_config::{contract::FailureCode, settings::Settings};
use transcode_core::message::IgnoreReason;

use super::connections::{self, Limits};
use crate::events::{Events, Kind, Metric, Spread, Standing};

/// The two formats, by what the client accepts. Prometheus asks for the first; the second is understood by everything.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is scraped.
#[derive(Debug)]
pub struct Exposition(Registry);

impl Exposition {
    /// The metrics of these events, and one line that says which environment and version they are of.
    pub fn new(events: Arc<Events>, environment: &str) -> Self {
        let mut registry = Registry::default();
        let names =
            [("environment", environment.to_owned()), ("version", env!("CARGO_PKG_VERSION").to_owned())];
        let build = prometheus_client::metrics::info::Info::new(names.to_vec());
        registry.register("transcode_build", "the controller's environment and version", build);
        registry.register_collector(Box::new(Metrics(events)));
        Self(registry)
    }

    /// The text in the format of `OpenMetrics`, or in the classic one.
    pub fn text(&self, open_metrics: bool) -> Result<String, fmt::Error> {
        let mut text = String::new();
        if open_metrics {
            text::encode(&mut text, &self.0)?;
        } else {
            prometheus_text::encode(&mut text, &self.0)?;
        }
        Ok(text)
    }
}

/// Binds the address of the settings, unless it is empty.
pub async fn bind(settings: &Settings) -> anyhow::Result<Option<TcpListener>> {
    use anyhow::Context;
    let listen = &settings.metrics.prometheus.listen;
    if listen.is_empty() {
        return Ok(None);
    }
    let address: SocketAddr = listen.parse().context("metrics.prometheus.listen: address:port")?;
    let bound = TcpListener::bind(address).await;
    bound.map(Some).with_context(|| format!("metrics.prometheus.listen: {listen} cannot be bound"))
}

/// Serves until `stop`.
pub async fn serve(listener: TcpListener, exposition: Exposition, stop: CancellationToken) {
    let router = Router::new().route("/metrics", get(metrics)).with_state(Arc::new(exposition));
    connections::serve(listener, router, Limits::default(), stop).await;
}

async fn metrics(State(exposition): State<Arc<Exposition>>, headers: HeaderMap) -> impl IntoResponse {
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let open_metrics = accepts.contains("application/openmetrics-text");
    let kind = if open_metrics { OPEN_METRICS } else { CLASSIC };
    match exposition.text(open_metrics) {
        Ok(text) => (StatusCode::OK, [(header::CONTENT_TYPE, kind)], text),
        // Writing to a string cannot fail.
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, CLASSIC)], String::new()),
    }
}

/// Reads the registry at each scrape.
#[derive(Debug)]
struct Metrics(Arc<Events>);

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let standing = self.0.registry().standing();
        for metric in Metric::ALL {
            let info = metric.info();
            let unit = info.base_unit().map(|unit| Unit::Other(unit.to_owned()));
            let family = Family { metric: *metric, standing: &standing };
            let (name, kind) = (info.family(), family.metric_type());
            family.encode(encoder.encode_descriptor(&name, info.meaning, unit.as_ref(), kind)?)?;
        }
        Ok(())
    }
}

/// One metric with its labels.
struct Family<'a> {
    metric: Metric,
    standing: &'a Standing,
}

impl EncodeMetric for Family<'_> {
    fn encode(&self, encoder: MetricEncoder) -> fmt::Result {
        match self.metric.info().kind {
            Kind::Counter => self.counter(encoder),
            Kind::Gauge => self.gauge(encoder),
            Kind::Distribution => self.spread(encoder),
        }
    }

    fn metric_type(&self) -> MetricType {
        match self.metric.info().kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Distribution => MetricType::Histogram,
        }
    }
}

impl Family<'_> {
    /// Each label from its closed list is there from the start, as zero: a rate then sees the first one.
    fn counter(&self, mut encoder: MetricEncoder) -> fmt::Result {
        let counted = |wanted| {
            let mut parts = self.standing.totals.parts(self.metric);
            parts.find(|(label, _)| *label == wanted).map_or(0, |(_, count)| count)
        };
        let Some(name) = self.metric.info().prometheus_label() else {
            return encoder.encode_counter::<NoLabelSet, u64, u64>(&counted(None), None);
        };
        let known = self.standing.totals.parts(self.metric).filter_map(|(label, _)| label);
        let mut labels: Vec<&str> = known.chain(closed_list(self.metric)).collect();
        labels.sort_unstable();
        labels.dedup();
        for label in labels {
            let part = [(name.as_str(), label)];
            let count = counted(Some(label));
            encoder.encode_family(&part)?.encode_counter::<NoLabelSet, u64, u64>(&count, None)?;
        }
        Ok(())
    }

    fn gauge(&self, mut encoder: MetricEncoder) -> fmt::Result {
        let parts = self.standing.gauges.get(&self.metric);
        let label = self.metric.info().prometheus_label().unwrap_or_else(|| "queue".to_owned());
        for (part, value) in parts.into_iter().flatten() {
            if part.is_empty() {
                encoder.encode_gauge(value)?;
            } else {
                encoder.encode_family(&[(label.as_str(), part.as_str())])?.encode_gauge(value)?;
            }
        }
        Ok(())
    }

    fn spread(&self, mut encoder: MetricEncoder) -> fmt::Result {
        let Spread { sum, count, buckets } = self.standing.totals.spread_of(self.metric);
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }
}

/// The labels that a metric can have, where they are a list.
fn closed_list(metric: Metric) -> Vec<&'static str> {
    match metric {
        Metric::JobsDead => FailureCode::ALL.iter().map(|code| code.info().name).collect(),
        Metric::Ignored => IgnoreReason::ALL.iter().map(|reason| reason.name()).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_every_metric_under_its_name_and_ends_as_the_format_asks() {
        let events = Arc::new(Events::new());
        let registry = events.registry();
        registry.add(Metric::Launches, 2);
        registry.add_labelled(Metric::JobsDead, "EMPTY", 1);
        registry.set_part(Metric::QueueDepth, "high", 3.0);
        registry.record_ms(Metric::JobSeconds, 2_000);
        registry.record_ms(Metric::JobSeconds, 90_000_000);
        // A flush takes nothing from what is scraped.
        registry.drain();
        let exposition = Exposition::new(Arc::clone(&events), "prod");
        let text = exposition.text(true).unwrap();
        for line in [
            "transcode_launches_total 2",
            "transcode_jobs_dead_total{code=\"EMPTY\"} 1",
            "transcode_jobs_dead_total{code=\"NOT_MEDIA\"} 0",
            "transcode_queue_depth{queue=\"high\"} 3.0",
            "transcode_job_seconds_bucket{le=\"2.5\"} 1",
            "transcode_job_seconds_bucket{le=\"43200.0\"} 1",
            "transcode_job_seconds_bucket{le=\"+Inf\"} 2",
            "transcode_job_seconds_count 2",
            "transcode_job_seconds_sum 90002.0",
            "# UNIT transcode_job_seconds seconds",
            "# TYPE transcode_launches counter",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
        }
        assert!(text.contains("transcode_build_info{environment=\"prod\",version=\""), "{text}");
        assert!(text.ends_with("# EOF\n"));
        for metric in Metric::ALL {
            let family = format!("# TYPE {}", metric.info().prometheus_name().trim_end_matches("_total"));
            assert!(text.contains(&family), "{family}");
        }
        let classic = exposition.text(false).unwrap();
        assert!(classic.contains("# TYPE transcode_launches_total counter"), "{classic}");
    }
}
