//! `/metrics`: what is scraped is what CloudWatch gets, by the reference parser of the format, and the dashboard for
//! Grafana asks for nothing else.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

use aws_sdk_cloudwatch::{
    primitives::DateTime,
    types::{Datapoint, Dimension, Statistic},
};
use serde_json::Value;
use transcode_config::metrics::{Kind, Metric};
use transcode_tests::{Stack, StackOptions, paths};

const LIMIT: Duration = Duration::from_mins(4);

/// Prints the families of standard input as JSON: name, type and samples (name, labels, value). It refuses whatever the
/// format forbids.
const PARSE: &str = r#"
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as classic
parse = open_metrics if sys.argv[1] == "open" else classic
print(json.dumps([[f.name, f.type, [[s.name, s.labels, s.value] for s in f.samples]] for f in parse(sys.stdin.read())]))
"#;

/// The labels of a sample.
type Labels = BTreeMap<String, String>;

/// Values by name and labels.
type Samples = BTreeMap<(String, Labels), f64>;

/// A family as the parser prints it: its name, its type, its samples.
type Family = (String, String, Vec<(String, Labels, f64)>);

/// The families' types, and all samples.
fn parsed(text: &str, format: &str) -> (BTreeMap<String, String>, Samples) {
    let python = paths::tool("test/bin/python").unwrap();
    let mut child = Command::new(python)
        .args(["-c", PARSE, format])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the parser refuses:\n{text}");
    let families: Vec<Family> = serde_json::from_slice(&output.stdout).unwrap();
    let (mut types, mut samples) = (BTreeMap::new(), BTreeMap::new());
    for (name, kind, its) in families {
        types.insert(name, kind);
        samples.extend(its.into_iter().map(|(name, labels, value)| ((name, labels), value)));
    }
    (types, samples)
}

/// The value of a metric over all its labels.
fn total(samples: &Samples, name: &str) -> f64 {
    samples.iter().filter(|((found, _), _)| found == name).map(|(_, value)| value).sum()
}

/// The sum of a metric in CloudWatch, of all values that were sent, and their number.
async fn in_cloudwatch(stack: &Stack, name: &str) -> (f64, f64) {
    let now = SystemTime::now();
    let environment = Dimension::builder().name("Environment").value(&stack.deployment.environment).build();
    let ask = stack.clients().cloudwatch.get_metric_statistics().metric_name(name).period(86_400);
    let ask = ask.namespace(&stack.deployment.metrics_namespace).dimensions(environment);
    let (from, to) = (now - Duration::from_hours(1), now + Duration::from_hours(1));
    let ask = ask.start_time(DateTime::from(from)).end_time(DateTime::from(to));
    let answer = ask.statistics(Statistic::Sum).statistics(Statistic::SampleCount).send().await.unwrap();
    let points = answer.datapoints();
    (points.iter().filter_map(Datapoint::sum).sum(), points.iter().filter_map(Datapoint::sample_count).sum())
}

async fn scraped(address: &str, accept: &str) -> (String, String) {
    let get = reqwest::Client::new().get(format!("http://{address}/metrics")).header("accept", accept);
    let answer = get.send().await.unwrap().error_for_status().unwrap();
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    (kind, answer.text().await.unwrap())
}

