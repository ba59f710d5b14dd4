//! The cluster, the task definition, its image, and the size of a launch's overrides.

use aws_sdk_ecs::types::{ContainerDefinition, CpuArchitecture, KernelCapabilities, TaskDefinition};
use transcode_config::{
    check::fargate_size,
    contract::{Attempt, Capacity, Claim, JobKey, SCHEMA, TaskShape},
    prices::Prices,
    settings::CostSettings,
};

use super::{Finding, Status, Ward};
use crate::aws::{
    Images,
    class::call_error,
    ecr::Named,
    image::architecture,
    run_task::{LaunchTemplate, MAX_OVERRIDES},
};

const DEPLOY: &str = "deploy the template's TaskDefinition";

/// Checks the cluster and its capacity providers.
pub(super) async fn cluster(ward: &Ward) -> Vec<Finding> {
    const CHECK: &str = "cluster.state";
    let name = &ward.settings.cluster.name;
    let answer = ward.clients.ecs.read.describe_clusters().clusters(name).send().await;
    let answer = match answer.map_err(|error| call_error("ecs:DescribeClusters", &error)) {
        Ok(answer) => answer,
        Err(error) => return vec![Finding::unread(CHECK, &error).of(name)],
    };
    let Some(cluster) = answer.clusters().first().filter(|cluster| cluster.status() == Some("ACTIVE")) else {
        let todo = "deploy the template, or correct cluster.name";
        return vec![Finding::bad(CHECK, Status::Fail, "there is no such active cluster", todo).of(name)];
    };
    // A job whose Spot task was interrupted continues on-demand.
    let wanted: &[&str] = match ward.settings.launch.capacity {
        Capacity::Fargate => &["FARGATE"],
        Capacity::FargateSpot => &["FARGATE", "FARGATE_SPOT"],
    };
    let has = |provider: &&&str| !cluster.capacity_providers().iter().any(|known| known == **provider);
    let missing: Vec<&str> = wanted.iter().filter(has).copied().collect();
    let seen = match missing.len() {
        0 => format!("active, with {}", cluster.capacity_providers().join(", ")),
        _ => format!("active, without capacity provider {}", missing.join(", ")),
    };
    let todo = "associate the capacity providers with the cluster (the template does)";
    vec![Finding::when(CHECK, missing.is_empty(), Status::Fail, seen, todo).of(name)]
}

/// Checks the task definition, its image, the overrides.
pub(super) async fn definition(ward: &Ward) -> Vec<Finding> {
    const CHECK: &str = "definition.exists";
    let family = &ward.settings.cluster.task_definition;
    let answer = ward.clients.ecs.read.describe_task_definition().task_definition(family).send().await;
    let definition = match answer.map_err(|error| call_error("ecs:DescribeTaskDefinition", &error)) {
        Ok(answer) => answer.task_definition,
        Err(error) if error.message.starts_with("ClientException") => None,
        Err(error) => return vec![Finding::unread(CHECK, &error).of(family)],
    };
    let Some(definition) = definition else {
        let todo = "deploy the template, or correct cluster.task_definition";
        return vec![Finding::bad(CHECK, Status::Fail, "there is no such task definition", todo).of(family)];
    };
    let arn = definition.task_definition_arn().unwrap_or_default().to_owned();
    let mut findings = vec![Finding::ok(CHECK, arn.clone()).of(family)];
    findings.push(platform(&definition));
    findings.push(size(&definition));
    findings.push(prices(&ward.settings.cost, &arn, architecture_of(&definition)));
    findings.push(roles(&definition));
    findings.push(overrides(ward, &arn));
    let name = &ward.settings.cluster.container;
    let container = definition.container_definitions().iter().find(|one| one.name() == Some(name));
    let Some(container) = container else {
        let seen = format!("{arn} has no container named {name}");
        let todo = "correct cluster.container, or the container's name";
        findings.push(Finding::bad("definition.container", Status::Fail, seen, todo));
        return findings;
    };
    findings.push(Finding::ok("definition.container", name.clone()));
    findings.push(isolation(container));
    findings.push(stopping(container));
    findings.push(logs(container));
    findings.push(image(ward, &definition, &arn, container).await);
    findings
}

