//! `deploy/template.yaml`, deployed through CloudFormation as on AWS.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, bail};
use aws_sdk_cloudformation::{
    operation::create_stack::builders::CreateStackFluentBuilder,
    types::{Capability, Parameter, StackStatus},
};
use aws_sdk_s3::presigning::PresigningConfig;

use crate::{clients::Clients, paths, wait};

/// Tag of the images. The local Fargate endpoint runs the task's binary for the one in the task definition.
pub const IMAGE_TAG: &str = "local";

/// The outputs of the deployed stack.
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
    /// Key prefix of all published results.
    pub output_root: String,
    /// URL of the jobs queue.
    pub jobs_queue: String,
    /// URL of the dead-letter queue.
    pub dead_letter_queue: String,
    /// URL of the events queue.
    pub events_queue: String,
    /// Name of the cluster.
    pub cluster: String,
    /// Family of the task's definition.
    pub task_family: String,
    /// The deployed revision of the task's definition.
    pub task_definition_arn: String,
    /// Repository of the task's image, without its registry.
    pub task_repository: String,
    /// ARN of the controller's role.
    pub controller_role: String,
    /// ARN of the tasks' role.
    pub task_role: String,
    /// Subnets that tasks run in.
    pub subnets: Vec<String>,
    /// Security group of the tasks.
    pub security_group: String,
    /// CloudWatch namespace.
    pub metrics_namespace: String,
    /// `basic` or `full`.
    pub metrics_detail: String,
    /// The roles.
    pub roles: Roles,
    /// All outputs by name, also those of options.
    pub outputs: BTreeMap<String, String>,
}

/// ARNs of the deployment's roles.
#[derive(Debug, Clone)]
pub struct Roles {
    /// The controller's.
    pub controller: String,
    /// The task's.
    pub task: String,
    /// ECS' role to start containers.
    pub execution: String,
    /// For the program that hands out upload URLs.
    pub uploader: String,
    /// For operators at the command line.
    pub operator: String,
}

impl Roles {
    /// All of them.
    pub fn all(&self) -> [&str; 5] {
        [&self.controller, &self.task, &self.execution, &self.uploader, &self.operator]
    }
}

impl Deployment {
    /// Deploys the template with its defaults as environment `environment` and waits for `CREATE_COMPLETE`.
    pub async fn create(clients: &Clients, environment: &str) -> Result<Self> {
        Self::create_from(clients, environment, Self::shipped()?, &[]).await
    }

    /// The text of the template that ships.
    pub fn shipped() -> Result<String> {
        let path = paths::checkout().join("deploy/template.yaml");
        std::fs::read_to_string(&path).with_context(|| path.display().to_string())
    }

    /// Deploys a template's text in the same way, with further or other parameters.
    pub async fn create_from(
        clients: &Clients,
        environment: &str,
        template: String,
        parameters: &[(&str, &str)],
    ) -> Result<Self> {
        let parameter =
            |name: &str, value: &str| Parameter::builder().parameter_key(name).parameter_value(value).build();
        let mut all = BTreeMap::from([
            ("Environment", environment),
            // The VPC and the subnet that the emulator has at its start.
            ("VpcId", "vpc-00000001"),
            ("SubnetIds", "subnet-00000001"),
            ("ImageTag", IMAGE_TAG),
            // The architecture of the harness' images.
            ("CpuArchitecture", "X86_64"),
            // The harness runs the controller as a process.
            ("ControllerCount", "0"),
        ]);
        all.extend(parameters.iter().copied());
        let given = all.into_iter().map(|(name, value)| parameter(name, value));
        let call = clients
            .cloudformation
            .create_stack()
            .stack_name(environment)
            .template_url(upload(clients, environment, template).await?)
            .capabilities(Capability::CapabilityIam);
        given.fold(call, CreateStackFluentBuilder::parameters).send().await.context("CreateStack")?;
        let outputs = wait::until("the stack is created", Duration::from_mins(1), async || {
            outputs_if_complete(clients, environment).await
        })
        .await?;
        Self::from_outputs(environment, outputs)
    }

