//! `doctor` on the demo's stack: no finding at first, and then each broken part by its name.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod reported;

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_sdk_ecs::types::{ContainerDefinition, NetworkMode};
use aws_sdk_s3::types::{BucketVersioningStatus, NotificationConfiguration, VersioningConfiguration};
use aws_sdk_sqs::types::QueueAttributeName;
use axum::{Router, http::header};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use transcode_config::contract::{PauseStatus, SCHEMA, StatusReport, encode, outbox_prefix, status_key};
use transcode_tests::{
    Stack, StackOptions,
    clients::{ACCOUNT, ecs},
    controller,
    images::Image,
    paths,
};

/// Quotas of Fargate vCPUs: on demand, Spot.
const QUOTAS: [&str; 2] = ["L-3032A538", "L-36FBB829"];

/// The output of doctor.
struct Said {
    code: Option<i32>,
    findings: Vec<Value>,
}

impl Said {
    /// All findings that are not ok, `check` to `status`; for a check with several subjects the worst status.
    fn bad(&self) -> BTreeMap<&str, &str> {
        let rank = |status: &str| ["warn", "unknown", "fail"].iter().position(|one| *one == status);
        let mut bad = BTreeMap::new();
        for one in self.findings.iter().filter(|one| one["status"] != "ok") {
            let (check, status) = (one["check"].as_str().unwrap(), one["status"].as_str().unwrap());
            assert!(one["todo"].as_str().is_some_and(|todo| todo.len() > 15), "says what to do: {one:#}");
            let worst = bad.entry(check).or_insert(status);
            *worst = if rank(status) > rank(worst) { status } else { *worst };
        }
        bad
    }

    /// The texts of the findings of a check that are not ok.
    fn seen(&self, check: &str) -> String {
        let ours = self.findings.iter().filter(|one| one["check"] == check && one["status"] != "ok");
        ours.map(|one| one["seen"].to_string()).collect()
    }
}

