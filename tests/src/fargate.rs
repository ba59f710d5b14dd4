//! The local Fargate endpoint (`local/`): ECS whose tasks are real processes.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::process::Signal;
use serde_json::{Value, json};
use transcode_local::{ControlClient, Fault};

use crate::{
    clients::{self, REGION},
    paths,
    process::{Process, Spec},
    wait,
};

/// Options of the endpoint.
#[derive(Debug)]
pub struct FargateOptions<'a> {
    /// URL of the emulator: task definitions come from there, and events go to a queue there.
    pub emulator: &'a str,
    /// Queue of the state-change events.
    pub events_queue: &'a str,
    /// The program that runs for the image `transcode-task`; `None`: this build's binary.
    pub task_program: Option<PathBuf>,
    /// Additional environment variables of every task.
    pub task_env: &'a [(String, String)],
    /// Additional arguments of the endpoint, such as its delays.
    pub args: &'a [String],
    /// Working folder; the tasks' folders lie below it.
    pub folder: &'a Path,
    /// Folder for the endpoint's log and for those of the tasks.
    pub logs: &'a Path,
}

/// A running endpoint. Its tasks end with it.
#[derive(Debug)]
pub struct Fargate {
    process: Process,
    /// Its URL.
    pub endpoint: String,
    /// An ECS client for it.
    pub ecs: aws_sdk_ecs::Client,
    task_logs: PathBuf,
    /// The endpoint's control routes, for operations without a method here.
    pub control: ControlClient,
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
            out: None,
            // An orderly end stops its tasks.
            orderly: true,
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
        let control = ControlClient::new(&endpoint).context("the local Fargate endpoint's address")?;
        Ok(Self { process, ecs: clients::ecs(&endpoint), endpoint, task_logs, control })
    }

    /// Switches a fault on; returns its id.
    pub async fn fault(&self, fault: &Fault) -> Result<Value> {
        let body = serde_json::to_value(fault).context("a fault as JSON")?;
        self.control.post("faults", &body).await.context("setting a fault")
    }

    /// Switches all faults off.
    pub async fn clear_faults(&self) -> Result<()> {
        self.control.delete("faults").await.context("clearing faults").map(drop)
    }

    /// The endpoint's counters: calls, tasks launched, the most at the same time, by job.
    pub async fn counters(&self) -> Result<Value> {
        self.control.get("counters").await.context("counters")
    }

    /// Every task that the endpoint knows, with its process ids, folder and log file.
    pub async fn tasks(&self) -> Result<Vec<Value>> {
        let answer = self.control.get("tasks").await.context("tasks")?;
        Ok(answer.get("tasks").and_then(Value::as_array).cloned().unwrap_or_default())
    }

    /// Sends a signal to the first process of each container of a task, or to all of its processes.
    pub async fn signal(&self, task: &str, signal: Signal, all: bool) -> Result<Value> {
        let body = json!({"signal": signal.as_raw(), "all": all});
        self.control.post(&format!("tasks/{task}/signal"), &body).await.context("a signal to a task")
    }

    /// Interrupts a task as Spot does: SIGTERM now, SIGKILL after `warning_ms`.
    pub async fn interrupt(&self, task: &str, warning_ms: u64) -> Result<Value> {
        let body = json!({"warningMilliseconds": warning_ms});
        self.control.post(&format!("tasks/{task}/interrupt"), &body).await.context("a Spot interruption")
    }

    /// Task folders that are not empty.
    pub async fn leftovers(&self) -> Result<Value> {
        self.control.get("leftovers").await.context("leftovers")
    }

    /// Sets the digest that the registry returns for an image.
    pub async fn pulls(&self, image: &str, digest: &str) -> Result<()> {
        let body = json!({"image": image, "digest": digest});
        self.control.post("images", &body).await.context("images")?;
        Ok(())
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
    // The endpoint finds ffmpeg there.
    task_env.extend(std::env::var("PATH").map(|path| ("PATH".to_owned(), path)));
    task_env.extend(options.task_env.iter().cloned());
    for (name, value) in task_env {
        args.extend(["--task-env".to_owned(), format!("{name}={value}")]);
    }
    args.extend(options.args.iter().cloned());
    args
}

