//! The template, deployed on an emulator, and what its services say of it.

use std::{collections::BTreeMap, sync::Arc};

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;
use transcode_tests::{
    clients::{ACCOUNT, REGION},
    deployment::Deployment,
    emulator::Emulator,
    shell,
};

/// One deployment on an emulator, which others may be on too.
pub(crate) struct World {
    pub(crate) emulator: Arc<Emulator>,
    pub(crate) made: Deployment,
    pub(crate) ecs: aws_sdk_ecs::Client,
    pub(crate) folder: Arc<tempfile::TempDir>,
}

/// A resource as the stack has it.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) id: String,
}

impl World {
    /// The template with these parameters as environment `name`, on an emulator of its own.
    pub(crate) async fn of(name: &str, parameters: &[(&str, &str)]) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let emulator = Arc::new(Emulator::start(folder.path(), folder.path()).await.unwrap());
        Self::on(emulator, folder, name, parameters).await
    }

    /// The same on the emulator of this one.
    pub(crate) async fn beside(&self, name: &str, parameters: &[(&str, &str)]) -> Self {
        Self::on(Arc::clone(&self.emulator), Arc::clone(&self.folder), name, parameters).await
    }

    async fn on(
        emulator: Arc<Emulator>,
        folder: Arc<tempfile::TempDir>,
        name: &str,
        parameters: &[(&str, &str)],
    ) -> Self {
        let template = Deployment::shipped().unwrap();
        let made = Deployment::create_from(&emulator.clients, name, template, parameters).await.unwrap();
        let ecs = transcode_tests::clients::ecs(&emulator.endpoint);
        Self { emulator, made, ecs, folder }
    }

    /// Runs a command line as a person does who has the AWS CLI; returns what it prints.
    pub(crate) fn shell(&self, command: &str) -> String {
        self.try_shell(command).unwrap()
    }

    /// The same; what was printed, if it fails.
    pub(crate) fn try_shell(&self, command: &str) -> Result<String, String> {
        shell::run(&self.emulator.endpoint, self.folder.path(), &[], command)
            .map_err(|error| format!("{error:#}"))
    }

    /// The variables of the controller's task definition.
    pub(crate) async fn controller_variables(&self) -> BTreeMap<String, String> {
        let family = format!("{}-transcode-controller", self.made.environment);
        let answer = self.ecs.describe_task_definition().task_definition(family).send().await.unwrap();
        let definition = answer.task_definition.unwrap();
        let pairs = definition.container_definitions()[0].environment().iter();
        pairs.filter_map(|pair| Some((pair.name()?.to_owned(), pair.value()?.to_owned()))).collect()
    }

    /// The ARN of a queue of this environment.
    pub(crate) fn queue_arn(&self, name: &str) -> String {
        format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{}-transcode-{name}", self.made.environment)
    }

    /// A call in AWS' JSON protocol.
    pub(crate) async fn json(&self, target: &str, body: &Value) -> Value {
        let call = reqwest::Client::new().post(&self.emulator.endpoint);
        let call = call.header("content-type", "application/x-amz-json-1.1").header("x-amz-target", target);
        let answer = call.body(body.to_string()).send().await.unwrap().error_for_status().unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    /// A call in AWS' query protocol, with its XML.
    pub(crate) async fn form(&self, service: &str, body: &str) -> String {
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
        );
        let call = reqwest::Client::new().post(&self.emulator.endpoint).header("authorization", scope);
        let call = call.header("content-type", "application/x-www-form-urlencoded").body(body.to_owned());
        call.send().await.unwrap().error_for_status().unwrap().text().await.unwrap()
    }

    pub(crate) async fn resources(&self) -> Vec<Resource> {
        let call = self
            .emulator
            .clients
            .cloudformation
            .describe_stack_resources()
            .stack_name(&self.made.environment);
        let all = call.send().await.unwrap().stack_resources.unwrap();
        let one = |resource: &aws_sdk_cloudformation::types::StackResource| Resource {
            name: resource.logical_resource_id().unwrap().to_owned(),
            kind: resource.resource_type().unwrap().to_owned(),
            id: resource.physical_resource_id().unwrap_or_default().to_owned(),
        };
        all.iter().map(one).collect()
    }

    pub(crate) async fn queue(&self, url: &str) -> BTreeMap<String, String> {
        let call = self.emulator.clients.sqs.get_queue_attributes().queue_url(url);
        let all = call.attribute_names(QueueAttributeName::All).send().await.unwrap().attributes.unwrap();
        all.into_iter().map(|(name, value)| (name.as_str().to_owned(), value)).collect()
    }

    /// A role with its policy, in which colons and slashes come escaped.
    pub(crate) async fn role(&self, name: &str) -> String {
        let role = self.form("iam", &format!("Action=GetRole&Version=2010-05-08&RoleName={name}")).await;
        role.replace("%3A", ":").replace("%2F", "/")
    }
}

/// The statements of a policy.
pub(crate) fn statements(policy: &Value) -> &[Value] {
    policy["Statement"].as_array().unwrap()
}
