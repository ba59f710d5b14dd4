//! `docs/costs.md`, computed from the price table, the template's sizes and the registry.

use std::fmt::Write;

use transcode_config::{
    DEFAULTS,
    contract::FailureCode,
    metrics::{ALARMS, Detail, Metric, TaskMetric},
    prices::{Prices, Size, shipped},
};

use transcode_tests::s3_calls::ORDINARY_JOB;

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
    // By time, by source, the end.
    ("index entries of 1,000 jobs", 3_000.0, 0.0),
    ("a listing of 1,000 jobs, 1,000 times", 3_000.0, 0.0),
];

fn s3_calls() -> String {
    let mut text = head(&["calls of S3", "writes and lists", "reads", "USD"]);
    for (what, writes, reads) in S3_CALLS {
        let usd = writes / 1000.0 * S3_WRITE + reads / 1000.0 * S3_READ;
        text += &row(&[what, &format!("{writes:.0}"), &format!("{reads:.0}"), &format!("{usd:.3}")]);
    }
    text + "\nEntries of the index are empty: the keys of 1,000,000 jobs are about 0.5 GB. S3 bills lists like writes.\n"
}

/// The calls of one ordinary job, as a process test counts them.
fn s3_calls_of_a_job() -> String {
    let mut text = head(&["call of the controller", "for"]);
    for call in &ORDINARY_JOB {
        text += &row(&[&format!("`{}`", call.name.trim_start_matches("s3:")), call.why]);
    }
    let writes = ORDINARY_JOB.iter().filter(|call| call.is_write()).count();
    let reads = ORDINARY_JOB.len() - writes;
    #[allow(clippy::cast_precision_loss, reason = "a handful")]
    let usd = writes as f64 * S3_WRITE + reads as f64 * S3_READ;
    write!(
        text,
        "\nThat is an upload that succeeds at its first attempt and was not published before: {} calls, {usd:.3} USD for \
         1,000 jobs. A picture is one entry point more. While a task works, the controller reads its documents when its \
         stage changes. Where something was published before, it reads the pointer and the tag of each \
         entry point as well; after a restart, also claim and specification. The task writes the result, heartbeats and \
         the terminal record.\n",
        ORDINARY_JOB.len(),
    )
    .unwrap();
    text + &s3_calls_of_tasks()
}

/// Calls in 1,000 hours of tasks, of which 1,000 work at a time: by whom and for what, writes and lists, reads.
const TASK_HOURS: [(&str, f64, f64); 5] = [
    // One each 15 s.
    ("task: heartbeat", 240_000.0, 0.0),
    // After each heartbeat.
    ("task: whether the job is decided or a newer attempt exists", 240_000.0, 0.0),
    // After every third heartbeat.
    ("task: beacon", 80_000.0, 0.0),
    // A page of 1,000 each minute.
    ("controller: all beacons", 60.0, 0.0),
    // A listing and a heartbeat when the stage changes, and each 10 minutes in which the percentage stands.
    ("controller: documents of jobs of an hour", 6_000.0, 6_000.0),
];

fn s3_calls_of_tasks() -> String {
    let mut text = head(&["calls of S3 in 1,000 task-hours", "writes and lists", "reads", "USD"]);
    let mut sum = 0.0;
    for (what, writes, reads) in TASK_HOURS {
        let usd = writes / 1000.0 * S3_WRITE + reads / 1000.0 * S3_READ;
        sum += usd;
        text += &row(&[what, &format!("{writes:.0}"), &format!("{reads:.0}"), &format!("{usd:.3}")]);
    }
    // A listing and a heartbeat of each job each minute.
    let each = 60.0 * (S3_WRITE + S3_READ);
    write!(
        text,
        "\nIn all {sum:.2} USD. A task of a version without beacons is read once a minute instead: {each:.2} for its 1,000 \
         hours, and as many calls of the controller as tasks work.\n"
    )
    .unwrap();
    format!("\n{text}")
}

