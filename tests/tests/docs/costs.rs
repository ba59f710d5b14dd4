//! `docs/costs.md`, computed from the price table, the template's sizes and the registry.

use std::fmt::Write;

use transcode_config::{
    DEFAULTS,
    contract::FailureCode,
    metrics::{ALARMS, Detail, Metric, TaskMetric},
    prices::{Prices, Size, shipped},
};

use crate::{check, head, row};

const MONTH_HOURS: f64 = 730.0;

/// What an idle deployment on arm64 may cost in a month, in USD.
const IDLE_LIMIT: f64 = 12.0;

const IDLE: Size = Size { cpu: 256, memory_mib: 512, storage_gib: 20, spot: false };

/// Sizes that a task may have, the template's default first: vCPU units, MiB.
const SIZES: [(u32, u32); 4] = [(2048, 4096), (4096, 8192), (8192, 16_384), (16_384, 32_768)];

/// The template's default storage.
const STORAGE_GIB: u32 = 60;

/// How many times faster than real time a video may be transcoded.
const FACTORS: [f64; 4] = [0.5, 1.0, 2.0, 4.0];

/// S3's prices in us-east-1, in USD for 1,000 calls: <https://aws.amazon.com/s3/pricing/>, standard storage.
const S3_WRITE: f64 = 0.005;
const S3_READ: f64 = 0.0004;

/// Calls of the controller beside the steps of a job: what, writes, reads, and of how many of them.
const S3_CALLS: [(&str, f64, f64); 4] = [
    // One a minute.
    ("status report, a month, nothing happens", 43_800.0, 0.0),
    // One every ten seconds.
    ("status report, a month, always at work", 262_800.0, 0.0),
    // By time, by source, the end; and the specification is read.
    ("index entries of 1,000 jobs", 3_000.0, 1_000.0),
    ("a listing of 1,000 jobs, 1,000 times", 3_000.0, 0.0),
];

fn s3_calls() -> String {
    let mut text = head(&["calls of S3", "writes and lists", "reads", "USD"]);
    for (what, writes, reads) in S3_CALLS {
        let usd = writes / 1000.0 * S3_WRITE + reads / 1000.0 * S3_READ;
        text += &row(&[what, &format!("{writes:.0}"), &format!("{reads:.0}"), &format!("{usd:.3}")]);
    }
    text + "\nA job that succeeds at once takes nine writes of the controller: specification, claim, pointer, three entry \
            points and three entries of the index; its task writes the result, heartbeats and the terminal record. \
            Entries of the index are empty: the keys of 1,000,000 jobs are about 0.5 GB. S3 bills lists like writes.\n"
}

fn size_of(cpu: u32, memory_mib: u32, spot: bool) -> Size {
    Size { cpu, memory_mib, storage_gib: STORAGE_GIB, spot }
}

/// USD for an hour of video.
fn video_hour(prices: &Prices, size: Size, factor: f64) -> f64 {
    prices.task(size, 3600.0 / factor, 30.0)
}

/// A line of the bill of a month without work.
struct Item {
    what: String,
    usd: f64,
}

/// Seconds between two readings of the control document.
const CONTROL_SECONDS: f64 = 5.0;
/// Seconds between two writes of an unchanged status document.
const STATUS_SECONDS: f64 = 60.0;
/// Bytes of log that an idle controller writes in an hour, at most.
const LOG_BYTES_HOUR: f64 = 10_000.0;

/// A duration in the shipped settings.
fn shipped_seconds(table: &str, key: &str) -> f64 {
    let defaults: toml::Table = DEFAULTS.parse().unwrap();
    let seconds = defaults[table][key].as_integer().unwrap();
    f64::from(u32::try_from(seconds).unwrap())
}

/// What a deployment costs beside its controller's task while nothing is uploaded. No allowance is subtracted.
fn idle_items(detail: Detail) -> Vec<Item> {
    let table = shipped().unwrap();
    let (watch, requests) = (&table.cloudwatch, &table.requests);
    let item = |what: String, usd: f64| Item { what, usd };
    let every = |seconds: f64| MONTH_HOURS * 3600.0 / seconds;
    let (period, poll) =
        (shipped_seconds("metrics", "period_seconds"), shipped_seconds("calls", "receive_wait_seconds"));
    let metrics = Metric::ALL.iter().filter(|metric| detail.sends(&metric.info())).count();
    let alarms = ALARMS.iter().filter(|alarm| alarm.is_fed_by(detail)).count();
    #[allow(clippy::cast_precision_loss, reason = "a handful")]
    let times = |count: usize, usd: f64| count as f64 * usd;
    // Long polls of the jobs and the events queue, and the counts of the jobs queue.
    let polls = 2.0 * every(poll) + every(period);
    vec![
        item(format!("{metrics} metrics"), times(metrics, watch.metric_month)),
        item(format!("{alarms} alarms"), times(alarms, watch.alarm_month)),
        item(format!("{:.0} calls of PutMetricData", every(period)), every(period) * watch.put_metric_data),
        item(format!("{polls:.0} requests to SQS"), polls * requests.sqs),
        item(
            format!("{:.0} readings of the control document", every(CONTROL_SECONDS)),
            every(CONTROL_SECONDS) * requests.s3_get,
        ),
        item(
            format!("{:.0} writes of the status", every(STATUS_SECONDS)),
            every(STATUS_SECONDS) * requests.s3_put,
        ),
        item("log lines, at most".into(), MONTH_HOURS * LOG_BYTES_HOUR / 1e9 * watch.log_gb),
    ]
}