fn platform(definition: &TaskDefinition) -> Finding {
    let fargate = definition.requires_compatibilities().iter().any(|one| one.as_str() == "FARGATE");
    let network = definition.network_mode().map_or("none", |mode| mode.as_str()).to_owned();
    let seen = format!("network mode {network}, {}", if fargate { "for Fargate" } else { "not for Fargate" });
    Finding::when("definition.platform", fargate && network == "awsvpc", Status::Fail, seen, DEPLOY)
}

fn size(definition: &TaskDefinition) -> Finding {
    let (cpu, memory) = (definition.cpu().unwrap_or("none"), definition.memory().unwrap_or("none"));
    let number = |text: &str| text.parse::<u32>().unwrap_or(0);
    let seen = format!("{cpu} CPU units with {memory} MiB (each launch overrides them)");
    let todo = "terminal record the definition with a pair that Fargate offers";
    Finding::when("definition.size", fargate_size(number(cpu), number(memory)), Status::Fail, seen, todo)
}

/// The architecture of the definition's tasks, in the words of image manifests.
fn architecture_of(definition: &TaskDefinition) -> &'static str {
    let platform = definition.runtime_platform().and_then(|platform| platform.cpu_architecture());
    architecture(platform.map(CpuArchitecture::as_str))
}

/// Whether the settings have a price for the tasks.
fn prices(cost: &CostSettings, arn: &str, architecture: &str) -> Finding {
    let region = arn.split(':').nth(3).unwrap_or_default();
    // Fargate's word for it.
    let architecture = if architecture == "arm64" { "arm64" } else { "x86_64" };
    let found = Prices::of(cost, region, architecture);
    let seen = match &found {
        Some(prices) => format!("{} USD for a vCPU hour on {architecture} in {region}", prices.vcpu_hour),
        None => format!("none for {architecture} in {region}, so there are no cost metrics"),
    };
    let todo = "set vcpu_hour, gib_hour and storage_gib_hour in [cost] to the Region's list prices";
    Finding::when("definition.prices", found.is_some(), Status::Warn, seen, todo)
}

fn roles(definition: &TaskDefinition) -> Finding {
    let given = |role: Option<&str>| role.is_some_and(|role| !role.is_empty());
    let missing: Vec<&str> = [
        (given(definition.task_role_arn()), "taskRoleArn (what the task may)"),
        (given(definition.execution_role_arn()), "executionRoleArn (pulling the image, writing logs)"),
    ]
    .into_iter()
    .filter_map(|(there, name)| (!there).then_some(name))
    .collect();
    let seen = if missing.is_empty() {
        "both are set".to_owned()
    } else {
        format!("missing: {}", missing.join(", "))
    };
    Finding::when("definition.roles", missing.is_empty(), Status::Fail, seen, DEPLOY)
}

/// Checks the limits of the container that decodes untrusted videos.
fn isolation(container: &ContainerDefinition) -> Finding {
    let linux = container.linux_parameters();
    let dropped =
        linux.and_then(|linux| linux.capabilities()).map(KernelCapabilities::drop).unwrap_or_default();
    let root = matches!(container.user(), None | Some("" | "0" | "root"))
        || container.user().is_some_and(|user| user.starts_with("0:"));
    let lacking: Vec<&str> = [
        (container.readonly_root_filesystem() == Some(true), "a read-only root file system"),
        (!root, "a user other than root"),
        (dropped.iter().any(|one| one == "ALL"), "all capabilities dropped"),
        (linux.is_some_and(|linux| linux.init_process_enabled() == Some(true)), "an init process"),
    ]
    .into_iter()
    .filter_map(|(there, name)| (!there).then_some(name))
    .collect();
    let seen = match lacking.len() {
        0 => "read-only root, not root, no capabilities, an init process".to_owned(),
        _ => format!("without {}", lacking.join(", ")),
    };
    Finding::when("definition.isolation", lacking.is_empty(), Status::Warn, seen, DEPLOY)
}

