//! RunTask, built from the claim alone.
//!
//! **Promise (S7):** the same claim gives the same bytes. ECS answers a different request under the same client token
//! with `ConflictException`, so nothing here may depend on time, receive count, receipt handle or process.

use aws_sdk_ecs::{
    error::BuildError,
    operation::run_task::builders::RunTaskInputBuilder,
    types::{
        AssignPublicIp, AwsVpcConfiguration, CapacityProviderStrategyItem, ContainerOverride,
        EphemeralStorage, KeyValuePair, NetworkConfiguration, PropagateTags, Tag, TaskOverride,
    },
};
use serde_json::{Value, json};
use transcode_config::{
    contract::{Capacity, Claim, ENV_ATTEMPT, ENV_JOB, TaskShape},
    settings::{ClusterSettings, Settings},
};

/// Longest overrides as JSON, in characters: ECS' limit.
pub const MAX_OVERRIDES: usize = 8192;

/// The fields that all launches of this environment share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchTemplate {
    environment: String,
    cluster: ClusterSettings,
}

/// Why a claim gives no request.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// ECS would refuse overrides of this length.
    #[error("the overrides have {0} characters as JSON; ECS takes {MAX_OVERRIDES}")]
    OverridesTooLong(usize),
    /// A field that ECS requires is missing.
    #[error(transparent)]
    Incomplete(#[from] BuildError),
}

impl LaunchTemplate {
    /// The template of these settings.
    pub fn new(settings: &Settings) -> Self {
        Self { environment: settings.environment.clone(), cluster: settings.cluster.clone() }
    }

    /// `startedBy` of every task of this environment. The controller finds its tasks by it: StopTask deletes tags.
    pub fn started_by(&self) -> String {
        format!("transcode-{}", self.environment)
    }

    /// The request for a claim.
    pub fn request(&self, claim: &Claim) -> Result<RunTaskInputBuilder, RequestError> {
        let overrides = self.overrides(claim);
        let length = json_length(&overrides);
        if length > MAX_OVERRIDES {
            return Err(RequestError::OverridesTooLong(length));
        }
        let request = RunTaskInputBuilder::default()
            .cluster(&self.cluster.name)
            .task_definition(&claim.task_definition)
            .client_token(claim.client_token())
            .started_by(self.started_by())
            .count(1)
            // Instead of a launch type: ECS refuses Spot together with one.
            .capacity_provider_strategy(provider(claim.variant.capacity)?)
            .platform_version(&self.cluster.platform_version)
            .network_configuration(self.network()?)
            .overrides(overrides)
            // No shell in a container that decodes untrusted files.
            .enable_execute_command(false)
            .propagate_tags(PropagateTags::TaskDefinition);
        Ok(self.tags(claim).into_iter().fold(request, RunTaskInputBuilder::tags))
    }

    /// Length of a claim's overrides as ECS counts it, in characters.
    pub fn overrides_length(&self, claim: &Claim) -> usize {
        json_length(&self.overrides(claim))
    }

    fn network(&self) -> Result<NetworkConfiguration, BuildError> {
        let public =
            if self.cluster.assign_public_ip { AssignPublicIp::Enabled } else { AssignPublicIp::Disabled };
        let vpc = AwsVpcConfiguration::builder()
            .set_subnets(Some(self.cluster.subnets.clone()))
            .set_security_groups(Some(self.cluster.security_groups.clone()))
            .assign_public_ip(public)
            .build()?;
        Ok(NetworkConfiguration::builder().awsvpc_configuration(vpc).build())
    }

    /// The task gets its identity and nothing else (S16); all other inputs are in `spec.json`.
    fn overrides(&self, claim: &Claim) -> TaskOverride {
        let TaskShape { cpu, memory_mib, ephemeral_gib, .. } = &claim.variant;
        let pair = |name: &str, value: String| KeyValuePair::builder().name(name).value(value).build();
        let container = ContainerOverride::builder()
            .name(&self.cluster.container)
            .environment(pair(ENV_JOB, claim.job.to_string()))
            .environment(pair(ENV_ATTEMPT, claim.attempt.to_string()))
            .build();
        TaskOverride::builder()
            .container_overrides(container)
            .cpu(cpu.to_string())
            .memory(memory_mib.to_string())
            .set_ephemeral_storage(ephemeral_gib.map(storage))
            .build()
    }

    /// Tags are for cost reports and people. Identity does not depend on them.
    fn tags(&self, claim: &Claim) -> [Tag; 3] {
        let tag = |key: &str, value: String| Tag::builder().key(key).value(value).build();
        [
            tag("transcode:environment", self.environment.clone()),
            tag("transcode:job", claim.job.to_string()),
            tag("transcode:attempt", claim.attempt.to_string()),
        ]
    }
}

fn provider(capacity: Capacity) -> Result<CapacityProviderStrategyItem, BuildError> {
    let name = match capacity {
        Capacity::Fargate => "FARGATE",
        Capacity::FargateSpot => "FARGATE_SPOT",
    };
    CapacityProviderStrategyItem::builder().capacity_provider(name).weight(1).build()
}

fn storage(gib: u32) -> EphemeralStorage {
    EphemeralStorage::builder().size_in_gib(i32::try_from(gib).unwrap_or(i32::MAX)).build()
}

/// Length of the overrides as ECS counts them: characters of the JSON.
fn json_length(overrides: &TaskOverride) -> usize {
    let containers: Vec<Value> = overrides
        .container_overrides()
        .iter()
        .map(|container| {
            let environment: Vec<Value> = container
                .environment()
                .iter()
                .map(|pair| json!({"name": pair.name(), "value": pair.value()}))
                .collect();
            json!({"name": container.name(), "environment": environment})
        })
        .collect();
    let storage = overrides.ephemeral_storage().map(EphemeralStorage::size_in_gib);
    json!({
        "containerOverrides": containers,
        "cpu": overrides.cpu(),
        "memory": overrides.memory(),
        "ephemeralStorage": {"sizeInGiB": storage},
    })
    .to_string()
    .chars()
    .count()
}
