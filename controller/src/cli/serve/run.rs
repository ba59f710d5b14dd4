//! `run`: builds the adapters from the settings and runs the loop.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::{Notify, mpsc},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use transcode_config::Settings;
use transcode_core::{
    effects::ports::{Ports, Queue},
    policy::Policy,
    protocol::fact::Fact,
    reconciler::Reconciler,
};

use super::{
    control::{ControlWatch, profiles_exist},
    logs::{self, Losses},
    reload::Keeper,
};
use crate::{
    aws::{Bus, Clients, CloudWatch, Ecs, Hints, Images, S3Store, Sqs, StatusWriter, control::ControlReader},
    cli::setup::rules_with,
    events::{Event, Events},
    observe::{
        QueueCounts, Reporter, Watch,
        http::{self, Status},
        news,
        prometheus::{self, Exposition},
        traces::{self, Sender},
    },
    runtime::{Inputs, Limits, run as reconcile, wall_ms},
};

/// Most hints that wait to be absorbed. A full channel drops hints: they only wake the loop.
const HINTS: usize = 1024;

pub(crate) fn run(settings: Settings, file: &Path) -> anyhow::Result<()> {
    let (losses, _writer) = logs::start();
    let runtime = tokio::runtime::Runtime::new().context("no runtime")?;
    let result = runtime.block_on(serve(settings, file, losses));
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn serve(settings: Settings, file: &Path, losses: Losses) -> anyhow::Result<()> {
    let instance = uuid::Uuid::new_v4().to_string();
    let rules = rules_with(&settings, &BTreeMap::new());
    let mut reconciler = Reconciler::new(instance.clone(), Policy::from(&settings), rules);
    // The environment may be paused, and its own profiles are not known yet: nothing begins before the control document
    // was read.
    reconciler.ledger.unsteered = true;
    let listener = TcpListener::bind(&settings.http.listen)
        .await
        .with_context(|| format!("http.listen: {} cannot be bound", settings.http.listen))?;
    let scraped = prometheus::bind(&settings).await?;
    let clients = Clients::load(&settings.calls).await;
    profiles_exist(&settings, ControlReader::new(clients.s3.read.clone(), &settings)).await?;
    let (stop, after) = (stop_on_signals()?, CancellationToken::new());
    let (events, status) = (Arc::new(Events::new()), Arc::new(Status::default()));
    let (hint, hints) = mpsc::channel::<Fact>(HINTS);

    let (reporter, told) = start_reports(&clients, &settings, &instance, (&events, &status));
    let depth = tokio::spawn(watch_depth(
        Sqs::new(clients.sqs.clone(), &settings),
        settings.clone(),
        Arc::clone(&events),
        Arc::clone(&reporter.queues),
    ));
    let logs = tokio::spawn(watch_logs(losses, settings.metrics.period_seconds, Arc::clone(&events)));
    let nudge = Arc::new(Notify::new());
    if let Some(reader) = Hints::new(clients.sqs.read.clone(), &settings, Arc::clone(&nudge)) {
        tokio::spawn(reader.run(hint.clone(), stop.clone()));
    }
    let flusher = CloudWatch::new(clients.cloudwatch.clone(), &settings);
    let sent = tokio::spawn(flusher.run(Arc::clone(&events), after.clone()));
    tokio::spawn(http::serve(listener, Arc::clone(&status), after.clone()));
    if let Some(listener) = scraped {
        let exposition = Exposition::new(Arc::clone(&events), &settings.environment);
        tokio::spawn(prometheus::serve(listener, exposition, after.clone()));
    }

    let (reload, reloads) = mpsc::channel(1);
    let reader = ControlReader::new(clients.s3.read.clone(), &settings);
    let (news, control) = mpsc::channel(1);
    let watching = tokio::spawn(ControlWatch::new(reader, nudge, &settings).run(news));
    let keeper = Keeper::new(file.to_owned(), settings.clone());
    let reloading = tokio::spawn(keeper.watch(signal(SignalKind::hangup())?, control, reload));

    tracing::info!(
        environment = settings.environment,
        version = env!("CARGO_PKG_VERSION"),
        instance,
        max_attempts = settings.jobs.max_attempts,
        max_platform_attempts = settings.jobs.max_platform_attempts,
        bus = settings.events.bus,
        "controller started"
    );
    let ports = ports(&clients, &settings);
    let (news, telling) = news::start(ports.bus.clone(), Arc::clone(&events));
    let telling = tokio::spawn(telling.run(after.clone()));
    let (traces, sender) = traces::start(&settings, &instance);
    let sending = tokio::spawn(send_traces(sender, after.clone()));
    let watch = Arc::new(
        Watch::new(Arc::clone(&events), status, &settings).traced(traces).telling(news).reporting(reporter),
    );
    let complete =
        reconcile(reconciler, ports, Inputs { hints, reloads }, watch, limits(&settings), stop).await;
    reloading.abort();
    watching.abort();
    // The sender lives until here: the loop would take a closed channel for a dead events queue.
    drop(hint);
    depth.abort();
    logs.abort();
    events.emit(Event::DrainEnded { complete });
    after.cancel();
    tokio::time::timeout(Duration::from_secs(5), futures::future::join4(sent, sending, told, telling))
        .await
        .ok();
    Ok(())
}

/// The adapters that the loop works through.
fn ports(clients: &Clients, settings: &Settings) -> Ports<Sqs, Ecs, S3Store, Bus> {
    Ports {
        queue: Sqs::new(clients.sqs.clone(), settings),
        cluster: Ecs::new(clients.ecs.clone(), Images::new(clients.ecr.clone(), settings), settings),
        store: S3Store::new(clients.s3.clone(), settings),
        bus: Bus::new(clients.eventbridge.clone()),
    }
}

/// The reporter of this process, and the task that writes its reports.
fn start_reports(
    clients: &Clients,
    settings: &Settings,
    instance: &str,
    (events, status): (&Arc<Events>, &Arc<Status>),
) -> (Reporter, JoinHandle<()>) {
    let reporter = Reporter {
        environment: settings.environment.clone(),
        instance: instance.to_owned(),
        started_at_ms: wall_ms(),
        ..Reporter::default()
    };
    let writer = StatusWriter::new(clients.s3.clone(), settings, instance, reporter.started_at_ms);
    let writing = writer.run(Arc::clone(&reporter.slot), Arc::clone(events), Arc::clone(status));
    let writing = tokio::spawn(writing);
    (reporter, writing)
}

fn limits(settings: &Settings) -> Limits {
    Limits {
        concurrency: settings.calls.concurrency as usize,
        // An action makes at most a few calls, one after the other.
        give_up: Duration::from_secs(settings.calls.operation_seconds * 4),
        drain: Duration::from_secs(settings.drain.timeout_seconds),
    }
}

/// Reads the queues' counts for the metrics and the report. No decision uses them: they lag by a minute and more.
async fn watch_depth(queue: Sqs, settings: Settings, events: Arc<Events>, counts: Arc<QueueCounts>) {
    let mut every = tokio::time::interval(Duration::from_secs(settings.metrics.period_seconds));
    loop {
        every.tick().await;
        for name in settings.queues.keys() {
            match queue.depth(name).await {
                Ok(depth) => {
                    events.emit(Event::DepthPolled { queue: name, depth });
                    let dead_letters = queue.dead_letters(name).await;
                    if let Err(error) = &dead_letters {
                        tracing::warn!(%error, queue = name, "dead letters cannot be counted");
                    }
                    counts.note(name, depth, dead_letters.ok(), wall_ms());
                }
                Err(error) => tracing::warn!(%error, queue = name, "queue depth cannot be read"),
            }
        }
    }
}

async fn send_traces(sender: Option<Sender>, stop: CancellationToken) {
    if let Some(sender) = sender {
        sender.run(stop).await;
    }
}

/// Reports log lines that were lost.
async fn watch_logs(mut losses: Losses, period_seconds: u64, events: Arc<Events>) {
    let mut every = tokio::time::interval(Duration::from_secs(period_seconds));
    loop {
        every.tick().await;
        match losses.news() {
            0 => {}
            lines => events.emit(Event::LogLinesDropped { lines }),
        }
    }
}

fn stop_on_signals() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let token = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        token.cancel();
    });
    Ok(stop)
}
