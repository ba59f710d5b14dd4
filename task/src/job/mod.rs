//! One attempt at one job: the steps in order, and the ending in every case.

mod beacon;
mod digest;
mod ending;
mod event_playlist;
mod heartbeat;
mod overlay;

mod publish;
mod source;
mod start;
pub(crate) mod stop;
mod terminal;
mod trace;
mod transcode;
mod upload;

use std::{path::Path, time::Duration};

use tempfile::TempDir;
use tokio::time::Instant;
use tracing::Instrument;
use transcode_config::contract::{
    ExitCode, JobSpec, Layout, Outcome, SCHEMA, SourceRead, Stage, Succeeded, Terminal, TraceSource,
    UserMetadata,
};
use transcode_media::{
    MediaJob, OverlayFile, Package,
    process::Tools,
    sandbox::{SandboxLevel, SandboxPolicy},
};

use self::{
    ending::{End, Ending},
    heartbeat::Heart,
    publish::Destination,
    stop::Stop,
    terminal::Written,
    upload::Uploads,
};
use crate::aws::{At, Clients, MetricName, Metrics, task_arn};

pub use heartbeat::Rhythm;
#[cfg(feature = "schema")]
pub use publish::schema as files_schema;
pub use start::Identity;

/// The task's settings from its environment. Everything else is in `spec.json`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which attempt at which job.
    pub me: Identity,
    /// The environment's name: the metrics' only dimension, and the folder of the beacon.
    pub environment: String,
    /// `CloudWatch` namespace; none sends no metrics.
    pub namespace: Option<String>,
    /// Base URL of a collector of traces; none sends no traces.
    pub otlp_endpoint: Option<String>,
    /// The heartbeat.
    pub rhythm: Rhythm,
    /// The policy for a kernel that lacks a layer of the sandbox.
    pub sandbox: SandboxPolicy,
}

/// Runs the attempt to its end, and always tries to report how it ended.
pub async fn run(settings: Settings, clients: Clients) -> ExitCode {
    let began = Instant::now();
    let stop = Stop::default();
    if let Err(error) = stop.on_signals() {
        tracing::error!(%error, "signals cannot be caught");
        return ExitCode::Internal;
    }
    let task_arn = task_arn().await;
    let task = task_arn.as_deref().and_then(|arn| arn.rsplit('/').next()).unwrap_or("none");
    // The object key is known once the specification is read.
    let key = tracing::field::Empty;
    let span = tracing::info_span!("task", job = %settings.me.job, key, attempt = %settings.me.attempt, task);
    let (documents, me) = (clients.documents.clone(), settings.me.clone());
    let heart = Heart::new(documents, &settings.environment, me, task_arn.clone(), settings.rhythm);
    let run = Run {
        settings,
        clients,
        task_arn,
        began,
        stop,
        heart,
        metrics: Metrics::default(),
        work: None,
        uploads: None,
        heard_of: false,
        key: None,
    };
    run.finish().instrument(span).await
}

/// An attempt under way.
#[derive(Debug)]
struct Run {
    settings: Settings,
    clients: Clients,
    task_arn: Option<String>,
    began: Instant,
    stop: Stop,
    heart: Heart,
    metrics: Metrics,
    work: Option<TempDir>,
    /// The uploads, as long as no document can refer to their folder.
    uploads: Option<Uploads>,
    /// Whether a heartbeat has announced this attempt.
    heard_of: bool,
    /// Object key of the source, once it is known.
    key: Option<String>,
}