/// The URL in the line that the endpoint prints when it listens.
fn address(line: &str) -> Option<String> {
    let value: Value = serde_json::from_str(line).ok()?;
    value.get("endpoint")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use aws_sdk_ecs::types::{
        AwsVpcConfiguration, ContainerOverride, KeyValuePair, LaunchType, NetworkConfiguration, Task,
        TaskOverride,
    };

    use super::*;
    use crate::{deployment::Deployment, emulator::Emulator};

    #[test]
    fn the_address_is_found_in_the_line_that_has_it() {
        assert_eq!(address(r#"{"endpoint":"http://127.0.0.1:1"}"#).as_deref(), Some("http://127.0.0.1:1"));
        assert_eq!(address("starting"), None);
    }

    struct World {
        fargate: Fargate,
        made: Deployment,
        emulator: Emulator,
        _folder: tempfile::TempDir,
    }

    /// An endpoint whose task is a shell script.
    async fn world(script: &str) -> World {
        let folder = tempfile::tempdir().unwrap();
        let emulator = Emulator::start(folder.path(), folder.path()).await.unwrap();
        let made = Deployment::create(&emulator.clients, "small").await.unwrap();
        let program = folder.path().join("task.sh");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let options = FargateOptions {
            emulator: &emulator.endpoint,
            events_queue: &made.events_queue,
            task_program: Some(program),
            task_env: &[("EXTRA".to_owned(), "yes".to_owned())],
            args: &[],
            folder: folder.path(),
            logs: folder.path(),
        };
        let fargate = Fargate::start(&options).await.unwrap();
        World { fargate, made, emulator, _folder: folder }
    }

    async fn run(world: &World) -> Task {
        let job = KeyValuePair::builder().name("TRANSCODE_JOB").value("j").build();
        let container = ContainerOverride::builder().name("task").environment(job).build();
        let run = world.fargate.ecs.run_task().cluster(&world.made.cluster).launch_type(LaunchType::Fargate);
        let vpc =
            AwsVpcConfiguration::builder().set_subnets(Some(world.made.subnets.clone())).build().unwrap();
        let network = NetworkConfiguration::builder().awsvpc_configuration(vpc).build();
        let run = run.task_definition(&world.made.task_family).network_configuration(network);
        let run = run.overrides(TaskOverride::builder().container_overrides(container).build());
        run.send().await.unwrap().tasks.unwrap_or_default().remove(0)
    }

    async fn wait_for_status(world: &World, arn: &str, status: &str) -> Task {
        wait::until(&format!("the task is {status}"), Duration::from_secs(20), async || {
            let describe = world.fargate.ecs.describe_tasks().cluster(&world.made.cluster).tasks(arn);
            let task = describe.send().await?.tasks.unwrap_or_default().remove(0);
            Ok((task.last_status() == Some(status)).then_some(task))
        })
        .await
        .unwrap()
    }

    #[tokio::test]
    async fn a_task_of_the_deployed_definition_runs_and_is_reported() {
        let world = world("env; exit 7").await;
        let task = run(&world).await;
        assert_eq!(task.task_definition_arn(), Some(world.made.task_definition_arn.as_str()));
        let arn = task.task_arn().unwrap();
        let stopped = wait_for_status(&world, arn, "STOPPED").await;
        assert_eq!(stopped.containers()[0].exit_code(), Some(7));

        let logs = world.fargate.task_logs();
        let log = std::fs::read_to_string(&logs[0]).unwrap();
        let bucket = format!("TRANSCODE_STATE_BUCKET={}", world.made.state_bucket);
        let s3 = format!("AWS_ENDPOINT_URL_S3={}", world.emulator.endpoint);
        for line in ["TRANSCODE_JOB=j", "EXTRA=yes", bucket.as_str(), s3.as_str()] {
            assert!(log.lines().any(|found| found == line), "{line} is not in\n{log}");
        }

        let sqs = &world.emulator.clients.sqs;
        wait::until("the end of the task arrives as an event", Duration::from_secs(20), async || {
            let receive = sqs.receive_message().queue_url(&world.made.events_queue).wait_time_seconds(1);
            let answer = receive.max_number_of_messages(10).send().await?;
            let bodies = answer.messages().iter().filter_map(|message| message.body());
            let events: Vec<Value> = bodies.filter_map(|body| serde_json::from_str(body).ok()).collect();
            Ok(events
                .iter()
                .any(|event| {
                    event["detail-type"] == "ECS Task State Change"
                        && event["detail"]["taskArn"] == arn
                        && event["detail"]["lastStatus"] == "STOPPED"
                })
                .then_some(()))
        })
        .await
        .unwrap();
        assert_eq!(world.fargate.counters().await.unwrap()["tasks"]["launched"], 1);
    }

    #[tokio::test]
    async fn tasks_die_with_the_endpoint_even_when_it_is_killed() {
        let mut world = world("trap '' TERM; while :; do sleep 1; done").await;
        let arn = run(&world).await.task_arn().unwrap().to_owned();
        wait_for_status(&world, &arn, "RUNNING").await;
        let tasks = world.fargate.tasks().await.unwrap();
        let pid = tasks[0]["containers"][0]["pid"].as_u64().unwrap();
        let process = PathBuf::from(format!("/proc/{pid}"));
        assert!(process.exists());
        world.fargate.process.kill().unwrap();
        assert!(wait::until_blocking(Duration::from_secs(10), || !process.exists()));
    }
}
