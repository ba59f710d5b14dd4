//! The dashboard, made from the registry of metrics. Pure: `transcode-controller dashboard` prints it or puts it into
//! CloudWatch, and the template carries the same body with its own names.

mod layout;

use serde_json::{Value, json};
use transcode_config::metrics::{ALARMS, MetricInfo, Queue};

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

/// The body, one widget a line, so that the difference of two versions is readable.
pub fn body(names: &Names) -> String {
    let lines: Vec<String> = widgets(names).iter().map(Value::to_string).collect();
    format!("{{\"widgets\":[\n{}\n]}}\n", lines.join(",\n"))
}

fn widgets(names: &Names) -> Vec<Value> {
    let mut top = 0;
    let mut widgets = Vec::new();
    let title = format!(
        "# Transcoding: {}\nWhat each alarm means and what to do: {}. What each metric says: docs/metrics.md",
        names.environment, names.runbook
    );
    place(&mut widgets, &mut top, 2, vec![json!({"type": "text", "properties": {"markdown": title}})]);
    let arns: Vec<String> = ALARMS.iter().map(|alarm| names.alarm_arn(alarm.name)).collect();
    let alarms = json!({"type": "alarm", "properties": {"title": "Alarms", "alarms": arns}});
    place(&mut widgets, &mut top, 3, vec![alarms]);
    for section in SECTIONS {
        let markdown = format!("## {}", section.title);
        place(&mut widgets, &mut top, 1, vec![json!({"type": "text", "properties": {"markdown": markdown}})]);
        let graphs = section.widgets.iter().map(|widget| graph(widget, names)).collect();
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

fn graph(widget: &Widget, names: &Names) -> Value {
    let stat = widget.series.first().map_or("Sum", Series::stat);
    let metrics: Vec<Value> =
        (0..widget.series.len()).map(|at| line(widget.series, at, stat, names)).collect();
    json!({
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
    })
}

/// One line of a graph in the dashboard's format: "." repeats the value at the same place of the line before. A
/// template may have 51,200 bytes.
fn line(series: &[Series], at: usize, stat: &'static str, names: &Names) -> Value {
    let before = at.checked_sub(1).and_then(|before| series.get(before));
    let mut line = match series.get(at) {
        Some(Series::One(info, _)) if matches!(before, Some(Series::One(..))) => {
            json!([".", info.name, ".", "."])
        }
        Some(Series::One(info, _)) => json!([names.namespace, info.name, "Environment", names.environment]),
        Some(Series::Each(info)) => {
            return json!([{"expression": each(info, names), "id": "e1", "label": ""}]);
        }
        Some(Series::Waiting(queue, label)) => {
            let queue = names.queue(*queue);
            return json!([
                "AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", queue, {"stat": "Maximum", "label": label}
            ]);
        }
        None => Value::Null,
    };
    let own = series.get(at).map_or(stat, Series::stat);
    if let Some(line) = line.as_array_mut().filter(|_| own != stat) {
        line.push(json!({"stat": own}));
    }
    line
}

/// All values of a metric's dimension.
fn each(info: &MetricInfo, names: &Names) -> String {
    let dimension = info.dimension.unwrap_or_default();
    format!(
        "SEARCH('{{{},{dimension},Environment}} MetricName=\"{}\" Environment=\"{}\"', 'Sum', {PERIOD})",
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
        let body: Value = serde_json::from_str(&body(&names())).unwrap();
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
    fn widgets_fill_their_rows_without_touching_and_keep_cloudwatchs_limits() {
        let widgets = widgets(&names());
        assert!(widgets.len() <= 500);
        let mut taken = BTreeSet::new();
        for widget in &widgets {
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