impl Run {
    async fn finish(mut self) -> ExitCode {
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "task started");
        let result = self.steps().await;
        let ending = Ending::of(result, self.stop.reason());
        let exit = ending.exit();
        match &ending {
            Ending::Succeeded => tracing::info!("succeeded"),
            Ending::Superseded(why) => tracing::info!(why, "superseded"),
            Ending::Interrupted => tracing::warn!("interrupted"),
            Ending::Failed(failure) => {
                // Not `message`: the log line already has a field of that name.
                tracing::error!(code = %failure.code, reason = failure.message, evidence = ?failure.evidence, "failed");
            }
        }
        self.conclude(&ending).await;
        tracing::info!(exit = exit.code(), meaning = exit.meaning(), "task ended");
        exit
    }

    /// The steps. Each begins when the one before is done.
    async fn steps(&mut self) -> Result<(), End> {
        let me = self.settings.me.clone();
        let order = start::check(&self.clients.documents, &me, self.stop.token()).await?;
        tracing::Span::current().record("key", &order.spec.source.key);
        self.key = Some(order.spec.source.key.clone());
        let limit = Duration::from_secs(order.spec.max_run_seconds);
        self.stop.after(limit.saturating_sub(self.began.elapsed()));
        self.heart.begin(&self.stop).await.map_err(End::aws(At::State))?;
        self.heard_of = true;
        // The heartbeat first, then the check: if another process decides the job without having seen the heartbeat,
        // the check sees the decision.
        start::still_current(&self.clients.documents, &me, self.stop.token()).await?;
        start::in_time(&order.claim)?;
        let tools = Tools::find(self.settings.sandbox)?;
        let work = self.make_work_folder()?;
        let read = self.download(&order.spec, &work).await?;
        let overlay = match &order.spec.edit.overlay {
            Some(overlay) => {
                Some(overlay::fetch(&self.clients.objects, overlay, &work, self.stop.token()).await?)
            }
            None => None,
        };
        let folder = format!("{}{}", order.spec.output.prefix, Layout::of(&me.job).folder(me.attempt));
        // Those of the request come first: whoever sent it knows more than whoever uploaded the object.
        let words = [&order.spec.user_metadata, &read.user_metadata];
        let words = words.into_iter().find(|words| !words.is_empty());
        let package =
            self.transcode((&order.spec, words), &tools, &work, overlay.as_deref(), &folder).await?;
        let mut succeeded =
            self.publish((&order.spec, words), &package, &work, folder, tools.level()).await?;
        succeeded.source = Some(read);
        self.decide(succeeded).await
    }

    fn make_work_folder(&mut self) -> Result<std::path::PathBuf, End> {
        let name = format!("transcode-{}-{}-", self.settings.me.job, self.settings.me.attempt);
        let work = tempfile::Builder::new().prefix(&name).tempdir().map_err(|error| source::disk(&error))?;
        for folder in ["scratch", "output"] {
            std::fs::create_dir(work.path().join(folder)).map_err(|error| source::disk(&error))?;
        }
        let path = work.path().to_owned();
        self.work = Some(work);
        Ok(path)
    }

    /// Downloads the source, and returns the version that was read.
    async fn download(&mut self, spec: &JobSpec, work: &Path) -> Result<SourceRead, End> {
        self.heart.stage(Stage::Downloading);
        let began = Instant::now();
        let (objects, stop) = (&self.clients.objects, self.stop.token());
        let head = source::ask(objects, spec, work, stop).await?;
        self.heart.user_metadata(head.read.user_metadata.clone());
        let (heart, share) = (&self.heart, transcode::SHARE.0);
        #[allow(clippy::cast_precision_loss, reason = "a percentage for people")]
        let progress = |bytes: u64| heart.progress(bytes as f32 / head.size as f32 * share, None);
        source::fetch(objects, (&head, At::Source), &work.join("source"), stop, &progress).await?;
        let seconds = began.elapsed().as_secs_f64();
        self.metrics.put(MetricName::DownloadSeconds, seconds);
        self.metrics.put(MetricName::SourceBytes, float(head.size));
        tracing::info!(bytes = head.size, seconds, "source downloaded");
        Ok(head.read)
    }

    async fn transcode(
        &mut self,
        (spec, user_metadata): (&JobSpec, Option<&UserMetadata>),
        tools: &Tools,
        work: &Path,
        overlay: Option<&Path>,
        folder: &str,
    ) -> Result<Package, End> {
        let began = Instant::now();
        let me = &self.settings.me;
        let objects = self.clients.objects.clone();
        let uploads = Uploads::new(objects, spec.output.bucket.clone(), folder.to_owned(), self.stop.token());
        let job = MediaJob {
            input: &work.join("source"),
            work: &work.join("scratch"),
            output: &work.join("output"),
            folder: &Layout::of(&me.job).folder(me.attempt),
            profile: &spec.profile,
            clip: spec.edit.clip,
            overlay: spec
                .edit
                .overlay
                .as_ref()
                .zip(overlay)
                .map(|(overlay, file)| OverlayFile { file, place: overlay.place }),
            user_metadata,
        };
        let uploads = self.uploads.insert(uploads);
        let package = transcode::transcode(&job, tools, &self.heart, uploads, &self.stop).await?;
        let (seconds, length) = (began.elapsed().as_secs_f64(), float(package.duration_ms) / 1000.0);
        self.metrics.put(MetricName::TranscodeSeconds, seconds);
        self.metrics.put(MetricName::RealTimeFactor, length / seconds);
        tracing::info!(seconds, files = package.files.len(), "transcoded");
        Ok(package)
    }

    async fn publish(
        &mut self,
        (spec, user_metadata): (&JobSpec, Option<&UserMetadata>),
        package: &Package,
        work: &Path,
        folder: String,
        sandbox: SandboxLevel,
    ) -> Result<Succeeded, End> {
        self.heart.stage(Stage::Publishing);
        let began = Instant::now();
        let (target, task_arn) = (&spec.output, self.task_arn.clone());
        let to = Destination { target, folder, task_arn, sandbox, user_metadata };
        let Some(uploads) = self.uploads.as_mut() else { return Err(internal("no uploads")) };
        let (output, scratch) = (work.join("output"), work.join("scratch"));
        let published = publish::publish(package, &output, &scratch, uploads, &self.settings.me, &to).await?;
        self.metrics.put(MetricName::UploadSeconds, began.elapsed().as_secs_f64());
        self.metrics.put(MetricName::OutputBytes, float(published.bytes));
        self.metrics.put(MetricName::OutputMinutes, float(published.duration_ms) / 60_000.0);
        Ok(published)
    }

    /// The last step: the terminal record decides the job.
    async fn decide(&mut self, succeeded: Succeeded) -> Result<(), End> {
        let documents = &self.clients.documents;
        start::still_current(documents, &self.settings.me, self.stop.token()).await?;
        if let Err(reason) = self.heart.stop_looking() {
            self.stop.request(reason);
        }
        if self.stop.token().is_cancelled() {
            return Err(internal("stopped before the terminal record"));
        }
        let terminal = Terminal {
            schema: SCHEMA,
            job: self.settings.me.job.clone(),
            nonce: uuid::Uuid::new_v4().to_string(),
            written_at_ms: start::now_ms(),
            outcome: Outcome::Succeeded(succeeded),
        };
        match terminal::write(documents, &terminal, &self.stop).await {
            Written::Ours => {
                self.uploads = None;
                Ok(())
            }
            Written::Theirs => Err(End::Superseded("somebody else decided the job first".into())),
            Written::Refused(error) => Err(End::Failed(error.failure(At::State))),
            Written::Unknown(error) => {
                // The terminal record may name the folder, now or in a moment, so the folder must stay.
                self.uploads = None;
                Err(End::Failed(error.failure(At::State)))
            }
        }
    }

    /// Ends running work, reports the ending and cleans up. All at once, and each with a time limit: a task that was
    /// stopped from outside has seconds.
    async fn conclude(mut self, ending: &Ending) {
        if let Some(uploads) = self.uploads.as_mut() {
            uploads.abandon().await;
        }
        self.metrics.put(ending.metric(), 1.0);
        self.metrics.put(MetricName::TaskSeconds, self.began.elapsed().as_secs_f64());
        // A task that had nothing to do from the start writes nothing at all (S8).
        let silent = matches!(ending, Ending::Superseded(_)) && !self.heard_of;
        let traces = self.traces(ending);
        let (heart, state, uploads, work) = (self.heart, ending.state(), self.uploads, self.work);
        let last_words = async {
            if !silent {
                heart.last(state).await;
            }
        };
        let metrics = async {
            if let Some(namespace) = &self.settings.namespace {
                self.metrics.send(&self.clients.metrics, namespace, &self.settings.environment).await;
            }
        };
        let remove = async {
            if let Some(uploads) = uploads {
                uploads.remove().await;
            }
        };
        tokio::join!(last_words, metrics, traces, remove, close(work));
    }

    /// Sends the stages of this attempt to the collector, if there is one.
    fn traces(&self, ending: &Ending) -> impl Future<Output = ()> + use<> {
        let endpoint = self.settings.otlp_endpoint.clone();
        let source = TraceSource {
            service: "transcode-task",
            version: env!("CARGO_PKG_VERSION"),
            environment: self.settings.environment.clone(),
            instance: self.task_arn.clone().unwrap_or_else(|| "none".to_owned()),
        };
        let key = self.key.as_deref();
        let spans = self.heart.stages().spans(&self.settings.me, key, ending, start::now_ms());
        async move {
            if let Some(endpoint) = endpoint {
                trace::send(&endpoint, &source, &spans).await;
            }
        }
    }
}

async fn close(work: Option<TempDir>) {
    let Some(work) = work else { return };
    let path = work.path().to_owned();
    match tokio::task::spawn_blocking(move || work.close()).await {
        Ok(Ok(())) => {}
        other => tracing::warn!(path = %path.display(), ?other, "the work folder was not removed"),
    }
}

fn internal(message: &str) -> End {
    transcode_config::contract::Failure::new(transcode_config::contract::FailureCode::Internal, message)
        .into()
}

#[allow(clippy::cast_precision_loss, reason = "a metric: exact up to 2^53")]
fn float(number: u64) -> f64 {
    number as f64
}
