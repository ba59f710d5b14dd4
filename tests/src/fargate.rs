//! The local Fargate endpoint (`local/`): ECS whose tasks are real processes.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    clients::{self, REGION},
    paths,
    process::{Process, Spec},
    wait,
};

/// What the endpoint is started with.
#[derive(Debug)]
pub struct FargateOptions<'a> {
    /// Address of the emulator: task definitions come from there, events go to a queue there.
    pub emulator: &'a str,
    /// Queue that gets the state-change events.
    pub events_queue: &'a str,
    /// What runs for the image `transcode-task`; none takes the binary of this build.
    pub task_program: Option<PathBuf>,
    /// More environment for every task.
    pub task_env: &'a [(String, String)],
    /// More arguments for the endpoint, such as its delays.
    pub args: &'a [String],
    /// Working folder; the tasks' folders lie below it.
    pub folder: &'a Path,
    /// Folder for the endpoint's log and for those of the tasks.
    pub logs: &'a Path,
}

/// A running endpoint. When it ends, its tasks end.
#[derive(Debug)]
pub struct Fargate {
    process: Process,
    /// Its address.
    pub endpoint: String,
    /// An ECS client for it.
    pub ecs: aws_sdk_ecs::Client,
    task_logs: PathBuf,
    http: reqwest::Client,
}

impl Fargate {
    /// Starts the endpoint and waits for its address.
    pub async fn start(options: &FargateOptions<'_>) -> Result<Self> {
        let program = paths::binary("transcode-local")?;
        let task = match &options.task_program {
            Some(path) => path.clone(),
            None => paths::binary("transcode-task")?,
        };
        let task_logs = options.logs.join("tasks");
        let work = options.folder.join("tasks");
        std::fs::create_dir_all(&task_logs).with_context(|| task_logs.display().to_string())?;
        std::fs::create_dir_all(&work).with_context(|| work.display().to_string())?;
        let mut process = Process::start(&Spec {
            name: "fargate",
            program: &program,
            args: arguments(options, &task, &task_logs, &work),
            env: clients::environment(options.emulator, None),
            folder: options.folder,
            logs: options.logs,
        })?;
        let endpoint = wait::until(
            "the local Fargate endpoint gives its address",
            Duration::from_secs(20),
            async || {
                process.ensure_running()?;
                Ok(process.output().lines().find_map(address))
            },
        )
        .await?;
        Ok(Self { process, ecs: clients::ecs(&endpoint), endpoint, task_logs, http: reqwest::Client::new() })
    }

    /// Asks a control route, such as `GET counters`.
    pub async fn control_get(&self, route: &str) -> Result<Value> {
        self.control(self.http.get(self.control_url(route)), route).await
    }

    /// Tells a control route something, such as `POST faults`.
    pub async fn control_post(&self, route: &str, body: &Value) -> Result<Value> {
        self.control(self.http.post(self.control_url(route)).json(body), route).await
    }

    /// Clears what a control route holds, such as `DELETE faults`.
    pub async fn control_delete(&self, route: &str) -> Result<Value> {
        self.control(self.http.delete(self.control_url(route)), route).await
    }

    /// Switches a fault on.
    pub async fn fault(&self, fault: &Value) -> Result<Value> {
        self.control_post("faults", fault).await
    }

    /// Switches all faults off.
    pub async fn clear_faults(&self) -> Result<()> {
        self.control_delete("faults").await.map(drop)
    }

    /// The endpoint's counters: calls, tasks launched, the most at one time, by job.
    pub async fn counters(&self) -> Result<Value> {
        self.control_get("counters").await
    }

    /// An error with the end of the log if it has ended.
    pub fn ensure_running(&mut self) -> Result<()> {
        self.process.ensure_running()
    }

    /// The process, for its log.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The log files of the tasks, by name.
    pub fn task_logs(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.task_logs).into_iter().flatten().flatten();
        let mut files: Vec<_> = entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
        files.sort();
        files
    }

    fn control_url(&self, route: &str) -> String {
        format!("{}/_control/{route}", self.endpoint)
    }

    async fn control(&self, request: reqwest::RequestBuilder, route: &str) -> Result<Value> {
        let answer = request.send().await.with_context(|| format!("control route {route}"))?;
        let status = answer.status();
        let text = answer.text().await.with_context(|| format!("control route {route}"))?;
        ensure!(status.is_success(), "control route {route}: {status}: {text}");
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).with_context(|| format!("control route {route}: {text}"))
    }
}

fn arguments(options: &FargateOptions<'_>, task: &Path, task_logs: &Path, work: &Path) -> Vec<String> {
    let mut args: Vec<String> = [
        "--listen",
        "127.0.0.1:0",
        "--upstream-ecs",
        options.emulator,
        "--events-queue-url",
        options.events_queue,
        "--region",
        REGION,
    ]
    .map(str::to_owned)
    .to_vec();
    args.extend(["--program".to_owned(), format!("transcode-task={}", task.display())]);
    args.extend(["--log-dir".to_owned(), task_logs.display().to_string()]);
    args.extend(["--work-dir".to_owned(), work.display().to_string()]);
    let mut task_env = clients::environment(options.emulator, None);
    // ffmpeg is looked for there.
    task_env.extend(std::env::var("PATH").map(|path| ("PATH".to_owned(), path)));
    task_env.extend(options.task_env.iter().cloned());
    for (name, value) in task_env {
        args.extend(["--task-env".to_owned(), format!("{name}={value}")]);
    }
    args.extend(options.args.iter().cloned());
    args
}

/// The address in the line that the endpoint prints when it listens.
fn address(line: &str) -> Option<String> {
    let value: Value = serde_json::from_str(line).ok()?;
    value.get("endpoint")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_address_is_found_in_the_line_that_has_it() {
        assert_eq!(
            super::address(r#"{"endpoint":"http://127.0.0.1:1"}"#).as_deref(),
            Some("http://127.0.0.1:1")
        );
        assert_eq!(super::address("starting"), None);
    }
}
