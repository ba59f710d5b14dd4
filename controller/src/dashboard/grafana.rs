//! The same dashboard for Grafana over Prometheus: the same graphs with the controller's metrics. Tasks are not scraped, and
//! queues are the exporter's of SQS, so their lines are left out.

use serde_json::{Value, json};
use transcode_config::metrics::{Kind, Metric, MetricInfo};

use super::layout::{SECTIONS, Series, Widget};

/// Columns of a dashboard in Grafana.
const COLUMNS: usize = 24;

/// Height of a graph.
const GRAPH: usize = 8;

/// The series of one scrape configuration, chosen above the graphs.
const OURS: &str = "{job=~\"$job\"}";

/// The dashboard as Grafana imports it. Names nothing of an environment: data source and scrape job are variables.
pub fn dashboard() -> Value {
    let (mut panels, mut top) = (Vec::new(), 0);
    for section in SECTIONS {
        let graphs: Vec<(&Widget, Vec<Value>)> = section
            .widgets
            .iter()
            .map(|widget| (widget, targets(widget)))
            .filter(|(_, its)| !its.is_empty())
            .collect();
        if graphs.is_empty() {
            continue;
        }
        let place = json!({"x": 0, "y": top, "w": COLUMNS, "h": 1});
        panels.push(json!({"type": "row", "title": section.title, "gridPos": place, "collapsed": false, "panels": []}));
        top += 1;
        let width = COLUMNS / graphs.len();
        for (index, (widget, targets)) in graphs.into_iter().enumerate() {
            let place = json!({"x": index * width, "y": top, "w": width, "h": GRAPH});
            panels.push(panel(widget, &targets, &place));
        }
        top += GRAPH;
    }
    for (id, panel) in (1..).zip(&mut panels) {
        panel["id"] = json!(id);
    }
    json!({
        "title": "Transcoding",
        "uid": "transcode-operator",
        "tags": ["transcode"],
        "schemaVersion": 39,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [
            {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"},
            {
                "name": "job", "type": "query", "label": "Scrape job", "includeAll": true, "multi": true, "refresh": 2,
                "datasource": source(), "query": "label_values(transcode_build_info, job)",
            },
        ]},
        "panels": panels,
    })
}

fn source() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

fn panel(widget: &Widget, targets: &[Value], place: &Value) -> Value {
    let stacking = json!({"mode": if widget.stacked { "normal" } else { "none" }, "group": "A"});
    json!({
        "type": "timeseries",
        "title": widget.title,
        "datasource": source(),
        "gridPos": place,
        "targets": targets,
        "fieldConfig": {
            "defaults": {"min": 0, "custom": {"axisLabel": widget.unit, "stacking": stacking}},
            "overrides": [],
        },
    })
}

/// The queries of a graph. Each has a letter by which Grafana names it.
fn targets(widget: &Widget) -> Vec<Value> {
    let queries = widget.series.iter().filter_map(query);
    let letters = ('A'..='Z').map(String::from);
    letters
        .zip(queries)
        .map(|(letter, (expr, legend))| json!({"refId": letter, "expr": expr, "legendFormat": legend}))
        .collect()
}

/// A line's query and its legend; none for what is not scraped.
fn query(series: &Series) -> Option<(String, String)> {
    match series {
        Series::One(info, stat) if is_scraped(info) => Some(one(info, stat)),
        Series::Each(info) => {
            let (name, label) = (info.prometheus_name(), info.prometheus_label()?);
            let expr = match info.kind {
                Kind::Gauge => format!("max by ({label}) ({name}{OURS})"),
                _ => format!("sum by ({label}) (increase({name}{OURS}[$__rate_interval]))"),
            };
            Some((expr, format!("{{{{{label}}}}}")))
        }
        Series::One(..) | Series::Waiting(..) => None,
    }
}

fn is_scraped(info: &MetricInfo) -> bool {
    Metric::ALL.iter().any(|metric| metric.info().name == info.name)
}

fn one(info: &MetricInfo, stat: &str) -> (String, String) {
    let name = info.prometheus_name();
    let grown = |series: &str| format!("sum(increase({name}{series}{OURS}[$__rate_interval]))");
    let quantile = |quantile: &str| {
        format!("histogram_quantile({quantile}, sum by (le) (rate({name}_bucket{OURS}[$__rate_interval])))")
    };
    match (info.kind, stat) {
        (Kind::Counter, _) => (grown(""), info.name.to_owned()),
        (Kind::Gauge, _) if info.dimension.is_some() => {
            let label = info.prometheus_label().unwrap_or_default();
            (format!("max(sum without ({label}) ({name}{OURS}))"), info.name.to_owned())
        }
        // With several controllers each has its own view; a gauge of queues has one line for each.
        (Kind::Gauge, _) => {
            (format!("max by (queue) ({name}{OURS})"), format!("{} {{{{queue}}}}", info.name))
        }
        (Kind::Distribution, "Sum") => (grown("_sum"), info.name.to_owned()),
        (Kind::Distribution, "Average") => {
            (format!("{} / {}", grown("_sum"), grown("_count")), format!("{} average", info.name))
        }
        (Kind::Distribution, "p50") => (quantile("0.5"), format!("{} p50", info.name)),
        (Kind::Distribution, "p95") => (quantile("0.95"), format!("{} p95", info.name)),
        (Kind::Distribution, _) => (quantile("1"), format!("{} highest", info.name)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn panels_have_their_own_ids_and_fill_their_rows() {
        let dashboard = dashboard();
        let panels = dashboard["panels"].as_array().unwrap();
        let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
        assert_eq!(ids.len(), panels.len());
        let graphs = panels.iter().filter(|panel| panel["type"] == "timeseries");
        let area: u64 = graphs.map(|panel| panel["gridPos"]["w"].as_u64().unwrap()).sum();
        let rows = panels.iter().filter(|panel| panel["type"] == "row").count();
        assert_eq!(area, 24 * rows as u64);
    }

    #[test]
    fn a_letter_is_used_once_in_a_graph() {
        for panel in dashboard()["panels"].as_array().unwrap() {
            let targets = panel["targets"].as_array().map_or(&[][..], Vec::as_slice);
            let letters: BTreeSet<&str> =
                targets.iter().map(|target| target["refId"].as_str().unwrap()).collect();
            assert_eq!(letters.len(), targets.len(), "{panel}");
        }
    }
}