    /// A stack that somebody else deployed.
    pub async fn existing(clients: &Clients, environment: &str) -> Result<Self> {
        let outputs = outputs_if_complete(clients, environment).await?;
        Self::from_outputs(environment, outputs.context("the stack is not complete")?)
    }

    fn from_outputs(environment: &str, outputs: BTreeMap<String, String>) -> Result<Self> {
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
            task_repository: output("TaskRepositoryUri")?
                .split_once('/')
                .context("no registry")?
                .1
                .to_owned(),
            controller_role: output("ControllerRoleArn")?,
            task_role: output("TaskRoleArn")?,
            subnets: output("SubnetIds")?.split(',').map(str::to_owned).collect(),
            security_group: output("SecurityGroupId")?,
            metrics_namespace: output("MetricsNamespace")?,
            metrics_detail: output("MetricsDetail")?,
            roles: Roles {
                controller: output("ControllerRoleArn")?,
                task: output("TaskRoleArn")?,
                execution: output("ExecutionRoleArn")?,
                uploader: output("UploaderRoleArn")?,
                operator: output("OperatorRoleArn")?,
            },
            outputs,
        })
    }
}

/// Uploads the template for CloudFormation and returns its URL: the body of a call may have 51,200 bytes.
async fn upload(clients: &Clients, environment: &str, template: String) -> Result<String> {
    const BUCKET: &str = "templates";
    clients.s3.create_bucket().bucket(BUCKET).send().await.context("CreateBucket")?;
    let key = format!("{environment}.yaml");
    let put = clients.s3.put_object().bucket(BUCKET).key(&key).body(template.into_bytes().into());
    put.send().await.context("PUT of the template")?;
    let soon = PresigningConfig::expires_in(Duration::from_mins(5))?;
    let address = clients.s3.get_object().bucket(BUCKET).key(&key).presigned(soon).await?;
    Ok(address.uri().to_owned())
}

