//! Every resource that the template makes without options.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ecs::types::TaskDefinition;
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, LifecycleExpiration, LifecycleRule, NoncurrentVersionExpiration,
    QueueConfiguration,
};
use serde_json::{Value, json};
use transcode_tests::paths;

use super::world::{Resource, World, statements};

/// Days in seconds.
const DAY: u64 = 86_400;

/// Logical ids and types in the template's text, without those that an option makes. What an option leaves out has a
/// condition `Make…`.
fn in_the_text() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(paths::checkout().join("deploy/template.yaml")).unwrap();
    let (mut found, mut name, mut inside) = (BTreeMap::new(), String::new(), false);
    for line in text.lines() {
        if !line.starts_with([' ', '#']) && !line.is_empty() {
            inside = line == "Resources:";
        } else if inside && line.starts_with("  ") && !line.starts_with("   ") && line.ends_with(':') {
            line.trim().trim_end_matches(':').clone_into(&mut name);
        } else if let Some(kind) = line.strip_prefix("    Type: ").filter(|_| inside) {
            found.insert(name.clone(), kind.to_owned());
        } else if inside && line.starts_with("    Condition: ") && !line.contains(": Make") {
            found.remove(&name);
        }
    }
    found
}

impl World {
    /// Checks one resource.
    async fn look(&self, resource: &Resource) {
        match resource.kind.as_str() {
            "AWS::SQS::Queue" => self.look_at_queue(resource).await,
            "AWS::SQS::QueuePolicy" => self.look_at_queue_policy(&resource.name).await,
            "AWS::S3::Bucket" => self.look_at_bucket(resource).await,
            "AWS::S3::BucketPolicy" => self.look_at_bucket_policy(&resource.name).await,
            "AWS::ECS::Cluster" => self.look_at_cluster(resource).await,
            "AWS::ECS::TaskDefinition" => self.look_at_definition(resource).await,
            "AWS::ECS::Service" => self.look_at_service(resource).await,
            "AWS::ECR::Repository" => self.look_at_repository(resource).await,
            "AWS::Events::Rule" => self.look_at_rule(resource).await,
            "AWS::Logs::LogGroup" => self.look_at_log_group(resource).await,
            "AWS::EC2::SecurityGroup" => self.look_at_security_group(resource).await,
            "AWS::IAM::Role" => self.look_at_role(resource).await,
            // What it permits is tried in tests/tests/iam.
            "AWS::IAM::ManagedPolicy" => assert!(resource.id.contains(":policy/"), "{resource:?}"),
            // Made from the registry of metrics, and compared with it where that is tested.
            "AWS::CloudWatch::Alarm" | "AWS::CloudWatch::Dashboard" | "AWS::CloudWatch::CompositeAlarm" => {}
            other => panic!("{} ({other}) is looked at nowhere: add it here", resource.name),
        }
    }

    async fn look_at_queue(&self, Resource { name, id, .. }: &Resource) {
        let queue = self.queue(id).await;
        assert_eq!(queue["SqsManagedSseEnabled"], "true", "{name}");
        let (retention, redrive) = match name.as_str() {
            "JobsQueue" => (4 * DAY, Some(("every-transcode-dead-letters", 300))),
            "EventsQueue" => (3600, Some(("every-transcode-events-dead-letters", 20))),
            "DeadLetterQueue" | "EventsDeadLetterQueue" => (14 * DAY, None),
            other => panic!("{other}: a queue that is looked at nowhere"),
        };
        assert_eq!(queue["MessageRetentionPeriod"], retention.to_string(), "{name}");
        let policy: Option<Value> =
            queue.get("RedrivePolicy").map(|text| serde_json::from_str(text).unwrap());
        let expected = redrive.map(|(target, count)| {
            json!({"deadLetterTargetArn": format!("arn:aws:sqs:us-east-1:123456789012:{target}"), "maxReceiveCount": count})
        });
        assert_eq!(policy, expected, "{name}");
    }

