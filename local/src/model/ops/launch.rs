//! From a RunTask request and a task definition to task records.

use serde_json::{Value, json};

use super::Call;
use crate::model::{
    definitions::{self, ContainerSpec, Definition},
    error::ApiError,
    fault::FaultKind,
    input::RunTask,
    names, sizes,
    state::EndpointState,
    task::{Container, Phase, Placement, Process, Script, Task, Times},
};

/// `stopTimeout` where the definition has none, in seconds.
const DEFAULT_STOP_TIMEOUT: u64 = 30;
/// The longest `stopTimeout` on Fargate, in seconds.
const MAX_STOP_TIMEOUT: u64 = 120;
/// The override variable by which the counters tell jobs apart.
const JOB_VARIABLE: &str = "TRANSCODE_JOB";

/// A checked launch.
pub(crate) struct Request {
    pub(crate) cluster: String,
    cluster_arn: String,
    definition: Definition,
    family: String,
    revision: u32,
    cpu: u32,
    memory: u32,
    ephemeral_storage: u32,
    platform_version: &'static str,
    containers: Vec<ContainerSpec>,
    /// The job that the override environment names.
    pub(crate) job: Option<String>,
}

/// Looks the definition up and checks everything that depends on it.
pub(crate) fn prepare(state: &EndpointState, input: &RunTask, cluster: String) -> Result<Request, ApiError> {
    let reference = input.task_definition.as_deref().unwrap_or_default();
    let not_found = || ApiError::client("TaskDefinition not found.");
    let (revision, definition) = state.definitions.find(reference).ok_or_else(not_found)?;
    let (family, _) = names::definition(reference).ok_or_else(not_found)?;
    if !definition.is_active() {
        return Err(ApiError::client("TaskDefinition is inactive"));
    }
    let supports_fargate = ["requiresCompatibilities", "compatibilities"]
        .iter()
        .any(|field| definitions::strings(&definition.body[*field]).iter().any(|one| one == "FARGATE"));
    if !supports_fargate {
        return Err(ApiError::invalid("Task definition does not support launch_type FARGATE."));
    }
    check_network(&input.network_configuration)?;
    let platform_version = platform_version(input.platform_version.as_deref())?;
    let count = usize::try_from(input.count.unwrap_or(1)).unwrap_or(1);
    if state.closed || state.live_count() + count > state.settings.max_live {
        return Err(ApiError::client(
            "You've reached the limit on the number of tasks you can run concurrently.",
        ));
    }
    let (cpu, memory) = size(definition, &input.overrides)?;
    Ok(Request {
        cluster_arn: state.clusters[&cluster]["clusterArn"].as_str().unwrap_or_default().to_owned(),
        cluster,
        family: family.to_owned(),
        revision,
        cpu,
        memory,
        ephemeral_storage: ephemeral_storage(definition, &input.overrides)?,
        platform_version,
        containers: merged_containers(definition, &input.overrides)?,
        definition: definition.clone(),
        job: job(&input.overrides),
    })
}

/// The job that the override environment names.
pub(crate) fn job(overrides: &Value) -> Option<String> {
    definitions::list(&overrides["containerOverrides"])
        .iter()
        .flat_map(|container| definitions::environment(&container["environment"]))
        .find_map(|(name, value)| (name == JOB_VARIABLE).then_some(value))
}

fn check_network(configuration: &Value) -> Result<(), ApiError> {
    let vpc = &configuration["awsvpcConfiguration"];
    if !vpc.is_object() {
        return Err(ApiError::invalid(
            "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
        ));
    }
    if !(1..=16).contains(&definitions::list(&vpc["subnets"]).len()) {
        return Err(ApiError::invalid("subnets must have between 1 and 16 elements."));
    }
    if definitions::list(&vpc["securityGroups"]).len() > 5 {
        return Err(ApiError::invalid("securityGroups can have at most 5 elements."));
    }
    Ok(())
}

/// The requested platform version, if Fargate still runs it on Linux.
fn platform_version(wanted: Option<&str>) -> Result<&'static str, ApiError> {
    match wanted {
        None | Some("LATEST" | "" | "1.4.0") => Ok("1.4.0"),
        Some("1.3.0") => Ok("1.3.0"),
        Some(_) => {
            Err(ApiError::new("PlatformUnknownException", "The specified platform version does not exist."))
        }
    }
}

/// CPU units and MiB, the override before the definition.
fn size(definition: &Definition, overrides: &Value) -> Result<(u32, u32), ApiError> {
    let pick = |field: &str| definitions::text(&overrides[field]).or_else(|| definition.text(field));
    let (cpu, memory) = (pick("cpu").unwrap_or_default(), pick("memory").unwrap_or_default());
    match (sizes::parse_cpu(&cpu), sizes::parse_memory(&memory)) {
        (Some(cpu), Some(memory)) if sizes::is_offered(cpu, memory) => Ok((cpu, memory)),
        _ => Err(ApiError::invalid(format!(
            "No Fargate configuration exists for given values: {cpu} CPU, {memory} memory."
        ))),
    }
}

fn ephemeral_storage(definition: &Definition, overrides: &Value) -> Result<u32, ApiError> {
    let sizes = [&overrides["ephemeralStorage"], &definition.body["ephemeralStorage"]];
    match sizes.iter().find_map(|size| definitions::number(&size["sizeInGiB"])) {
        None => Ok(20),
        Some(size) => u32::try_from(size)
            .ok()
            .filter(|size| (21..=200).contains(size))
            .ok_or_else(|| ApiError::invalid("ephemeralStorage size must be between 21 and 200 GiB.")),
    }
}

