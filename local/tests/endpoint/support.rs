//! An endpoint for one test, and how to talk to it.

use std::{fmt::Debug, time::Duration};

use aws_sdk_ecs::{
    Client,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig},
    error::{ProvideErrorMetadata, SdkError},
    operation::{
        register_task_definition::builders::RegisterTaskDefinitionFluentBuilder,
        run_task::builders::RunTaskFluentBuilder,
    },
    types::{
        AwsVpcConfiguration, Compatibility, ContainerDefinition, ContainerOverride, KeyValuePair, LaunchType,
        NetworkConfiguration, NetworkMode, Task, TaskOverride,
    },
};
use serde_json::Value;
use tempfile::TempDir;
use transcode_local::{Config, ControlClient, Delays, Fault, FaultKind, Program, Server, serve};

/// Far longer than anything here takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

/// The cluster of every test.
pub(crate) const CLUSTER: &str = "media";

pub(crate) struct Fixture {
    pub(crate) server: Server,
    pub(crate) ecs: Client,
    pub(crate) control: ControlClient,
    pub(crate) folder: TempDir,
}

/// A client without retries: a test wants to see each answer.
pub(crate) fn client(endpoint: &str) -> Client {
    let config = aws_sdk_ecs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .build();
    Client::from_conf(config)
}

/// An endpoint without delays whose image `shell` is `/bin/sh`, with the cluster and both Fargate providers.
pub(crate) async fn fixture() -> Fixture {
    fixture_with(|_| {}).await
}

/// The same, with other settings.
pub(crate) async fn fixture_with(change: impl FnOnce(&mut Config)) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::new(folder.path().join("work"));
    config.log_dir = Some(folder.path().join("logs"));
    config.delays =
        Delays { provisioning: Duration::ZERO, pending: Duration::ZERO, deprovisioning: Duration::ZERO };
    config.programs.push(Program { image_part: "shell".into(), path: "/bin/sh".into() });
    change(&mut config);
    let server = serve(config).await.unwrap();
    let ecs = client(server.endpoint());
    let providers = ["FARGATE", "FARGATE_SPOT"].map(str::to_owned).to_vec();
    ecs.create_cluster().cluster_name(CLUSTER).set_capacity_providers(Some(providers)).send().await.unwrap();
    let control = ControlClient::new(server.endpoint()).unwrap();
    Fixture { server, ecs, control, folder }
}

/// Polls until there is something, and panics with `what` when that takes too long.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let polling = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LIMIT, polling).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}

/// The code of the exception that a call ended with.
pub(crate) fn code<T: Debug, E: ProvideErrorMetadata + Debug, R: Debug>(
    result: Result<T, SdkError<E, R>>,
) -> String {
    let error = result.unwrap_err();
    error.code().unwrap_or_else(|| panic!("not an answer: {error:?}")).to_owned()
}

pub(crate) fn container(script: &str) -> ContainerDefinition {
    ContainerDefinition::builder()
        .name("main")
        .image("registry/shell:1")
        .command("-c")
        .command(script)
        .build()
}

pub(crate) fn network() -> NetworkConfiguration {
    let vpc = AwsVpcConfiguration::builder().subnets("subnet-1").build().unwrap();
    NetworkConfiguration::builder().awsvpc_configuration(vpc).build()
}

/// Overrides that set one variable of the container `main`.
pub(crate) fn variable(name: &str, value: &str) -> TaskOverride {
    let pair = KeyValuePair::builder().name(name).value(value).build();
    TaskOverride::builder()
        .container_overrides(ContainerOverride::builder().name("main").environment(pair).build())
        .build()
}

impl Fixture {
    /// A definition of the smallest size, to be completed.
    pub(crate) fn definition(&self, family: &str) -> RegisterTaskDefinitionFluentBuilder {
        self.ecs
            .register_task_definition()
            .family(family)
            .cpu("256")
            .memory("512")
            .network_mode(NetworkMode::Awsvpc)
            .requires_compatibilities(Compatibility::Fargate)
    }

    /// Registers the family `job`, whose container `main` runs a shell script.
    pub(crate) async fn script(&self, script: &str) {
        self.definition("job").container_definitions(container(script)).send().await.unwrap();
    }

    /// A RunTask call of the family `job`, complete but for what the test is about.
    pub(crate) fn run(&self) -> RunTaskFluentBuilder {
        let run =
            self.ecs.run_task().cluster(CLUSTER).task_definition("job").network_configuration(network());
        run.launch_type(LaunchType::Fargate)
    }

    /// Registers a script, runs it, and gives the task's ARN.
    pub(crate) async fn launch(&self, script: &str) -> String {
        self.script(script).await;
        arn(&self.run().send().await.unwrap().tasks()[0])
    }

    pub(crate) async fn describe(&self, arn: &str) -> Task {
        let answer = self.ecs.describe_tasks().cluster(CLUSTER).tasks(arn).send().await.unwrap();
        answer.tasks.unwrap_or_default().remove(0)
    }

    /// Waits until the task has this `lastStatus`.
    pub(crate) async fn status(&self, arn: &str, status: &str) -> Task {
        until(&format!("{arn} is {status}"), async || {
            let task = self.describe(arn).await;
            (task.last_status() == Some(status)).then_some(task)
        })
        .await
    }

    /// Waits until the task's script has written this line, so that what it set up before (a trap) is in place.
    pub(crate) async fn line(&self, arn: &str, line: &str) {
        let log = self.log(arn);
        until(&format!("{arn} writes {line}"), async || {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            text.lines().any(|one| one == line).then_some(())
        })
        .await;
    }

    /// The log file of the task's first container.
    pub(crate) fn log(&self, arn: &str) -> std::path::PathBuf {
        self.folder.path().join(format!("logs/{}-0.log", id(arn)))
    }

    /// Process ids of the task, its descendants included.
    pub(crate) async fn processes(&self, arn: &str) -> Vec<u32> {
        let all = self.control.get("tasks").await.unwrap();
        let task = all["tasks"].as_array().unwrap().iter().find(|task| task["taskArn"] == arn).unwrap();
        let pids =
            task["containers"].as_array().unwrap().iter().filter_map(|one| one["processes"].as_array());
        pids.flatten().map(|pid| u32::try_from(pid.as_u64().unwrap()).unwrap()).collect()
    }

    pub(crate) async fn fault(&self, fault: Fault) {
        self.control.post("faults", &serde_json::to_value(fault).unwrap()).await.unwrap();
    }

    /// A fault that hits once.
    pub(crate) async fn once(&self, kind: FaultKind) {
        self.fault(Fault { count: Some(1), ..Fault::new(kind) }).await;
    }

    pub(crate) async fn counters(&self) -> Value {
        self.control.get("counters").await.unwrap()
    }
}

pub(crate) fn arn(task: &Task) -> String {
    task.task_arn().unwrap().to_owned()
}

pub(crate) fn id(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap()
}

/// Whether a process is there and has not ended; one that waits to be reaped has.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}

/// Stops a task and waits until it is STOPPED.
pub(crate) async fn stop(fixture: &Fixture, arn: &str) -> Task {
    fixture.ecs.stop_task().cluster(CLUSTER).task(arn).send().await.unwrap();
    fixture.status(arn, "STOPPED").await
}