    async fn look_at_queue_policy(&self, name: &str) {
        let queue = name.strip_suffix("Policy").unwrap();
        let resources = self.resources().await;
        let url = &resources.iter().find(|one| one.name == queue).unwrap().id;
        let policy: Value = serde_json::from_str(&self.queue(url).await["Policy"]).unwrap();
        tls_only(&policy, name);
        let senders: BTreeSet<&str> = statements(&policy)
            .iter()
            .filter(|one| one["Effect"] == "Allow")
            .map(|one| one["Principal"]["Service"].as_str().unwrap())
            .collect();
        let expected: &[&str] = match name {
            "JobsQueuePolicy" => &["s3.amazonaws.com"],
            "EventsQueuePolicy" => &["events.amazonaws.com", "s3.amazonaws.com"],
            "EventsDeadLetterQueuePolicy" => &["events.amazonaws.com"],
            _ => &[],
        };
        assert_eq!(senders, expected.iter().copied().collect(), "{name}");
        for allow in statements(&policy).iter().filter(|one| one["Effect"] == "Allow") {
            assert!(
                allow["Condition"]["ArnEquals"]["aws:SourceArn"].is_string(),
                "from one source only: {allow}"
            );
        }
    }

    async fn look_at_bucket(&self, Resource { name, id, .. }: &Resource) {
        let s3 = &self.emulator.clients.s3;
        let encryption = s3.get_bucket_encryption().bucket(id).send().await.unwrap();
        let rules = encryption.server_side_encryption_configuration.unwrap().rules;
        assert_eq!(
            rules[0].apply_server_side_encryption_by_default().unwrap().sse_algorithm().as_str(),
            "AES256"
        );
        let block = s3.get_public_access_block().bucket(id).send().await.unwrap();
        let block = block.public_access_block_configuration.unwrap();
        let blocked = [
            block.block_public_acls,
            block.block_public_policy,
            block.ignore_public_acls,
            block.restrict_public_buckets,
        ];
        assert_eq!(blocked, [Some(true); 4], "{name}");
        let ownership = s3.get_bucket_ownership_controls().bucket(id).send().await.unwrap();
        let ownership = ownership.ownership_controls.unwrap();
        assert_eq!(ownership.rules()[0].object_ownership().as_str(), "BucketOwnerEnforced", "{name}");
        let versioning = s3.get_bucket_versioning().bucket(id).send().await.unwrap();
        let versioned = versioning.status().is_some_and(|status| status.as_str() == "Enabled");
        assert_eq!(versioned, name == "SourceBucket", "{name}");

        let lifecycle = s3.get_bucket_lifecycle_configuration().bucket(id).send().await.unwrap();
        let (rule, more) = lifecycle.rules().split_first().unwrap_or_else(|| panic!("{name}: {lifecycle:?}"));
        // The index lives as long as the records that it leads to; a beacon that nobody removed says nothing.
        let days = |one: &LifecycleRule| one.expiration().and_then(LifecycleExpiration::days);
        let also: Vec<_> = more.iter().map(|one| (one.id().unwrap_or_default(), days(one))).collect();
        let wanted: &[_] =
            if name == "StateBucket" { &[("old-index", days(rule)), ("old-beacons", Some(1))] } else { &[] };
        assert_eq!(also, wanted, "{name}");
        let aborted = rule
            .abort_incomplete_multipart_upload()
            .and_then(AbortIncompleteMultipartUpload::days_after_initiation);
        let expired = rule.expiration().and_then(LifecycleExpiration::days);
        let replaced =
            rule.noncurrent_version_expiration().and_then(NoncurrentVersionExpiration::noncurrent_days);
        let expected = match name.as_str() {
            "SourceBucket" => (Some(7), None, Some(30)),
            "ProductionBucket" => (Some(3), None, None),
            "StateBucket" => (None, Some(90), None),
            other => panic!("{other}: a bucket that is looked at nowhere"),
        };
        assert_eq!((aborted, expired, replaced), expected, "{name}");

        let origins = s3.get_bucket_cors().bucket(id).send().await;
        assert!(origins.is_err(), "{name}: no web page may do anything: {origins:?}");
        let wiring = s3.get_bucket_notification_configuration().bucket(id).send().await.unwrap();
        let queues: Vec<&str> =
            wiring.queue_configurations().iter().map(QueueConfiguration::queue_arn).collect();
        let expected: &[&str] = match name.as_str() {
            "SourceBucket" => &["arn:aws:sqs:us-east-1:123456789012:every-transcode-jobs"],
            // Terminal records, and the control document.
            "StateBucket" => &["arn:aws:sqs:us-east-1:123456789012:every-transcode-events"; 2],
            _ => &[],
        };
        assert_eq!(queues, expected, "{name}");
    }

