//! `docs/costs.md`, computed from the price table, the template's sizes and the registry.

use std::fmt::Write;

use transcode_config::{
    contract::FailureCode,
    metrics::{ALARMS, Metric, TaskMetric},
    prices::{Prices, Size, shipped},
};

use crate::{check, head, row};

const MONTH_HOURS: f64 = 730.0;

const IDLE: Size = Size { cpu: 256, memory_mib: 512, storage_gib: 20, spot: false };

/// Sizes that a task may have, the template's default first: vCPU units, MiB.
const SIZES: [(u32, u32); 4] = [(2048, 4096), (4096, 8192), (8192, 16_384), (16_384, 32_768)];

/// The template's default storage.
const STORAGE_GIB: u32 = 60;

/// How many times faster than real time a video may be transcoded.
const FACTORS: [f64; 4] = [0.5, 1.0, 2.0, 4.0];

fn size_of(cpu: u32, memory_mib: u32, spot: bool) -> Size {
    Size { cpu, memory_mib, storage_gib: STORAGE_GIB, spot }
}

/// USD for an hour of video.
fn video_hour(prices: &Prices, size: Size, factor: f64) -> f64 {
    prices.task(size, 3600.0 / factor, 30.0)
}

fn idle() -> String {
    let table = shipped().unwrap();
    let watch = &table.cloudwatch;
    let metrics = Metric::ALL.len() + TaskMetric::ALL.len();
    let mut text = head(&["idle, a month", "USD"]);
    for (region, architectures) in &table.region {
        for (architecture, prices) in architectures {
            let usd = prices.task(IDLE, MONTH_HOURS * 3600.0, 100.0);
            text += &row(&[
                &format!("controller, 0.25 vCPU, 512 MiB, {architecture} in {region}"),
                &format!("{usd:.2}"),
            ]);
        }
    }
    #[allow(clippy::cast_precision_loss, reason = "a handful")]
    let times = |count: usize, usd: f64| count as f64 * usd;
    text += &row(&[
        &format!("{metrics} metrics; those of tasks only in months with tasks"),
        &format!("{:.2}", times(metrics, watch.metric_month)),
    ]);
    text += &row(&[
        &format!("{} alarms", ALARMS.len()),
        &format!("{:.2}", times(ALARMS.len(), watch.alarm_month)),
    ]);
    text += &row(&["the dashboard (three are free in an account)", &format!("{:.2}", watch.dashboard_month)]);
    write!(
        text,
        "\nA failure code or class of refusal that occurs is one more metric, {:.2} USD for the month; there are {} codes.\n",
        watch.metric_month,
        FailureCode::ALL.len()
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
         included: S3, traffic, NAT or VPC endpoints, logs.\n\n## Idle\n\n",
        table.date, table.source
    );
    text += &idle();
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