fn idle() -> String {
    let table = shipped().unwrap();
    let sum = |detail| idle_items(detail).iter().map(|item| item.usd).sum::<f64>();
    let (basic, full) = (sum(Detail::Basic), sum(Detail::Full));
    let mut text = head(&["idle, a month", "`MetricsDetail=basic` (default)", "`full`"]);
    let pairs = idle_items(Detail::Basic).into_iter().zip(idle_items(Detail::Full));
    for (less, more) in pairs {
        let what = if less.what == more.what { less.what } else { format!("{}; {}", less.what, more.what) };
        text += &row(&[&what, &format!("{:.2}", less.usd), &format!("{:.2}", more.usd)]);
    }
    text += &row(&["**in all, USD**", &format!("**{basic:.2}**"), &format!("**{full:.2}**")]);
    for (region, architectures) in &table.region {
        for (architecture, prices) in architectures {
            let usd = prices.task(IDLE, MONTH_HOURS * 3600.0, 100.0);
            let what =
                format!("with the controller: 0.25 vCPU, 512 MiB, {architecture} in {region}, {usd:.2}");
            text += &row(&[&what, &format!("{:.2}", basic + usd), &format!("{:.2}", full + usd)]);
            if architecture == "arm64" {
                assert!(basic + usd <= IDLE_LIMIT, "{basic} + {usd}");
            }
        }
    }
    write!(
        text,
        "\nThe dashboard is free while the account has at most three, and {:.2} USD a month beyond. With `full`, a month with tasks \
         adds {} metrics of tasks, and each failure code ({} are known), class of refusal or reason that occurs adds one: {:.2} USD each. \
         `metrics.prometheus.listen` shows all of them for nothing.\n",
        table.cloudwatch.dashboard_month,
        TaskMetric::ALL.len(),
        FailureCode::ALL.len(),
        table.cloudwatch.metric_month,
    )
    .unwrap();
    text
}

#[test]
fn costs() {
    let table = shipped().unwrap();
    let mut text = format!(
        "# Costs\n\nComputed from `config/prices.toml`: list prices of {}, from {}. If your prices differ, set `[cost]` in \
         the settings; the metrics `TaskCost`, `JobCost` and `CostPerOutputMinute` then show the real cost. Not \
         included: what S3 keeps, traffic, NAT or VPC endpoints.\n\n## Idle\n\n",
        table.date, table.source
    );
    text += &idle();
    text += "\n## Report and index\n\n";
    text += &s3_calls();
    text += "\n## An hour of video\n\nThe cost of the task alone, with 60 GiB of storage, by its real-time factor: the length of a video divided by \
             the time to transcode it. The factor depends on the ladder, the source and the task's size; the metric \
             `RealTimeFactor` shows yours. The time to start and to fetch the source comes on top, for short videos the \
             larger part: AWS bills at least one minute for a task.\n";
    for (region, architectures) in &table.region {
        for (architecture, prices) in architectures {
            write!(text, "\n### {region}, {architecture}\n\n").unwrap();
            let mut cells = vec!["task".to_owned()];
            cells.extend(FACTORS.iter().map(|factor| format!("{factor} ×")));
            text += &head(&cells.iter().map(String::as_str).collect::<Vec<_>>());
            for (cpu, memory, spot) in
                SIZES.iter().flat_map(|(cpu, memory)| [(*cpu, *memory, false), (*cpu, *memory, true)])
            {
                let kind = if spot { "Spot" } else { "on demand" };
                let mut cells = vec![format!("{} vCPU, {} GiB, {kind}", cpu / 1024, memory / 1024)];
                let usd =
                    |factor: &f64| format!("{:.3}", video_hour(prices, size_of(cpu, memory, spot), *factor));
                cells.extend(FACTORS.iter().map(usd));
                text += &row(&cells.iter().map(String::as_str).collect::<Vec<_>>());
            }
        }
    }
    text += "\nSpot is computed as 30 % of on demand; its price varies.\n";
    check("costs.md", &text);
}