    async fn look_at_bucket_policy(&self, name: &str) {
        let bucket = match name {
            "SourceBucketPolicy" => &self.made.source_bucket,
            "ProductionBucketPolicy" => &self.made.production_bucket,
            "StateBucketPolicy" => &self.made.state_bucket,
            other => panic!("{other}: a policy that is looked at nowhere"),
        };
        let answer = self.emulator.clients.s3.get_bucket_policy().bucket(bucket).send().await.unwrap();
        let policy: Value = serde_json::from_str(answer.policy().unwrap()).unwrap();
        tls_only(&policy, name);
        let once =
            statements(&policy).iter().any(|one| one["Condition"]["Null"]["s3:if-none-match"] == "true");
        assert_eq!(once, name == "StateBucketPolicy");
    }

    async fn look_at_cluster(&self, Resource { id, .. }: &Resource) {
        let answer = self.ecs.describe_clusters().clusters(id).send().await.unwrap();
        let cluster = &answer.clusters()[0];
        assert_eq!(cluster.capacity_providers(), ["FARGATE", "FARGATE_SPOT"]);
        assert_eq!(cluster.default_capacity_provider_strategy()[0].capacity_provider(), "FARGATE");
    }

    async fn look_at_definition(&self, Resource { name, id, .. }: &Resource) {
        let answer = self.ecs.describe_task_definition().task_definition(id).send().await.unwrap();
        let definition = answer.task_definition.unwrap();
        let platform = definition.runtime_platform().unwrap();
        assert_eq!(platform.cpu_architecture().unwrap().as_str(), "X86_64", "{name}");
        assert_eq!(definition.network_mode().unwrap().as_str(), "awsvpc");
        assert_eq!(definition.requires_compatibilities()[0].as_str(), "FARGATE");
        assert!(definition.execution_role_arn().unwrap().contains(":role/"));
        hardened(&definition, name);
        let container = &definition.container_definitions()[0];
        let variables: BTreeMap<_, _> =
            container.environment().iter().filter_map(|pair| Some((pair.name()?, pair.value()?))).collect();
        let image = |which: &str| {
            format!("123456789012.dkr.ecr.us-east-1.amazonaws.com/every-transcode-{which}:local")
        };
        if name == "TaskDefinition" {
            assert_eq!(definition.task_role_arn(), Some(self.made.task_role.as_str()));
            assert_eq!(container.image(), Some(image("task").as_str()));
            assert_eq!(definition.ephemeral_storage().unwrap().size_in_gib(), 60);
            assert_eq!(container.mount_points()[0].container_path(), Some("/tmp"));
            assert_eq!(variables["TRANSCODE_STATE_BUCKET"], self.made.state_bucket);
        } else {
            assert_eq!(definition.task_role_arn(), Some(self.made.controller_role.as_str()));
            assert_eq!(container.image(), Some(image("controller").as_str()));
            let health = container.health_check().unwrap().command();
            assert!(health.contains(&"healthcheck".to_owned()), "{health:?}");
            assert_eq!(variables["RUST_LOG"], "warn,transcode_controller=info");
            assert_eq!(variables["TRANSCODE_LAUNCH__CAPACITY"], "fargate");
            assert_eq!(variables["TRANSCODE_SOURCES__UPLOADS__OVERLAYS"], "[]", "none unless asked for");
            settings_load(&variables);
        }
    }

    async fn look_at_service(&self, Resource { id, .. }: &Resource) {
        let call = self.ecs.describe_services().cluster(&self.made.cluster).services(id);
        let answer = call.send().await.unwrap();
        let service = &answer.services()[0];
        assert_eq!(service.desired_count(), 0, "as the parameter says");
        assert_eq!(service.capacity_provider_strategy()[0].capacity_provider(), "FARGATE");
        let breaker = service.deployment_configuration().unwrap().deployment_circuit_breaker().unwrap();
        assert!(breaker.enable() && breaker.rollback());
        let network = service.network_configuration().unwrap().awsvpc_configuration().unwrap();
        assert_eq!(network.subnets(), self.made.subnets);
    }

    async fn look_at_repository(&self, Resource { name, id, .. }: &Resource) {
        let call = self.emulator.clients.ecr.describe_repositories().repository_names(id);
        let answer = call.send().await.unwrap();
        let repository = &answer.repositories()[0];
        assert_eq!(repository.image_tag_mutability().unwrap().as_str(), "IMMUTABLE", "{name}");
        assert!(repository.image_scanning_configuration().unwrap().scan_on_push(), "{name}");
        let call = self.emulator.clients.ecr.get_lifecycle_policy().repository_name(id);
        let answer = call.send().await.unwrap();
        let policy: Value = serde_json::from_str(answer.lifecycle_policy_text().unwrap()).unwrap();
        assert_eq!(policy["rules"].as_array().unwrap().len(), 2, "{name}");
    }

