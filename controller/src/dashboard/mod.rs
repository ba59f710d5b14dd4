//! The dashboard, made from the registry of metrics. Pure: `transcode-controller dashboard` prints it or puts it into
//! CloudWatch, and the template carries the same body with its own names. [`grafana`] is the same for Prometheus.

pub mod grafana;
mod layout;

use serde_json::{Value, json};
use transcode_config::metrics::{ALARMS, Detail, MetricInfo, Queue};

use self::layout::{SECTIONS, Series, Widget};

/// Columns of a dashboard.
const COLUMNS: usize = 24;

/// Height of a graph, in the dashboard's units.
const GRAPH: usize = 6;

/// Seconds of one point of a graph.
const PERIOD: u32 = 60;

/// The names in the body. In the template they are placeholders.
#[derive(Debug, Clone)]
pub struct Names {
    /// Region.
    pub region: String,
    /// The beginning of the alarms' ARNs: `arn:aws:cloudwatch:<region>:<account>:alarm:`.
    pub alarm_arn: String,
    /// Environment.
    pub environment: String,
    /// Namespace of the metrics.
    pub namespace: String,
    /// Name of the jobs' dead-letter queue.
    pub dead_letters: String,
    /// Name of the events queue's dead-letter queue.
    pub events_dead_letters: String,
    /// URL of the runbook, or its path in the repository.
    pub runbook: String,
}

impl Names {
    /// Name of a queue whose messages SQS counts.
    pub fn queue(&self, queue: Queue) -> &str {
        match queue {
            Queue::DeadLetters => &self.dead_letters,
            Queue::EventsDeadLetters => &self.events_dead_letters,
        }
    }

    /// The beginning of the names of this environment's alarms.
    pub fn alarm_prefix(environment: &str) -> String {
        format!("{environment}-transcode-")
    }

    fn alarm_arn(&self, name: &str) -> String {
        format!("{}{}{name}", self.alarm_arn, Self::alarm_prefix(&self.environment))
    }
}

/// The body, one widget a line, so that the difference of two versions is readable. It shows what this detail sends.
pub fn body(names: &Names, detail: Detail) -> String {
    let lines: Vec<String> = widgets(names, detail).iter().map(Value::to_string).collect();
    format!("{{\"widgets\":[\n{}\n]}}\n", lines.join(",\n"))
}

fn widgets(names: &Names, detail: Detail) -> Vec<Value> {
    let mut top = 0;
    let mut widgets = Vec::new();
    let title = format!(
        "# Transcoding: {}\nWhat each alarm means and what to do: {}. What each metric says: docs/metrics.md",
        names.environment, names.runbook
    );
    place(&mut widgets, &mut top, 2, vec![json!({"type": "text", "properties": {"markdown": title}})]);
    let fed = ALARMS.iter().filter(|alarm| alarm.is_fed_by(detail));
    let arns: Vec<String> = fed.map(|alarm| names.alarm_arn(alarm.name)).collect();
    let alarms = json!({"type": "alarm", "properties": {"title": "Alarms", "alarms": arns}});
    place(&mut widgets, &mut top, 3, vec![alarms]);
    for section in SECTIONS {
        let graphs: Vec<Value> =
            section.widgets.iter().filter_map(|widget| graph(widget, names, detail)).collect();
        if graphs.is_empty() {
            continue;
        }
        let markdown = format!("## {}", section.title);
        place(&mut widgets, &mut top, 1, vec![json!({"type": "text", "properties": {"markdown": markdown}})]);
        place(&mut widgets, &mut top, GRAPH, graphs);
    }
    widgets
}

/// Puts widgets side by side into one row that they fill.
fn place(widgets: &mut Vec<Value>, top: &mut usize, height: usize, row: Vec<Value>) {
    let width = COLUMNS / row.len().max(1);
    for (index, mut widget) in row.into_iter().enumerate() {
        for (key, value) in [("x", index * width), ("y", *top), ("width", width), ("height", height)] {
            widget[key] = json!(value);
        }
        widgets.push(widget);
    }
    *top += height;
}

/// A graph with the series that are sent; none if there are none.
fn graph(widget: &Widget, names: &Names, detail: Detail) -> Option<Value> {
    let series: Vec<&Series> = widget.series.iter().filter(|series| series.is_sent(detail)).collect();
    let stat = series.first()?.stat();
    let before = std::iter::once(None).chain(series.iter().copied().map(Some));
    let metrics: Vec<Value> =
        series.iter().zip(before).map(|(series, before)| line(series, before, stat, names)).collect();
    Some(json!({
        "type": "metric",
        "properties": {
            "title": widget.title,
            "region": names.region,
            "view": "timeSeries",
            "stacked": widget.stacked,
            "stat": stat,
            "period": PERIOD,
            "metrics": metrics,
            "yAxis": {"left": {"min": 0, "label": widget.unit}},
        }
    }))
}

