//! `make bench`: what a fleet of tasks costs the controller. The program as it ships runs against a stand-in for AWS on
//! loopback: processor time, memory, calls, launches, and the time until a restarted controller has its tasks again.
//!
//! Processor time holds on a machine that does other things too; times of launches need an otherwise idle one. There is
//! no TLS: on AWS each call costs more.
//!
//! ```text
//! cargo bench -p transcode-sim --bench fleet --profile fast -- [--sizes 100,1000] [--seconds 60] [--delay-ms 0]
//!     [--program target/release/transcode-controller]
//! ```

mod aws;
mod cluster;
mod controller;
mod http;
mod store;

use std::{
    error::Error,
    path::{Path, PathBuf},
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use clap::Parser;
use transcode_config::contract::{Attempt, Capacity, Claim, JobSpec, Layout, SCHEMA, TaskShape, encode};
use transcode_core::message::{Parsed, Request, parse};
use transcode_sim::setup::Setup;

use crate::{
    aws::{Aws, Counts, STATE, epoch_ms},
    cluster::DEFINITION,
    controller::{Controller, processor},
};

/// Launches a second while the controller is busy with launching: the account's limit.
const LAUNCHES: u64 = 20;

/// Longest time until a started controller has adopted its tasks.
const PATIENCE: Duration = Duration::from_mins(10);

/// Age of the tasks that are there at the start (ms).
const AGE: u64 = 600_000;

#[derive(Debug, Parser)]
struct Options {
    /// Tasks in flight, one row for each.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1000])]
    sizes: Vec<usize>,
    /// Length of each measurement.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Time by which AWS' answers are held back.
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
    /// The controller.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release/transcode-controller"))]
    program: PathBuf,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What was measured in one span of time.
#[derive(Debug)]
struct Span {
    lasted: Duration,
    processor: Duration,
    stand_in: Duration,
    counts: Counts,
}

/// One row of the table.
#[derive(Debug)]
struct Row {
    tasks: usize,
    adopted: Duration,
    adopting: Duration,
    quiet: Span,
    memory: (f64, f64),
    launching: Span,
    launches: usize,
    /// From the message to RunTask, sorted.
    latencies: Vec<Duration>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let rows: Result<Vec<Row>, _> = options.sizes.iter().map(|tasks| measure(*tasks, &options)).collect();
    print(&rows?);
    Ok(())
}

fn measure(tasks: usize, options: &Options) -> Result<Row, Box<dyn Error>> {
    let aws = Arc::new(Aws::default());
    for number in 0..tasks as u64 {
        begin(&aws, number)?;
    }
    let port = http::serve(Arc::clone(&aws), Duration::from_millis(options.delay_ms))?;
    let folder = std::env::temp_dir().join(format!("fleet-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let room = tasks + usize::try_from(LAUNCHES * options.seconds).unwrap_or(0);
    let started = Instant::now();
    let mut controller = Controller::start(Path::new(&options.program), port, room, &folder)?;
    while controller.adopted()? < tasks {
        controller.ensure_running()?;
        if started.elapsed() > PATIENCE {
            return Err(format!("{} of {tasks} tasks adopted", controller.adopted()?).into());
        }
        sleep(Duration::from_millis(20));
    }
    let adopted = started.elapsed();
    while aws.received() < tasks as u64 && started.elapsed() < PATIENCE {
        sleep(Duration::from_millis(100));
    }
    // Until every job was looked at, and the first minute of what comes once a minute is over.
    sleep(Duration::from_secs(options.seconds.min(60)));
    let adopting = controller.processor();
    let quiet = span(&aws, &controller, || sleep(Duration::from_secs(options.seconds)));
    let memory = controller.memory();
    let launching = span(&aws, &controller, || {
        for number in 0..LAUNCHES * options.seconds {
            upload(&aws, tasks as u64 + number);
            sleep(Duration::from_millis(1000 / LAUNCHES));
        }
    });
    let mut latencies = std::mem::take(&mut aws.state().latencies);
    latencies.sort();
    let launches = aws.state().cluster.len() - tasks;
    drop(controller);
    std::fs::remove_dir_all(&folder)?;
    Ok(Row { tasks, adopted, adopting, quiet, memory, launching, launches, latencies })
}

/// Measures the controller and the stand-in while something happens.
fn span(aws: &Aws, controller: &Controller, happens: impl FnOnce()) -> Span {
    let read = || (controller.processor(), processor(std::process::id()), aws.counts());
    let (began, before) = (Instant::now(), read());
    happens();
    let after = read();
    Span {
        lasted: began.elapsed(),
        processor: after.0.saturating_sub(before.0),
        stand_in: after.1.saturating_sub(before.1),
        counts: after.2.since(&before.2),
    }
}

fn key(number: u64) -> String {
    format!("people/{}/{number}.mp4", number % 100)
}

/// S3's event of an upload.
fn body(number: u64) -> String {
    let object = serde_json::json!({"key": key(number), "size": 50_000_000, "eTag": "e", "sequencer": format!("{number:016X}")});
    let record = serde_json::json!({"eventVersion": "2.1", "eventName": "ObjectCreated:Put",
        "eventTime": "2026-01-01T00:00:00.000Z", "awsRegion": "eu-west-1",
        "s3": {"bucket": {"name": "uploads"}, "object": object}});
    serde_json::json!({"Records": [record]}).to_string()
}

/// Somebody uploads a video.
fn upload(aws: &Aws, number: u64) {
    aws.send(number, key(number), body(number));
}

/// A job whose task is at work, and whose message will be received again.
fn begin(aws: &Aws, number: u64) -> Result<(), Box<dyn Error>> {
    let rules = Setup::plain().rules;
    let since_ms = epoch_ms() - AGE;
    let Parsed::Jobs(requests, _) = parse(&body(number), &rules, since_ms) else {
        return Err("the event asks for no job".into());
    };
    let Some(Request::Run(spec)) = requests.into_iter().next() else {
        return Err("the event's job is refused".into());
    };
    let claim = Arc::new(claim(&spec, since_ms));
    let layout = Layout::of(&spec.job);
    let mut state = aws.state();
    state.store.put_bytes(&format!("{STATE}/{}", layout.spec()), &encode(&*spec));
    state.store.put_bytes(&format!("{STATE}/{}", layout.claim(claim.attempt)), &encode(&*claim));
    state.launch(&claim, since_ms);
    drop(state);
    upload(aws, number);
    Ok(())
}

fn claim(spec: &JobSpec, since_ms: u64) -> Claim {
    Claim {
        schema: SCHEMA,
        job: spec.job.clone(),
        attempt: Attempt::FIRST,
        task_definition: DEFINITION.to_owned(),
        image_digest: None,
        variant: TaskShape { capacity: Capacity::Fargate, cpu: 2048, memory_mib: 4096, ephemeral_gib: None },
        launch_not_after_ms: since_ms + 300_000,
        created_at_ms: since_ms,
        nonce: "bench".to_owned(),
        history: Vec::new(),
    }
}

/// The table of `docs/performance.md`.
#[allow(clippy::print_stdout, reason = "its output is what it is for")]
#[allow(clippy::cast_precision_loss, reason = "counts of calls are small")]
fn print(rows: &[Row]) {
    println!(
        "| tasks | adopted | processor until then and settled | quiet: processor | memory, most | calls a minute: S3, SQS, ECS, other | launching 20/s: processor | launches | message to RunTask, median, p99 |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for row in rows {
        let minutes = row.quiet.lasted.as_secs_f64() / 60.0;
        let calls = |service| row.quiet.counts.of(service) as f64 / minutes;
        let at = |part: usize| {
            let last = row.latencies.len().saturating_sub(1);
            row.latencies.get(last * part / 100).copied().unwrap_or_default()
        };
        println!(
            "| {} | {:.1} s | {:.1} s | {} | {:.0} MiB, {:.0} | {:.0}, {:.0}, {:.0}, {:.0} | {} | {} | {:.1?}, {:.1?} |",
            row.tasks,
            row.adopted.as_secs_f64(),
            row.adopting.as_secs_f64(),
            share(&row.quiet),
            row.memory.0,
            row.memory.1,
            calls("S3"),
            calls("SQS"),
            calls("ECS"),
            calls("CloudWatch"),
            share(&row.launching),
            row.launches,
            at(50),
            at(99),
        );
    }
    for row in rows {
        for (name, span) in [("quiet", &row.quiet), ("launching", &row.launching)] {
            println!("bench: fleet of {}, {name}: {}", row.tasks, calls_of(span));
            let busy = span.stand_in.as_secs_f64() / span.lasted.as_secs_f64();
            if busy > 0.7 {
                println!("bench: the stand-in took {:.0} % of a core: it is the limit", busy * 100.0);
            }
        }
    }
}

/// Part of a core.
fn share(span: &Span) -> String {
    format!("{:.1} %", 100.0 * span.processor.as_secs_f64() / span.lasted.as_secs_f64())
}

fn calls_of(span: &Span) -> String {
    let each = span
        .counts
        .calls
        .iter()
        .map(|((service, operation), count)| format!("{service} {operation} {count}"));
    let calls: Vec<String> = each.collect();
    let answering = span.counts.busy.as_secs_f64();
    format!("{} in {:.0} s, answered in {answering:.1} s", calls.join(", "), span.lasted.as_secs_f64())
}