async fn run(stack: &Stack, args: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = Command::new(paths::binary("transcode-controller").unwrap());
    command.args(["doctor", "--config"]).arg(stack.plan.config()).args(args).env_clear();
    command.envs(controller::environment(stack.endpoint(), &stack.fargate.endpoint));
    command.envs(env.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(!output.stdout.is_empty(), "{complaints}");
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// As JSON, with the controller's role.
async fn look(stack: &Stack, env: &[(&str, &str)]) -> Said {
    let (code, text) = run(stack, &["-o", "json", "--role", &stack.deployment.controller_role], env).await;
    Said { code, findings: serde_json::from_str(&text).unwrap() }
}

async fn stack() -> Stack {
    let options = StackOptions { without_controller: true, ..StackOptions::default() };
    let stack = Stack::with(options).await.unwrap();
    for code in QUOTAS {
        quota(&stack, code, 100).await;
    }
    report(&stack, &StatusReport::default()).await;
    stack
}

/// What a controller says that has just spoken, and will have for a while.
async fn report(stack: &Stack, said: &StatusReport) {
    let ahead = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_hours(1);
    let written_at_ms = u64::try_from(ahead.as_millis()).unwrap();
    let document = StatusReport { schema: SCHEMA, written_at_ms, max_tasks: 10, ..said.clone() };
    let put = stack.clients().s3.put_object().bucket(&stack.deployment.state_bucket);
    let put = put.key(status_key(&stack.deployment.environment)).body(encode(&document).into());
    put.send().await.unwrap();
}

/// Sets a quota. The emulator's are a new account's.
async fn quota(stack: &Stack, code: &str, vcpus: u32) {
    let body = json!({"ServiceCode": "fargate", "QuotaCode": code, "DesiredValue": vcpus}).to_string();
    let ask = reqwest::Client::new().post(stack.endpoint()).body(body);
    let ask = ask.header("x-amz-target", "ServiceQuotasV20190624.RequestServiceQuotaIncrease");
    assert!(ask.send().await.unwrap().status().is_success());
}

/// An STS whose clock is an hour ahead, and the number of its calls.
async fn hasty_sts() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let answer = async move || {
        count.fetch_add(1, Ordering::Relaxed);
        let ahead = std::time::SystemTime::now() + std::time::Duration::from_hours(1);
        let date = aws_sdk_s3::primitives::DateTime::from(ahead);
        let date = date.fmt(aws_sdk_s3::primitives::DateTimeFormat::HttpDate).unwrap();
        let arn = format!("<Arn>arn:aws:iam::{ACCOUNT}:user/x</Arn>");
        ([(header::DATE, date)], format!("<R><GetCallerIdentityResult>{arn}</GetCallerIdentityResult></R>"))
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    (address, asked)
}

/// A definition that violates every check, and a cluster without capacity providers.
async fn poor_relations(stack: &Stack) {
    let ecs = ecs(&stack.fargate.endpoint);
    let image = "public.example.com/somebody/ffmpeg:latest";
    let container = ContainerDefinition::builder().name("task").image(image).memory(512).build();
    let bare = ecs.register_task_definition().family("bare").network_mode(NetworkMode::Bridge);
    bare.container_definitions(container).send().await.unwrap();
    ecs.create_cluster().cluster_name("plain").send().await.unwrap();
}

#[tokio::test]
async fn a_deployed_stack_is_well() {
    let stack = stack().await;
    let said = look(&stack, &[]).await;
    assert_eq!((said.bad(), said.code), (BTreeMap::new(), Some(0)), "{:#?}", said.findings);
    let known: BTreeSet<_> = said.findings.iter().map(|one| one["check"].as_str().unwrap()).collect();
    let document = std::fs::read_to_string(paths::checkout().join("docs/doctor.md")).unwrap();
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(rows.collect::<BTreeSet<_>>(), known, "docs/doctor.md lists every check");

    let (code, text) = run(&stack, &["--role", &stack.deployment.controller_role], &[]).await;
    assert_eq!(code, Some(0));
    assert!(text.ends_with(" ok, 0 to look at, 0 failed, 0 not found out\n"), "{text}");
}

/// Variables that name missing or wrong resources; the expected finding, and words of its text. The role has no
/// permissions on other resources than its own, so the check of permissions fails too.
fn wrong_names(hasty_sts: &str, long: &str, no_queue: &str) -> Vec<(String, &'static str, &'static str)> {
    [
        ("TRANSCODE_CLUSTER__NAME=nowhere", "fail account.permissions cluster.state", "no such active cluster"),
        (
            "TRANSCODE_CLUSTER__NAME=plain TRANSCODE_LAUNCH__CAPACITY=fargate_spot",
            "fail account.permissions cluster.state",
            "without capacity provider FARGATE, FARGATE_SPOT",
        ),
        (
            "TRANSCODE_CLUSTER__TASK_DEFINITION=nothing",
            "fail account.permissions definition.exists",
            "no such task definition",
        ),
        (
            "TRANSCODE_CLUSTER__TASK_DEFINITION=bare",
            "fail account.permissions definition.platform definition.roles definition.size warn definition.isolation \
             definition.logs definition.stop_timeout image",
            "not looked at: not in ECR",
        ),
        (
            "TRANSCODE_CLUSTER__CONTAINER=<long>",
            "fail definition.container definition.overrides",
            "of 8192 characters",
        ),
        ("TRANSCODE_CLUSTER__SUBNETS=[\"subnet-ffffffff\"]", "fail network.subnets", "subnet-ffffffff"),
        ("TRANSCODE_LAUNCH__MAX_TASKS=5000", "warn account.quota network.subnets", "launch.max_tasks"),
        (
            "TRANSCODE_QUEUES__DEFAULT__URL=<no-queue>",
            "fail account.permissions buckets.uploads queues.exists",
            "no-such-queue does not exist",
        ),
        (
            "TRANSCODE_QUEUES__DEFAULT__DEAD_LETTER_URL=<no-queue>",
            "fail account.permissions queues.dead_letters",
            "no-such-queue does not exist",
        ),
        (
            "TRANSCODE_EVENTS__QUEUE_URL=<no-queue>",
            "fail account.permissions buckets.registers events.queue",
            "no-such-queue does not exist",
        ),
        (
            "TRANSCODE_STATE__BUCKET=no-such-state",
            "fail account.permissions buckets.registers buckets.written_once controller.report events.outbox",
            "the bucket does not exist",
        ),
        (
            "TRANSCODE_OUTPUT__BUCKET=no-such-output",
            "fail account.permissions buckets.output",
            "the bucket does not exist",
        ),
        (
            "TRANSCODE_EVENTS__BUS=no-such-bus",
            "fail account.permissions events.bus",
            "no-such-bus does not exist",
        ),
        ("TRANSCODE_EVENTS__BUS=default", "fail account.permissions warn events.rules", "no rule takes"),
        ("AWS_ENDPOINT_URL_STS=<hasty>", "fail account.clock", "off AWS' clock"),
        ("AWS_ENDPOINT_URL_STS=http://127.0.0.1:9", "fail account.identity", "sts:GetCallerIdentity"),
    ]
    .map(|(env, bad, words)| {
        let env = env.replace("<long>", long).replace("<no-queue>", no_queue).replace("<hasty>", hasty_sts);
        (env, bad, words)
    })
    .into()
}

#[tokio::test]
async fn what_the_settings_name_and_is_not_there_is_found_by_name() {
    let stack = stack().await;
    poor_relations(&stack).await;
    let no_queue = format!("{}/{ACCOUNT}/no-such-queue", stack.endpoint());
    let (sts, asked) = hasty_sts().await;
    for (env, bad, words) in wrong_names(&sts, &"c".repeat(9000), &no_queue) {
        let pairs: Vec<_> = env.split(' ').filter_map(|pair| pair.split_once('=')).collect();
        let said = look(&stack, &pairs).await;
        let (mut expected, mut status) = (BTreeMap::new(), "");
        for word in bad.split(' ') {
            match word {
                "fail" | "warn" => status = word,
                check => drop(expected.insert(check, status)),
            }
        }
        assert_eq!(said.bad(), expected, "{env} {:#?}", said.findings);
        assert_eq!(said.code, Some(i32::from(bad.starts_with("fail"))), "{env}");
        let seen: String = expected.keys().map(|check| said.seen(check)).collect();
        assert!(seen.contains(words), "{words}: {seen}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1, "who has a role named need not ask who the caller is");
}

#[tokio::test]
async fn what_is_taken_away_from_under_a_deployment_is_found_by_name() {
    let stack = stack().await;
    let (clients, made) = (stack.clients(), &stack.deployment);
    let set = |queue: &str, name: QueueAttributeName, value: &str| {
        clients.sqs.set_queue_attributes().queue_url(queue).attributes(name, value).send()
    };
    let silence = |bucket: &str| {
        let none = NotificationConfiguration::builder().build();
        let put = clients.s3.put_bucket_notification_configuration().bucket(bucket);
        put.notification_configuration(none).send()
    };
    let mut so_far = BTreeMap::new();
    let mut now = async |check: &'static str, status: &'static str, words: &str| {
        so_far.insert(check, status);
        let said = look(&stack, &[]).await;
        assert_eq!(said.bad(), so_far, "{:#?}", said.findings);
        assert_eq!(said.code, Some(i32::from(so_far.values().any(|status| *status == "fail"))));
        assert!(said.seen(check).contains(words), "{words}: {}", said.seen(check));
    };

    // What only warns first: the exit status is still 0.
    let pause = Some(PauseStatus { why: "paused by anna".into(), since_ms: 0 });
    report(&stack, &StatusReport { launches_pause: pause, ..StatusReport::default() }).await;
    now("controller.pause", "warn", "paused by anna").await;
    let letter = clients.sqs.send_message().queue_url(&made.dead_letter_queue).message_body("x");
    letter.send().await.unwrap();
    now("queues.letters", "warn", "1 dead letters").await;
    let unsent = format!("{}0-x.json", outbox_prefix(&made.environment));
    let put = clients.s3.put_object().bucket(&made.state_bucket).key(unsent).body(b"{}".to_vec().into());
    put.send().await.unwrap();
    now("events.outbox", "warn", "1 events").await;
    set(&made.jobs_queue, QueueAttributeName::SqsManagedSseEnabled, "false").await.unwrap();
    now("queues.encryption", "warn", "not encrypted at rest").await;
    let off = VersioningConfiguration::builder().status(BucketVersioningStatus::Suspended).build();
    let put = clients.s3.put_bucket_versioning().bucket(&made.source_bucket);
    put.versioning_configuration(off).send().await.unwrap();
    now("buckets.versioning", "warn", "off").await;
    quota(&stack, QUOTAS[0], 6).await;
    now("account.quota", "warn", "6 vCPU").await;
    quota(&stack, QUOTAS[0], 0).await;
    now("account.quota", "fail", "0 vCPU").await;

    set(&made.jobs_queue, QueueAttributeName::RedrivePolicy, "").await.unwrap();
    now("queues.redrive", "fail", "no redrive policy").await;
    set(&made.dead_letter_queue, QueueAttributeName::MessageRetentionPeriod, "345600").await.unwrap();
    now("queues.retention", "fail", "dead letters 96 h").await;
    silence(&made.source_bucket).await.unwrap();
    now("buckets.uploads", "fail", "none of our queues").await;
    silence(&made.state_bucket).await.unwrap();
    now("buckets.registers", "fail", "none of our queues").await;
    clients.s3.delete_bucket_policy().bucket(&made.state_bucket).send().await.unwrap();
    now("buckets.written_once", "fail", "no policy").await;
    stack.push_image(&Image { contract: Some("2".into()), ..Image::default() }).await.unwrap();
    now("image", "fail", "speaks version 2").await;
    stack.push_image(&Image { architecture: "arm64".into(), ..Image::default() }).await.unwrap();
    now("image", "fail", "the image is for linux/arm64").await;
    stack.remove_image().await.unwrap();
    now("image", "fail", "there is no image").await;

    let (code, text) = run(&stack, &["--role", &made.task_role], &[]).await;
    assert_eq!(code, Some(1));
    let line = text.lines().find(|line| line.starts_with("FAIL account.permissions")).unwrap();
    for action in ["ecs:RunTask", "iam:PassRole", "sqs:ReceiveMessage", "ecr:BatchGetImage"] {
        assert!(line.contains(action), "the task may not {action}: {line}");
    }
    assert!(text.contains(" -> set the job queue's RedrivePolicy"), "{text}");
}

#[tokio::test]
async fn one_check_that_cannot_be_made_stops_no_other_and_nobody_waits_for_it() {
    let stack = stack().await;
    // Answers nothing, ever.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let env = [("AWS_ENDPOINT_URL_SQS", address.as_str()), ("AWS_ENDPOINT_URL_EC2", "http://127.0.0.1:9")];
    let role = &stack.deployment.controller_role;
    let (code, text) = run(&stack, &["-o", "json", "--timeout", "8", "--role", role], &env).await;
    let said = Said { code, findings: serde_json::from_str(&text).unwrap() };
    let unknown = ["buckets", "controller.growing", "events.queue", "network.subnets", "queues"];
    let unknown = unknown.map(|check| (check, "unknown"));
    assert_eq!(said.bad(), unknown.into_iter().collect(), "{:#?}", said.findings);
    assert_eq!(said.code, Some(3), "nothing failed, something is unknown");
}