    async fn look_at_rule(&self, Resource { id, .. }: &Resource) {
        let rule = self.json("AWSEvents.DescribeRule", &json!({"Name": id})).await;
        let pattern: Value = serde_json::from_str(rule["EventPattern"].as_str().unwrap()).unwrap();
        assert_eq!(pattern["detail"]["lastStatus"], json!(["RUNNING", "STOPPED"]));
        let cluster = pattern["detail"]["clusterArn"][0].as_str().unwrap();
        assert!(cluster.ends_with("cluster/every-transcode"), "of this environment only: {cluster}");
        assert_eq!(pattern["detail"]["group"], json!(["family:every-transcode-task"]), "and its tasks only");
        let targets = self.json("AWSEvents.ListTargetsByRule", &json!({"Rule": id})).await;
        let target = &targets["Targets"][0];
        let queue = |name: &str| format!("arn:aws:sqs:us-east-1:123456789012:every-transcode-{name}");
        assert_eq!(target["Arn"], queue("events"));
        assert_eq!(target["DeadLetterConfig"]["Arn"], queue("events-dead-letters"));
        assert_eq!(target["RetryPolicy"]["MaximumEventAgeInSeconds"], 3600);
    }

    async fn look_at_log_group(&self, Resource { id, .. }: &Resource) {
        let groups = self.json("Logs_20140328.DescribeLogGroups", &json!({"logGroupNamePrefix": id})).await;
        assert_eq!(groups["logGroups"][0]["retentionInDays"].to_string().trim_matches('"'), "30", "{groups}");
    }

    async fn look_at_security_group(&self, Resource { id, .. }: &Resource) {
        let body = format!("Action=DescribeSecurityGroups&Version=2016-11-15&GroupId.1={id}");
        let xml = self.form("ec2", &body).await;
        assert!(!xml.contains("<ipPermissions><item>"), "nothing comes in: {xml}");
        assert!(xml.contains("<fromPort>443</fromPort>"), "{xml}");
    }

    async fn look_at_role(&self, Resource { name, id, .. }: &Resource) {
        let role = self.role(id).await;
        assert!(role.contains("<AssumeRolePolicyDocument>"), "{name}: {role}");
        // Whom the account's own policies let take it has signed in with a second factor.
        let for_people = ["UploaderRole", "OperatorRole"].contains(&name.as_str());
        assert_eq!(role.contains("aws:MultiFactorAuthPresent"), for_people, "{name}: {role}");
    }
}

fn tls_only(policy: &Value, name: &str) {
    let denies = |one: &Value| {
        one["Effect"] == "Deny"
            && one["Principal"] == "*"
            && one["Condition"]["Bool"]["aws:SecureTransport"] == "false"
    };
    assert!(statements(policy).iter().any(denies), "{name}: {policy}");
}

/// The common properties of both containers.
fn hardened(definition: &TaskDefinition, name: &str) {
    let [container] = definition.container_definitions() else { panic!("{name}: one container") };
    assert_eq!(container.readonly_root_filesystem(), Some(true), "{name}");
    assert_eq!(container.user(), Some("65532:65532"), "{name}");
    assert_eq!(container.stop_timeout(), Some(120), "{name}");
    let linux = container.linux_parameters().unwrap();
    assert_eq!(linux.init_process_enabled(), Some(true), "{name}");
    assert_eq!(linux.capabilities().unwrap().drop(), ["ALL"], "{name}");
    let logs = container.log_configuration().unwrap();
    assert_eq!(logs.log_driver().as_str(), "awslogs");
    assert_eq!(logs.options().unwrap()["mode"], "non-blocking");
}

/// The template names the settings as the controller knows them: a file with these alone is a complete configuration.
fn settings_load(variables: &BTreeMap<&str, &str>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("empty.toml");
    std::fs::write(&file, "").unwrap();
    let check = std::process::Command::new(paths::binary("transcode-controller").unwrap())
        .arg("check-config")
        .arg(&file)
        .env_clear()
        .envs(variables)
        .output()
        .unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
}

#[tokio::test]
async fn every_resource_of_the_template_is_as_it_says() {
    let world = World::of("every", &[]).await;
    let resources = world.resources().await;
    let made: BTreeMap<String, String> =
        resources.iter().map(|one| (one.name.clone(), one.kind.clone())).collect();
    assert_eq!(made, in_the_text(), "all that the template names was made, and nothing else");
    assert!(made.len() >= 28, "{}", made.len());
    for resource in &resources {
        world.look(resource).await;
    }
}