fn stopping(container: &ContainerDefinition) -> Finding {
    let seconds = container.stop_timeout().unwrap_or(30);
    let seen = format!("stopTimeout {seconds} s");
    let todo = "set stopTimeout 120: a task that is stopped ends ffmpeg and records that it was interrupted";
    Finding::when("definition.stop_timeout", seconds >= 60, Status::Warn, seen, todo)
}

fn logs(container: &ContainerDefinition) -> Finding {
    let configuration = container.log_configuration();
    let driver = configuration.map_or("none", |logs| logs.log_driver().as_str());
    let blocking = configuration.and_then(|logs| logs.options()).is_some_and(|options| {
        driver == "awslogs" && options.get("mode").is_none_or(|mode| mode != "non-blocking")
    });
    let (holds, seen) = (
        driver != "none" && !blocking,
        format!("log driver {driver}{}", if blocking { ", blocking" } else { "" }),
    );
    let todo = "set a logConfiguration, awslogs with mode non-blocking: without logs nobody can read why a task died, and \
                blocking ones stop the transcode with the log service";
    Finding::when("definition.logs", holds, Status::Warn, seen, todo)
}

async fn image(
    ward: &Ward,
    definition: &TaskDefinition,
    arn: &str,
    container: &ContainerDefinition,
) -> Finding {
    const CHECK: &str = "image";
    let image = container.image().unwrap_or_default();
    let architecture = architecture_of(definition);
    let images = Images::new(ward.clients.ecr.clone(), &ward.settings);
    let finding = match images.check(Named { task_definition: arn, image, architecture }).await {
        Err(error) => Finding::unread(CHECK, &error),
        Ok(Ok(Some(digest))) => Finding::ok(CHECK, format!("{digest}, {architecture}, contract {SCHEMA}")),
        Ok(Ok(None)) => {
            let todo = "push it to ECR, so that the controller can look before it launches";
            Finding::bad(CHECK, Status::Warn, "not looked at: not in ECR, or image.check is off", todo)
        }
        Ok(Err(unfit)) => {
            Finding::bad(CHECK, Status::Fail, unfit.to_string(), "until then the controller launches nothing")
        }
    };
    finding.of(image)
}

/// Checks the longest overrides that these settings can make.
fn overrides(ward: &Ward, task_definition: &str) -> Finding {
    let launch = &ward.settings.launch;
    let claim = Claim {
        schema: SCHEMA,
        job: JobKey::of(&["doctor"]),
        attempt: Attempt::new(999_999).unwrap_or(Attempt::FIRST),
        task_definition: task_definition.to_owned(),
        image_digest: None,
        variant: TaskShape {
            capacity: launch.capacity,
            cpu: launch.cpu,
            memory_mib: launch.memory_mib,
            ephemeral_gib: Some(200),
        },
        launch_not_after_ms: 0,
        created_at_ms: 0,
        nonce: String::new(),
        history: Vec::new(),
    };
    let length = LaunchTemplate::new(&ward.settings).overrides_length(&claim);
    let seen = format!("{length} of {MAX_OVERRIDES} characters");
    let todo = "shorten cluster.container";
    Finding::when("definition.overrides", length <= MAX_OVERRIDES, Status::Fail, seen, todo)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_table_has_no_prices_the_settings_must_have_them() {
        let arn = |region: &str| format!("arn:aws:ecs:{region}:123456789012:task-definition/transcode:3");
        let none = CostSettings { vcpu_hour: 0.0, gib_hour: 0.0, storage_gib_hour: 0.0, spot_percent: 30.0 };
        assert_eq!(prices(&none, &arn("us-east-1"), "amd64").status, Status::Ok);
        assert_eq!(prices(&none, &arn("us-east-1"), "arm64").status, Status::Ok);
        let unknown = prices(&none, &arn("eu-west-1"), "arm64");
        assert_eq!(unknown.status, Status::Warn);
        assert!(unknown.seen.contains("arm64 in eu-west-1"), "{}", unknown.seen);
        let set = CostSettings { vcpu_hour: 0.04, gib_hour: 0.004, storage_gib_hour: 0.0001, ..none };
        assert_eq!(prices(&set, &arn("eu-west-1"), "arm64").status, Status::Ok);
    }
}