/// Options that cost while nothing happens, or with what happens; list prices of us-east-1 in USD.
/// <https://aws.amazon.com/cloudfront/pricing/pay-as-you-go/>: a GB to viewers in North America and Europe, 10,000 requests.
const CLOUDFRONT_GB: f64 = 0.085;
const CLOUDFRONT_REQUESTS: f64 = 0.01;
/// <https://aws.amazon.com/s3/pricing/>: a GB to the internet.
const S3_GB: f64 = 0.09;
/// <https://aws.amazon.com/eventbridge/pricing/>: 1,000,000 events of one's own; as many calls of an API destination.
const BUS_MILLION: f64 = 1.0;
const WEBHOOK_MILLION: f64 = 0.2;
/// <https://aws.amazon.com/sns/pricing/>, <https://aws.amazon.com/sqs/pricing/>: 1,000,000 publications; as many requests.
const TOPIC_MILLION: f64 = 0.5;
const QUEUE_MILLION: f64 = 0.4;
/// <https://aws.amazon.com/secrets-manager/pricing/>: a secret, a month.
const SECRET_MONTH: f64 = 0.4;
/// <https://aws.amazon.com/privatelink/pricing/>: an interface endpoint in one subnet, an hour.
const ENDPOINT_HOUR: f64 = 0.01;

/// What the options of the template and `deploy/events.yaml` cost.
fn options() -> String {
    // Mbit/s; files of six seconds for video and audio.
    let (rate, files) = (5.0, 2.0 * 3600.0 / 6.0);
    let gb = rate / 8.0 * 3600.0 / 1000.0;
    // Accepted, started and an outcome; progress once a minute of a job of ten minutes.
    let events = 13.0 * 1000.0;
    let million = |count: f64, usd: f64| count / 1e6 * usd;
    let rows = [
        ("delivery: the distribution itself, its keys, certificate and policies", "a month", 0.0),
        ("delivery: an hour watched at 5 Mbit/s through CloudFront", "2.25 GB", gb * CLOUDFRONT_GB),
        ("delivery: its requests", "1,200 files", files / 10_000.0 * CLOUDFRONT_REQUESTS),
        ("the same hour by signed addresses of S3", "2.25 GB", gb * S3_GB + files / 1000.0 * S3_READ),
        ("events of 1,000 jobs on the bus", "13,000 events", million(events, BUS_MILLION)),
        ("their outcomes to a topic", "1,000 events", million(1000.0, TOPIC_MILLION)),
        (
            "their outcomes to a queue, sent, received, deleted",
            "3,000 requests",
            million(3000.0, QUEUE_MILLION),
        ),
        ("their outcomes to a webhook", "1,000 calls", million(1000.0, WEBHOOK_MILLION)),
        ("the webhook's secret", "a month", SECRET_MONTH),
        (
            "`InterfaceEndpoints` in two subnets: 6, with `EventBusName` 7",
            "a month of 6",
            6.0 * 2.0 * MONTH_HOURS * ENDPOINT_HOUR,
        ),
    ];
    assert!((gb - 2.25).abs() < 0.001 && (files - 1200.0).abs() < 0.001, "the table names them");
    let mut text = head(&["option", "of", "USD"]);
    for (what, of, usd) in rows {
        text += &row(&[what, of, &format!("{usd:.4}")]);
    }
    text + "\nCloudFront's first 1 TB and 10,000,000 requests of a month are free, and what it fetches from S3; other continents \
            cost more. The gateway endpoint for S3 costs nothing. NAT, the other way out of private subnets, costs 32.85 a month \
            and 0.045 a GB, most of which would be sources and results; with the gateway endpoint these pass it by.\n\n\
            Looked up in November 2026: CloudFront's price of a GB in a copy of AWS' own page, which had no date; its price of \
            requests as [others](https://www.factualminds.com/blog/amazon-cloudfront-pricing-regional-tiers-requests-security/) \
            have it, and EventBridge's of events and calls as [they](https://www.factualminds.com/blog/amazon-eventbridge-pricing-events-pipes-schema-archive/) \
            quoted it in June 2026. The other prices of this table were not looked up again.\n"
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
    let control = shipped_seconds("control", "poll_seconds");
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
            format!("{:.0} readings of the control document", every(control)),
            every(control) * requests.s3_get,
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
            let default = if architecture == "arm64" { " (default)" } else { "" };
            let what = format!(
                "with the controller: 0.25 vCPU, 512 MiB, {architecture}{default} in {region}, {usd:.2}"
            );
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
    text += "\n## Calls of S3 for one job\n\n";
    text += &s3_calls_of_a_job();
    text += "\n## Delivery, events and endpoints\n\nOff unless a parameter asks for them ([deploying](deploy.md)).\n\n";
    text += &options();
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
