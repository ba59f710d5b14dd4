//! The deployed dashboard and its numbers: `GetDashboard`, `GetMetricData`, `ListMetrics`, `DescribeAlarms`.

use anyhow::{Context, Result};
use aws_sdk_cloudwatch::{
    primitives::DateTime,
    types::{Dimension, DimensionFilter, Metric, MetricDataQuery, MetricStat, Statistic},
};
use serde_json::Value;

use crate::Stack;

/// Most points of a line.
const POINTS: i64 = 60;

/// The drawn time.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) from: DateTime,
    pub(super) to: DateTime,
}

impl Span {
    pub(super) fn seconds(&self) -> i64 {
        (self.to.secs() - self.from.secs()).max(1)
    }

    /// Seconds of one point: a divisor of a minute, as CloudWatch requires.
    fn period(&self) -> i32 {
        [5, 10, 30].into_iter().find(|period| self.seconds() / i64::from(*period) <= POINTS).unwrap_or(60)
    }
}

/// Position and size on the dashboard, in its units.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// The content of a widget.
#[derive(Debug)]
pub(super) enum Content {
    Text(String),
    /// Alarms with their states.
    Alarms(Vec<(String, String)>),
    Graph {
        title: String,
        unit: String,
        stacked: bool,
        lines: Vec<Line>,
    },
}

/// A widget.
#[derive(Debug)]
pub(super) struct Widget {
    pub(super) place: Place,
    pub(super) content: Content,
}

/// A line: its name, and its points (seconds from the begin, value).
#[derive(Debug)]
pub(super) struct Line {
    pub(super) label: String,
    pub(super) points: Vec<(f64, f64)>,
}

/// A line before its values are read.
#[derive(Debug, Clone, Default)]
struct Series {
    namespace: String,
    name: String,
    dimensions: Vec<(String, String)>,
    stat: String,
    label: String,
}

/// The time of a metric's newest value, once it has `count` values.
pub(super) async fn latest(stack: &Stack, name: &str, count: u32) -> Result<Option<DateTime>> {
    let now = std::time::SystemTime::now();
    let hour = std::time::Duration::from_hours(1);
    let environment = Dimension::builder().name("Environment").value(&stack.deployment.environment).build();
    let ask = stack.clients().cloudwatch.get_metric_statistics().metric_name(name).period(86_400);
    let ask = ask.namespace(&stack.deployment.metrics_namespace).dimensions(environment);
    let ask = ask.start_time(DateTime::from(now - hour)).end_time(DateTime::from(now + hour));
    let answer = ask.statistics(Statistic::SampleCount).send().await.context("GetMetricStatistics")?;
    let found: f64 =
        answer.datapoints().iter().filter_map(aws_sdk_cloudwatch::types::Datapoint::sample_count).sum();
    Ok((found >= f64::from(count)).then(|| DateTime::from(now)))
}

