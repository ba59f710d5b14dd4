//! `deploy/template.yaml`, deployed through CloudFormation as on AWS.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, bail};
use aws_sdk_cloudformation::types::{Capability, Parameter, StackStatus};

use crate::{clients::Clients, paths, wait};

/// Image name in the task definition; the local Fargate endpoint runs the task's binary for it.
pub const TASK_IMAGE: &str = "transcode-task:local";

/// What the deployed stack made: the template's outputs.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// Name of the environment and of the stack.
    pub environment: String,
    /// Bucket that uploads go to.
    pub source_bucket: String,
    /// Bucket that results are published in.
    pub production_bucket: String,
    /// Bucket of the job protocol.
    pub state_bucket: String,
    /// Key prefix of everything that is published.
    pub output_root: String,
    /// Address of the jobs queue.
    pub jobs_queue: String,
    /// Address of the dead-letter queue.
    pub dead_letter_queue: String,
    /// Address of the events queue.
    pub events_queue: String,
    /// Name of the cluster.
    pub cluster: String,
    /// Family of the task's definition.
    pub task_family: String,
    /// The revision of the task's definition that was made.
    pub task_definition_arn: String,
    /// Subnets that tasks run in.
    pub subnets: Vec<String>,
    /// Security group of the tasks.
    pub security_group: String,
    /// CloudWatch namespace.
    pub metrics_namespace: String,
}

impl Deployment {
    /// Deploys the template as environment `environment` and waits for `CREATE_COMPLETE`.
    pub async fn create(clients: &Clients, environment: &str) -> Result<Self> {
        let path = paths::checkout().join("deploy/template.yaml");
        let template = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let parameter =
            |name: &str, value: &str| Parameter::builder().parameter_key(name).parameter_value(value).build();
        clients
            .cloudformation
            .create_stack()
            .stack_name(environment)
            .template_body(template)
            .parameters(parameter("Environment", environment))
            // The VPC and the subnet that the emulator has from the start.
            .parameters(parameter("VpcId", "vpc-00000001"))
            .parameters(parameter("SubnetIds", "subnet-00000001"))
            .parameters(parameter("TaskImage", TASK_IMAGE))
            .parameters(parameter("ControllerImage", "transcode-controller:local"))
            // The controller runs as a process of the harness.
            .parameters(parameter("ControllerCount", "0"))
            .capabilities(Capability::CapabilityIam)
            .send()
            .await
            .context("CreateStack")?;
        let outputs = wait::until("the stack is created", Duration::from_mins(1), async || {
            outputs_if_complete(clients, environment).await
        })
        .await?;
        Self::from_outputs(environment, &outputs)
    }

    fn from_outputs(environment: &str, outputs: &BTreeMap<String, String>) -> Result<Self> {
        let output =
            |key: &str| outputs.get(key).cloned().with_context(|| format!("the stack has no output {key}"));
        Ok(Self {
            environment: environment.to_owned(),
            source_bucket: output("SourceBucket")?,
            production_bucket: output("ProductionBucket")?,
            state_bucket: output("StateBucket")?,
            output_root: output("OutputRoot")?,
            jobs_queue: output("JobsQueueUrl")?,
            dead_letter_queue: output("DeadLetterQueueUrl")?,
            events_queue: output("EventsQueueUrl")?,
            cluster: output("ClusterName")?,
            task_family: output("TaskDefinitionFamily")?,
            task_definition_arn: output("TaskDefinitionArn")?,
            subnets: output("SubnetIds")?.split(',').map(str::to_owned).collect(),
            security_group: output("SecurityGroupId")?,
            metrics_namespace: output("MetricsNamespace")?,
        })
    }
}

/// The stack's outputs once it is complete; an error that names the resources at fault when it failed.
async fn outputs_if_complete(clients: &Clients, name: &str) -> Result<Option<BTreeMap<String, String>>> {
    let answer =
        clients.cloudformation.describe_stacks().stack_name(name).send().await.context("DescribeStacks")?;
    let stack = answer.stacks().first().context("the stack is not there")?;
    match stack.stack_status() {
        Some(StackStatus::CreateComplete) => {
            let pairs = stack.outputs().iter().filter_map(|output| {
                Some((output.output_key()?.to_owned(), output.output_value()?.to_owned()))
            });
            Ok(Some(pairs.collect()))
        }
        Some(StackStatus::CreateInProgress) => Ok(None),
        other => bail!("the stack is {other:?}:\n{}", failures(clients, name).await?),
    }
}

async fn failures(clients: &Clients, name: &str) -> Result<String> {
    let answer = clients.cloudformation.describe_stack_events().stack_name(name).send().await?;
    let lines = answer.stack_events().iter().filter_map(|event| {
        let failed = event.resource_status()?.as_str().ends_with("FAILED");
        let reason = event.resource_status_reason().unwrap_or("no reason given");
        failed.then(|| format!("{}: {reason}", event.logical_resource_id().unwrap_or("?")))
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}