/// One line of a graph in the dashboard's format: "." repeats the value at the same place of the line before. A
/// template may have 51,200 bytes.
fn line(series: &Series, before: Option<&Series>, stat: &'static str, names: &Names) -> Value {
    let mut line = match series {
        Series::One(info, _) if matches!(before, Some(Series::One(..))) => {
            json!([".", info.name, ".", "."])
        }
        Series::One(info, _) => json!([names.namespace, info.name, "Environment", names.environment]),
        Series::Each(info) => {
            return json!([{"expression": each(info, series.stat(), names), "id": "e1", "label": ""}]);
        }
        Series::Waiting(queue, label) => {
            let queue = names.queue(*queue);
            return json!([
                "AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", queue, {"stat": "Maximum", "label": label}
            ]);
        }
    };
    let own = series.stat();
    if let Some(line) = line.as_array_mut().filter(|_| own != stat) {
        line.push(json!({"stat": own}));
    }
    line
}

/// All values of a metric's dimension.
fn each(info: &MetricInfo, stat: &str, names: &Names) -> String {
    let dimension = info.dimension.unwrap_or_default();
    format!(
        "SEARCH('{{{},{dimension},Environment}} MetricName=\"{}\" Environment=\"{}\"', '{stat}', {PERIOD})",
        names.namespace, info.name, names.environment
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use transcode_config::metrics::all;

    use super::*;

    fn names() -> Names {
        Names {
            region: "eu-west-1".into(),
            alarm_arn: "arn:aws:cloudwatch:eu-west-1:1:alarm:".into(),
            environment: "prod".into(),
            namespace: "Ns".into(),
            dead_letters: "dead".into(),
            events_dead_letters: "events-dead".into(),
            runbook: "runbook".into(),
        }
    }

    #[test]
    fn every_metric_is_on_the_dashboard() {
        let body: Value = serde_json::from_str(&body(&names(), Detail::Full)).unwrap();
        let text = body.to_string();
        for info in all() {
            assert!(text.contains(&format!("\",\"{}\",", info.name)), "{} is not shown", info.name);
            if info.dimension.is_some() {
                assert!(
                    text.contains(&format!("MetricName=\\\"{}", info.name)),
                    "{} is not searched",
                    info.name
                );
            }
        }
        for alarm in ALARMS {
            assert!(text.contains(&format!(":alarm:prod-transcode-{}\"", alarm.name)), "{}", alarm.name);
        }
    }

    #[test]
    fn the_basic_dashboard_shows_what_basic_sends_and_nothing_else() {
        let text = body(&names(), Detail::Basic);
        for info in all() {
            let shown = text.contains(&format!("\",\"{}\",", info.name));
            assert_eq!(shown, Detail::Basic.sends(&info), "{}", info.name);
        }
        assert!(!text.contains("SEARCH("), "parts are not sent");
        let alarms =
            ALARMS.iter().filter(|alarm| text.contains(&format!(":alarm:prod-transcode-{}\"", alarm.name)));
        assert_eq!(alarms.count(), ALARMS.iter().filter(|alarm| alarm.is_fed_by(Detail::Basic)).count());
    }

    #[test]
    fn widgets_fill_their_rows_without_touching_and_keep_cloudwatchs_limits() {
        for detail in [Detail::Basic, Detail::Full] {
            fill_their_rows(&widgets(&names(), detail));
        }
    }

    fn fill_their_rows(widgets: &[Value]) {
        assert!(widgets.len() <= 500);
        let mut taken = BTreeSet::new();
        for widget in widgets {
            let number = |key: &str| usize::try_from(widget[key].as_u64().unwrap()).unwrap();
            let (x, y) = (number("x"), number("y"));
            assert!(x + number("width") <= COLUMNS);
            for column in x..x + number("width") {
                for row in y..y + number("height") {
                    assert!(taken.insert((column, row)), "two widgets at {column}, {row}");
                }
            }
        }
        let rows =
            widgets.iter().map(|widget| widget["y"].as_u64().unwrap() + widget["height"].as_u64().unwrap());
        assert_eq!(taken.len(), COLUMNS * usize::try_from(rows.max().unwrap()).unwrap(), "no gaps");
    }
}