/// The definition's containers with the overrides worked in. An override of an environment variable takes its place,
/// or comes after the definition's.
fn merged_containers(definition: &Definition, overrides: &Value) -> Result<Vec<ContainerSpec>, ApiError> {
    let mut containers = definition.containers();
    for change in definitions::list(&overrides["containerOverrides"]) {
        let name = change["name"].as_str().unwrap_or_default();
        let container = containers.iter_mut().find(|container| container.name == name).ok_or_else(|| {
            ApiError::invalid(format!(
                "Override for container named {name} is not a container in the TaskDefinition."
            ))
        })?;
        if change["command"].is_array() {
            container.command = definitions::strings(&change["command"]);
        }
        container.memory = definitions::number(&change["memory"]).or(container.memory);
        for (name, value) in definitions::environment(&change["environment"]) {
            match container.environment.iter_mut().find(|(known, _)| *known == name) {
                Some(pair) => pair.1 = value,
                None => container.environment.push((name, value)),
            }
        }
    }
    Ok(containers)
}

/// One task record of a checked launch, with its faults.
pub(crate) fn build(
    call: &mut Call<'_>,
    request: &Request,
    input: &RunTask,
    placement: Placement,
    token: Option<String>,
) -> Task {
    let id = (call.new_id)();
    let spot = placement == Placement::CapacityProvider("FARGATE_SPOT".to_owned());
    let script = draw(call.state, request.job.as_deref(), spot);
    let names = &call.state.settings.names;
    let containers = request.containers.iter().map(|spec| {
        let arn = names.container(&request.cluster, &id, &(call.new_id)());
        let made = container(spec, arn, format!("{id}-{}", (call.new_id)()));
        Container { digest: call.state.digests.get(&spec.image).cloned(), ..made }
    });
    let mut tags = input.tags.clone().unwrap_or_default();
    if input.propagate_tags.as_deref() == Some("TASK_DEFINITION") {
        let own = |tag: &&Value| !tags.iter().any(|one| one["key"] == tag["key"]);
        let inherited: Vec<Value> =
            definitions::list(&request.definition.tags).iter().filter(own).cloned().collect();
        tags.extend(inherited);
    }
    Task {
        arn: names.task(&request.cluster, &id),
        containers: containers.collect(),
        id,
        cluster: request.cluster.clone(),
        cluster_arn: request.cluster_arn.clone(),
        definition_arn: request.definition.arn().to_owned(),
        group: input.group.clone().unwrap_or_else(|| format!("family:{}", request.family)),
        family: request.family.clone(),
        revision: request.revision,
        started_by: input.started_by.clone(),
        placement,
        platform_version: request.platform_version.to_owned(),
        overrides: if input.overrides.is_null() {
            json!({"containerOverrides": []})
        } else {
            input.overrides.clone()
        },
        tags,
        cpu: request.cpu,
        memory: request.memory,
        ephemeral_storage: request.ephemeral_storage,
        phase: Phase::Provisioning,
        phase_since: call.now,
        stop: None,
        times: Times { created: call.now, ..Times::default() },
        version: 1,
        job: request.job.clone(),
        script,
        terminated_at: None,
        killed: false,
        cleaned: false,
        failed_to_start: false,
        token,
    }
}

fn container(spec: &ContainerSpec, arn: String, runtime_id: String) -> Container {
    let timeout = spec.stop_timeout.unwrap_or(DEFAULT_STOP_TIMEOUT).min(MAX_STOP_TIMEOUT);
    // The program stands for the image's entry point, and so for an entry point's first word.
    let arguments = spec.entry_point.iter().skip(1).chain(&spec.command).cloned().collect();
    Container {
        name: spec.name.clone(),
        image: spec.image.clone(),
        digest: None,
        arn,
        runtime_id,
        essential: spec.essential,
        memory: spec.memory,
        stop_timeout: timeout * 1000,
        arguments,
        environment: spec.environment.clone(),
        process: Process::Waiting,
        exit_code: None,
        reason: None,
        out_of_memory: false,
        killed: false,
        resident: 0,
    }
}

/// The faults of a task's later life, one of each kind at most.
fn draw(state: &mut EndpointState, job: Option<&str>, spot: bool) -> Script {
    let mut script = Script::default();
    let start = state.take_fault("RunTask", job, |kind| matches!(kind, FaultKind::StartFailure { .. }));
    if let Some(FaultKind::StartFailure { reason }) = start {
        script.start_failure = Some(reason);
    }
    let interruption =
        state.take_fault("RunTask", job, |kind| spot && matches!(kind, FaultKind::SpotInterruption { .. }));
    if let Some(FaultKind::SpotInterruption { after_milliseconds, warning_milliseconds }) = interruption {
        script.interruption = Some((after_milliseconds, warning_milliseconds));
    }
    let stuck = state.take_fault("RunTask", job, |kind| matches!(kind, FaultKind::Stuck { .. }));
    if let Some(FaultKind::Stuck { phase }) = stuck {
        script.stuck = [Phase::Provisioning, Phase::Pending, Phase::Deprovisioning]
            .into_iter()
            .find(|known| known.as_str() == phase);
    }
    let never = state.take_fault("RunTask", job, |kind| matches!(kind, FaultKind::NeverStopped));
    script.never_stopped = never.is_some();
    script
}