/// The stack's outputs once it is complete; `None` while it is created; an error with the failed resources if it
/// failed.
async fn outputs_if_complete(clients: &Clients, name: &str) -> Result<Option<BTreeMap<String, String>>> {
    let answer =
        clients.cloudformation.describe_stacks().stack_name(name).send().await.context("DescribeStacks")?;
    let stack = answer.stacks().first().context("the stack is not there")?;
    match stack.stack_status() {
        Some(StackStatus::CreateComplete | StackStatus::UpdateComplete) => {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::Emulator;
    use aws_sdk_sqs::types::QueueAttributeName;
    use serde_json::{Value, json};

    async fn receive(clients: &Clients, queue: &str) -> Vec<Value> {
        wait::until("a message arrives", Duration::from_secs(10), async || {
            let answer = clients.sqs.receive_message().queue_url(queue).wait_time_seconds(1).send().await?;
            let bodies: Vec<_> = answer.messages().iter().filter_map(|message| message.body()).collect();
            let parsed: Vec<Value> = bodies.iter().map(|body| serde_json::from_str(body).unwrap()).collect();
            Ok((!parsed.is_empty()).then_some(parsed))
        })
        .await
        .unwrap()
    }

    async fn attributes(clients: &Clients, queue: &str) -> BTreeMap<String, String> {
        let get = clients.sqs.get_queue_attributes().queue_url(queue);
        let answer = get.attribute_names(QueueAttributeName::All).send().await.unwrap();
        let all = answer.attributes.unwrap_or_default();
        all.into_iter().map(|(name, value)| (name.as_str().to_owned(), value)).collect()
    }

    async fn put(clients: &Clients, bucket: &str, key: &str) {
        clients.s3.put_object().bucket(bucket).key(key).body(b"x".to_vec().into()).send().await.unwrap();
    }

    #[tokio::test]
    async fn the_template_deploys_and_what_it_wires_is_wired() {
        let folder = tempfile::tempdir().unwrap();
        let emulator = Emulator::start(folder.path(), folder.path()).await.unwrap();
        let clients = &emulator.clients;
        let made = Deployment::create(clients, "wired").await.unwrap();

        let jobs = attributes(clients, &made.jobs_queue).await;
        let dead = attributes(clients, &made.dead_letter_queue).await;
        assert_eq!(jobs["VisibilityTimeout"], "600");
        let redrive: Value = serde_json::from_str(&jobs["RedrivePolicy"]).unwrap();
        assert_eq!(redrive, json!({"deadLetterTargetArn": dead["QueueArn"], "maxReceiveCount": 300}));
        let retention =
            |queue: &BTreeMap<String, String>| queue["MessageRetentionPeriod"].parse::<u64>().unwrap();
        assert!(retention(&dead) > retention(&jobs));

        // S3 sends a test event when a notification is set: both queue policies allow it.
        for queue in [&made.jobs_queue, &made.events_queue] {
            assert_eq!(receive(clients, queue).await[0]["Event"], "s3:TestEvent");
        }
        put(clients, &made.source_bucket, "holiday in Köln+50%.mp4").await;
        let upload = &receive(clients, &made.jobs_queue).await[0]["Records"][0]["s3"];
        assert_eq!(upload["object"]["key"], "holiday+in+K%C3%B6ln%2B50%25.mp4");
        assert!(upload["object"]["versionId"].is_string(), "sources are versioned");

        for key in ["jobs/j/spec.json", "jobs/j/terminal.json", "control/wired/control.json"] {
            put(clients, &made.state_bucket, key).await;
        }
        let mut woken = Vec::new();
        while woken.len() < 2 {
            // Among test events: the bucket has two notifications.
            let events = receive(clients, &made.events_queue).await;
            let keys = events.iter().filter_map(|event| event["Records"][0]["s3"]["object"]["key"].as_str());
            woken.extend(keys.map(str::to_owned));
        }
        woken.sort();
        let wakes = ["control/wired/control.json", "jobs/j/terminal.json"];
        assert_eq!(woken, wakes, "only these wake the controller");
    }

    #[tokio::test]
    async fn what_the_task_definition_says_reaches_the_endpoint_that_runs_it() {
        let folder = tempfile::tempdir().unwrap();
        let emulator = Emulator::start(folder.path(), folder.path()).await.unwrap();
        let made = Deployment::create(&emulator.clients, "defined").await.unwrap();
        let ecs = crate::clients::ecs(&emulator.endpoint);
        let describe = ecs.describe_task_definition().task_definition(&made.task_family);
        let definition = describe.send().await.unwrap().task_definition.unwrap();
        assert_eq!(definition.task_definition_arn(), Some(made.task_definition_arn.as_str()));
        let [container] = definition.container_definitions() else { panic!("one container: {definition:?}") };
        assert_eq!(container.name(), Some("task"));
        let image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/defined-transcode-task:local";
        assert_eq!(container.image(), Some(image));
        assert_eq!(container.stop_timeout(), Some(120));
        assert_eq!(container.readonly_root_filesystem(), Some(true));
        assert_eq!(container.user(), Some("65532:65532"));
        let environment: BTreeMap<_, _> =
            container.environment().iter().filter_map(|pair| Some((pair.name()?, pair.value()?))).collect();
        assert_eq!(environment["TRANSCODE_STATE_BUCKET"], made.state_bucket);
        assert_eq!(environment["TRANSCODE_ENVIRONMENT"], "defined");
        assert_eq!(made.metrics_detail, "basic");
        assert!(!environment.contains_key("TRANSCODE_METRICS_NAMESPACE"), "tasks send nothing to CloudWatch");
    }
}
