//! ECS: RunTask by client token, lists in pages of 100, and descriptions as long as those of AWS.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};
use transcode_config::contract::{Attempt, Claim, ENV_ATTEMPT, ENV_JOB, JobKey};

use crate::aws::epoch_ms;

/// ECS' most ARNs of one page.
const PAGE: usize = 100;

/// Time until a launched task shows as running (ms).
const STARTS: u64 = 3000;

/// The task definition that everything is pinned to.
pub(crate) const DEFINITION: &str = "arn:aws:ecs:eu-west-1:123456789012:task-definition/task:1";

/// A task that works for ever.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) number: u64,
    pub(crate) arn: String,
    pub(crate) claim: Arc<Claim>,
    /// When it was launched (ms since 1970).
    pub(crate) since_ms: u64,
}

/// The cluster.
#[derive(Debug, Default)]
pub(crate) struct Cluster {
    /// By ARN.
    tasks: BTreeMap<String, Arc<Task>>,
    /// ARN by client token.
    tokens: BTreeMap<String, String>,
}

impl Cluster {
    /// Number of tasks.
    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Launches the task of a claim, or finds the one that it has.
    pub(crate) fn launch(&mut self, claim: Arc<Claim>, since_ms: u64) -> Arc<Task> {
        let number = self.tasks.len() as u64;
        let arn = format!("arn:aws:ecs:eu-west-1:123456789012:task/bench/{:032x}", u128::from(number) << 64);
        let arn = self.tokens.entry(claim.client_token()).or_insert(arn).clone();
        let new = || Arc::new(Task { number, arn: arn.clone(), claim, since_ms });
        Arc::clone(self.tasks.entry(arn.clone()).or_insert_with(new))
    }

    /// Answers a call.
    pub(crate) fn answer(&self, operation: &str, body: &Value) -> Value {
        match operation {
            "ListTasks" => self.list(body),
            "DescribeTasks" => {
                let asked = body["tasks"].as_array().into_iter().flatten().filter_map(Value::as_str);
                let (mut tasks, mut failures) = (Vec::new(), Vec::new());
                for arn in asked {
                    match self.tasks.get(arn) {
                        Some(task) => tasks.push(described(task)),
                        None => failures.push(json!({"arn": arn, "reason": "MISSING"})),
                    }
                }
                json!({"tasks": tasks, "failures": failures})
            }
            "DescribeTaskDefinition" => json!({"taskDefinition": {
                "taskDefinitionArn": DEFINITION, "family": "task", "revision": 1, "status": "ACTIVE",
                "containerDefinitions": [{"name": "task", "image": "registry.test/task:1",
                    "logConfiguration": {"logDriver": "awslogs", "options": {}}}],
                "runtimePlatform": {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"},
            }}),
            _ => json!({}),
        }
    }

    fn list(&self, body: &Value) -> Value {
        let after = body["nextToken"].as_str().unwrap_or_default().to_owned();
        let mut found = self.tasks.range(after..).map(|(arn, _)| arn);
        let page: Vec<&String> = found.by_ref().take(PAGE).collect();
        let mut answer = json!({"taskArns": page});
        // The token is the first ARN of the next page.
        if let (Some(next), Some(fields)) = (found.next(), answer.as_object_mut()) {
            fields.insert("nextToken".into(), next.as_str().into());
        }
        answer
    }
}

/// Job and attempt of a RunTask.
pub(crate) fn identity(body: &Value) -> Option<(JobKey, Attempt)> {
    let pairs = body["overrides"]["containerOverrides"][0]["environment"].as_array()?;
    let value = |name: &str| pairs.iter().find(|pair| pair["name"] == name)?["value"].as_str();
    Some((value(ENV_JOB)?.parse().ok()?, Attempt::new(value(ENV_ATTEMPT)?.parse().ok()?)?))
}

/// A task as DescribeTasks shows one on Fargate.
#[allow(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit into an f64")]
pub(crate) fn described(task: &Task) -> Value {
    let up = epoch_ms() >= task.since_ms + STARTS;
    let status = if up { "RUNNING" } else { "PROVISIONING" };
    let at = |ms: u64| (task.since_ms + ms) as f64 / 1000.0;
    let id = task.arn.rsplit('/').next().unwrap_or_default();
    let detail = |name: &str, value: &str| json!({"name": name, "value": value});
    let mut answer = json!({
        "taskArn": task.arn, "clusterArn": "arn:aws:ecs:eu-west-1:123456789012:cluster/bench",
        "taskDefinitionArn": DEFINITION, "lastStatus": status, "desiredStatus": "RUNNING",
        "version": if up { 4 } else { 1 }, "launchType": "FARGATE", "capacityProviderName": "FARGATE",
        "platformVersion": "1.4.0", "platformFamily": "Linux", "group": "family:task",
        "startedBy": "transcode-bench", "cpu": "2048", "memory": "4096", "connectivity": "CONNECTED",
        "availabilityZone": "eu-west-1a", "createdAt": at(0), "enableExecuteCommand": false,
        "healthStatus": "UNKNOWN", "ephemeralStorage": {"sizeInGiB": 20},
        "attributes": [{"name": "ecs.cpu-architecture", "value": "arm64"}],
        "attachments": [{"id": id, "type": "ElasticNetworkInterface", "status": "ATTACHED", "details": [
            detail("subnetId", "subnet-0123456789abcdef0"), detail("networkInterfaceId", "eni-0123456789abcdef0"),
            detail("macAddress", "0a:00:00:00:00:01"), detail("privateDnsName", "ip-10-0-0-1.ec2.internal"),
            detail("privateIPv4Address", "10.0.0.1")]}],
        "containers": [{"containerArn": format!("{}/c", task.arn), "taskArn": task.arn, "name": "task",
            "image": "registry.test/task:1", "imageDigest": format!("sha256:{id}{id}"), "runtimeId": id,
            "lastStatus": status, "healthStatus": "UNKNOWN", "cpu": "0", "networkBindings": [],
            "networkInterfaces": [{"attachmentId": id, "privateIpv4Address": "10.0.0.1"}]}],
        "overrides": {"cpu": "2048", "memory": "4096", "inferenceAcceleratorOverrides": [],
            "containerOverrides": [{"name": "task", "environment": [
                {"name": ENV_JOB, "value": task.claim.job}, {"name": ENV_ATTEMPT, "value": task.claim.attempt.to_string()}]}]},
        "tags": [],
    });
    if let (true, Some(fields)) = (up, answer.as_object_mut()) {
        fields.insert("startedAt".into(), json!(at(STARTS)));
        fields.insert("pullStartedAt".into(), json!(at(1000)));
        fields.insert("pullStoppedAt".into(), json!(at(2000)));
    }
    answer
}
