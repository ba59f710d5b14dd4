//! The controller as it ships, started as a process with its own settings file.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{
    clients,
    deployment::Deployment,
    emulator::free_port,
    paths,
    process::{Process, Spec},
    wait,
};

/// Settings: from dotted key to value, as TOML.
pub type Settings = BTreeMap<String, String>;

/// Starts a controller, any number of times.
#[derive(Debug, Clone)]
pub struct ControllerPlan {
    name: String,
    config: PathBuf,
    health: String,
    env: Vec<(String, String)>,
    folder: PathBuf,
    logs: PathBuf,
}

impl ControllerPlan {
    /// Writes the settings file of a controller called `name` for a deployment. `more` overrides single settings.
    pub fn new(
        name: &str,
        deployment: &Deployment,
        more: &Settings,
        env: Vec<(String, String)>,
        folder: &Path,
        logs: &Path,
    ) -> Result<Self> {
        let listen = format!("127.0.0.1:{}", free_port()?);
        let mut settings = settings(deployment, &listen);
        settings.extend(more.clone());
        let lines: Vec<_> = settings.iter().map(|(key, value)| format!("{key} = {value}")).collect();
        let config = folder.join(format!("{name}.toml"));
        std::fs::write(&config, lines.join("\n")).with_context(|| config.display().to_string())?;
        let health = format!("http://{listen}/readyz");
        Ok(Self { name: name.to_owned(), config, health, env, folder: folder.into(), logs: logs.into() })
    }

    /// The settings file.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Starts the controller and waits until it is ready.
    pub async fn start(&self) -> Result<Process> {
        self.ready(self.spawn(&["run", "--config"])?).await
    }

    /// The same, with standard output to `out`, a device or a pipe.
    pub async fn start_into(&self, out: &Path) -> Result<Process> {
        self.ready(self.spawn_into(&["run", "--config"], Some(out))?).await
    }

    async fn ready(&self, mut process: Process) -> Result<Process> {
        let ready = wait::until("the controller is ready", Duration::from_secs(30), async || {
            process.ensure_running()?;
            let answer = reqwest::get(&self.health).await;
            Ok(answer.is_ok_and(|answer| answer.status().is_success()).then_some(()))
        })
        .await;
        match ready {
            Ok(()) => Ok(process),
            Err(error) => bail!("{error:#}\n{}", process.tail(20)),
        }
    }

    /// Starts the controller's binary with these arguments, followed by the settings file.
    pub fn spawn(&self, args: &[&str]) -> Result<Process> {
        self.spawn_into(args, None)
    }

    fn spawn_into(&self, args: &[&str], out: Option<&Path>) -> Result<Process> {
        let mut args: Vec<_> = args.iter().map(|arg| (*arg).to_owned()).collect();
        args.push(self.config.display().to_string());
        Process::start(&Spec {
            name: &self.name,
            program: &paths::binary("transcode-controller")?,
            args,
            env: self.env.clone(),
            folder: &self.folder,
            logs: &self.logs,
            out,
            orderly: false,
        })
    }
}

/// The environment variables of a controller: the endpoints of its services.
pub fn environment(emulator: &str, ecs: &str) -> Vec<(String, String)> {
    clients::environment(emulator, Some(ecs))
}

/// The settings that name the environment; all others keep the shipped default.
fn settings(deployment: &Deployment, listen: &str) -> Settings {
    // A JSON string is a TOML basic string.
    let text = |value: &str| serde_json::Value::from(value).to_string();
    let list = |values: &[String]| serde_json::Value::from(values).to_string();
    [
        ("environment", text(&deployment.environment)),
        ("queues.default.url", text(&deployment.jobs_queue)),
        ("queues.default.dead_letter_url", text(&deployment.dead_letter_queue)),
        ("sources.uploads.bucket", text(&deployment.source_bucket)),
        ("events.queue_url", text(&deployment.events_queue)),
        ("state.bucket", text(&deployment.state_bucket)),
        ("output.bucket", text(&deployment.production_bucket)),
        ("output.prefix", text(&deployment.output_root)),
        ("cluster.name", text(&deployment.cluster)),
        ("cluster.task_definition", text(&deployment.task_family)),
        ("cluster.subnets", list(&deployment.subnets)),
        ("cluster.security_groups", list(std::slice::from_ref(&deployment.security_group))),
        ("metrics.namespace", text(&deployment.metrics_namespace)),
        ("metrics.detail", text(&deployment.metrics_detail)),
        ("http.listen", text(listen)),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}