/// An address that is free now.
fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[tokio::test]
async fn what_is_scraped_is_what_cloudwatch_gets() {
    let address = free_address();
    let options = StackOptions::default()
        .setting("metrics.prometheus.listen", &Value::from(address.clone()).to_string())
        .setting("metrics.period_seconds", "1")
        .setting("calls.receive_wait_seconds", "1")
        .setting("observe.describe_seconds", "1");
    let stack = Stack::with(options).await.unwrap();
    stack.put_source("good.mp4", &paths::test_picture(stack.folder()).unwrap()).await.unwrap();
    stack.put_source_body("bad.mp4", b"no video".to_vec()).await.unwrap();
    for key in ["good.mp4", "bad.mp4"] {
        stack.wait_for_terminal_record(key, LIMIT).await.unwrap();
    }
    // Both jobs are settled, and the period in which that was counted is sent.
    let settled = async || {
        let done =
            [in_cloudwatch(&stack, "JobsSucceeded").await.0, in_cloudwatch(&stack, "JobsDead").await.0];
        Ok((done.iter().all(|count| *count >= 1.0)).then_some(()))
    };
    stack.wait_for("both ends are counted", LIMIT, settled).await.unwrap();

    let (kind, text) = scraped(&address, "application/openmetrics-text;version=1.0.0,text/plain;q=0.5").await;
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    let (types, samples) = parsed(&text, "open");
    for metric in Metric::ALL {
        let info = metric.info();
        let name = info.prometheus_name();
        let expected = match info.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Distribution => "histogram",
        };
        assert_eq!(types.get(name.trim_end_matches("_total")).map(String::as_str), Some(expected), "{name}");
    }
    for metric in [Metric::JobsSucceeded, Metric::JobsDead, Metric::Launches, Metric::JobsReceived] {
        let info = metric.info();
        let (sum, _) = in_cloudwatch(&stack, info.name).await;
        assert!(sum >= 1.0, "{}", info.name);
        assert!(
            (total(&samples, &info.prometheus_name()) - sum).abs() < 1e-9,
            "{}: {sum}\n{text}",
            info.name
        );
    }
    let (seconds, jobs) = in_cloudwatch(&stack, "JobSeconds").await;
    assert!((total(&samples, "transcode_job_seconds_count") - jobs).abs() < 1e-9, "{jobs}");
    // CloudWatch's values are rounded to three digits.
    assert!((total(&samples, "transcode_job_seconds_sum") - seconds).abs() <= seconds / 100.0, "{seconds}");
    let code = BTreeMap::from([("code".to_owned(), "NOT_MEDIA".to_owned())]);
    assert_eq!(samples.get(&("transcode_jobs_dead_total".to_owned(), code)), Some(&1.0), "{text}");
    let build = samples.keys().find(|(name, _)| name == "transcode_build_info").unwrap();
    assert_eq!(build.1["environment"], stack.deployment.environment);

    // What takes no OpenMetrics gets the classic format, with the same names.
    let (kind, text) = scraped(&address, "text/plain").await;
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    let (_, classic) = parsed(&text, "classic");
    assert!((total(&classic, "transcode_jobs_succeeded_total") - 1.0).abs() < 1e-9, "{text}");
    let elsewhere = reqwest::get(format!("http://{address}/notes")).await.unwrap();
    assert_eq!(elsewhere.status(), 404, "the notes of jobs are not on this port");
}

/// The metric names in a query: words with our prefix, without the suffixes of a histogram's series.
fn asked_for(query: &str) -> BTreeSet<String> {
    let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| word.starts_with("transcode_"));
    let family = |word: &str| {
        let end = ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end));
        end.unwrap_or(word).to_owned()
    };
    ours.map(family).collect()
}

#[test]
fn each_query_of_the_dashboard_for_grafana_names_an_exported_metric_and_each_metric_is_shown() {
    let path = paths::checkout().join("deploy/grafana.json");
    let dashboard: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let queries: Vec<&str> = targets.map(|target| target["expr"].as_str().unwrap()).collect();
    let asked: BTreeSet<String> = queries.iter().flat_map(|query| asked_for(query)).collect();
    let exported: BTreeSet<String> =
        Metric::ALL.iter().map(|metric| metric.info().prometheus_name()).collect();
    assert_eq!(asked.difference(&exported).collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!(exported.difference(&asked).collect::<Vec<_>>(), Vec::<&String>::new());
    let document = std::fs::read_to_string(paths::checkout().join("docs/operations.md")).unwrap();
    let alerts: Vec<&str> = document.lines().filter(|line| line.contains("alert: ")).collect();
    let alerted: BTreeSet<String> = alerts.iter().flat_map(|line| asked_for(line)).collect();
    assert!(alerts.len() >= 4 && alerted.is_subset(&exported), "{alerted:?}");
    for query in queries.iter().filter(|query| query.contains("histogram_quantile")) {
        assert!(query.contains("_bucket{"), "{query}");
    }
}