/// Every widget of the deployed dashboard with its values.
pub(super) async fn read(stack: &Stack, span: &Span) -> Result<Vec<Widget>> {
    let name = format!("{}-transcode", stack.deployment.environment);
    let get = stack.clients().cloudwatch.get_dashboard().dashboard_name(name);
    let answer = get.send().await.context("GetDashboard")?;
    let body: Value = serde_json::from_str(answer.dashboard_body().context("no body")?)?;
    let mut widgets = Vec::new();
    for widget in body["widgets"].as_array().context("no widgets")? {
        let number = |key: &str| widget[key].as_f64().unwrap_or_default();
        let place =
            Place { x: number("x"), y: number("y"), width: number("width"), height: number("height") };
        let properties = &widget["properties"];
        let content = match widget["type"].as_str() {
            Some("text") => Content::Text(text(&properties["markdown"])),
            Some("alarm") => Content::Alarms(alarms(stack, &properties["alarms"]).await?),
            _ => Content::Graph {
                title: text(&properties["title"]),
                unit: text(&properties["yAxis"]["left"]["label"]),
                stacked: properties["stacked"].as_bool().unwrap_or_default(),
                lines: lines(stack, span, properties).await?,
            },
        };
        widgets.push(Widget { place, content });
    }
    Ok(widgets)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

async fn alarms(stack: &Stack, arns: &Value) -> Result<Vec<(String, String)>> {
    let answer = stack.clients().cloudwatch.describe_alarms().send().await.context("DescribeAlarms")?;
    let arns = arns.as_array().map(Vec::as_slice).unwrap_or_default();
    let named = arns.iter().filter_map(|arn| arn.as_str()?.rsplit(':').next());
    Ok(named
        .map(|name| {
            let found = answer.metric_alarms().iter().find(|alarm| alarm.alarm_name() == Some(name));
            let state =
                found.and_then(|alarm| alarm.state_value()).map_or("not deployed", |state| state.as_str());
            (name.rsplit('-').next().unwrap_or(name).to_owned(), state.to_owned())
        })
        .collect())
}

async fn lines(stack: &Stack, span: &Span, properties: &Value) -> Result<Vec<Line>> {
    let default = text(&properties["stat"]);
    let mut all: Vec<Series> = Vec::new();
    for row in properties["metrics"].as_array().map(Vec::as_slice).unwrap_or_default() {
        match row[0]["expression"].as_str() {
            Some(search) => all.extend(found(stack, search).await?),
            None => all.push(series(row, all.last(), &default)),
        }
    }
    let mut lines = Vec::new();
    for series in all {
        lines.push(numbers(stack, span, &series).await?);
    }
    Ok(lines)
}

/// A row of a widget's metrics; "." repeats the value at the same place of the row before.
fn series(row: &Value, before: Option<&Series>, default: &str) -> Series {
    let cells: Vec<&str> = row.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let options = row.as_array().and_then(|row| row.last()).filter(|last| last.is_object());
    let option = |key: &str| options.and_then(|all| all[key].as_str()).map(str::to_owned);
    let cell = |at: usize, repeated: Option<&str>| match cells.get(at) {
        Some(&".") => repeated.unwrap_or_default().to_owned(),
        found => found.copied().unwrap_or_default().to_owned(),
    };
    let known = before.and_then(|before| before.dimensions.first());
    let name = cell(1, None);
    let stat = option("stat").unwrap_or_else(|| default.to_owned());
    let percentile =
        if stat.starts_with('p') || option("stat").is_some() { format!(" {stat}") } else { String::new() };
    Series {
        namespace: cell(0, before.map(|before| before.namespace.as_str())),
        dimensions: vec![(cell(2, known.map(|it| it.0.as_str())), cell(3, known.map(|it| it.1.as_str())))],
        label: option("label").unwrap_or_else(|| format!("{name}{percentile}")),
        name,
        stat,
    }
}

/// The metrics of a SEARCH expression. The emulator evaluates none, so its terms are matched with `ListMetrics`.
async fn found(stack: &Stack, search: &str) -> Result<Vec<Series>> {
    let schema = search.split_once('{').and_then(|(_, rest)| rest.split_once('}')).context("no schema")?.0;
    let mut schema = schema.split(',');
    let (namespace, dimension) = (schema.next().unwrap_or_default(), schema.next().unwrap_or_default());
    let mut quoted = search.split('"').skip(1).step_by(2);
    let (name, environment) = (quoted.next().unwrap_or_default(), quoted.next().unwrap_or_default());
    let filter = DimensionFilter::builder().name("Environment").value(environment).build();
    let list = stack.clients().cloudwatch.list_metrics().namespace(namespace).metric_name(name);
    let answer = list.dimensions(filter).send().await.context("ListMetrics")?;
    let with = answer.metrics().iter().filter_map(|metric| {
        let pairs = metric.dimensions().iter();
        let dimensions: Vec<(String, String)> =
            pairs.filter_map(|pair| Some((pair.name()?.to_owned(), pair.value()?.to_owned()))).collect();
        let label = dimensions.iter().find(|(key, _)| key == dimension)?.1.clone();
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        Some(Series { namespace, name, dimensions, stat: "Sum".into(), label })
    });
    Ok(with.collect())
}

async fn numbers(stack: &Stack, span: &Span, series: &Series) -> Result<Line> {
    let dimensions =
        series.dimensions.iter().map(|(name, value)| Dimension::builder().name(name).value(value).build());
    let metric = Metric::builder().namespace(&series.namespace).metric_name(&series.name);
    let metric = metric.set_dimensions(Some(dimensions.collect())).build();
    let stat = MetricStat::builder().metric(metric).period(span.period()).stat(&series.stat).build();
    let query = MetricDataQuery::builder().id("m1").metric_stat(stat).build();
    let ask = stack.clients().cloudwatch.get_metric_data().metric_data_queries(query);
    let answer = ask.start_time(span.from).end_time(span.to).send().await.context("GetMetricData")?;
    let result = answer.metric_data_results().first();
    let pairs = result.map(|it| (it.timestamps(), it.values())).unwrap_or_default();
    #[allow(clippy::cast_precision_loss, reason = "seconds of a run")]
    let at = |time: &DateTime| (time.secs() - span.from.secs()) as f64;
    let mut points: Vec<(f64, f64)> = pairs.0.iter().map(at).zip(pairs.1.iter().copied()).collect();
    points.sort_by(|one, other| one.0.total_cmp(&other.0));
    Ok(Line { label: series.label.clone(), points })
}
