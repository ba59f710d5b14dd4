//! The roles of `deploy/template.yaml`: the pipeline works with them, it uses every permission that they have, and IAM
//! refuses all other calls.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod bus;
mod operator;
mod overlay;
mod web;

use std::{
    path::Path,
    process::{Command, Output},
    sync::Arc,
    time::Duration,
};

use aws_sdk_s3::error::ProvideErrorMetadata;
use serde_json::json;
use transcode_config::contract::{Attempt, FailureCode, JobKey, Layout, Outcome, Succeeded, beacon_key};
use transcode_local::{Fault, FaultKind};
use transcode_task::aws::{Clients as TaskClients, Meta, Multipart};
use transcode_tests::{
    Stack, StackOptions,
    clients::{Clients, config_of, write_log},
    deployment::Deployment,
    emulator::Emulator,
    iam::{
        Iam,
        call::Call,
        coverage,
        policy::{Decision, Policy, decide},
        record::Record,
    },
    listener::Listener,
    paths,
    proxy::Interceptor,
};

use self::bus::Bus;

const LIMIT: Duration = Duration::from_mins(4);

/// The bus of the environment.
const BUS: &str = "jobs";

async fn stack(overlays: &str, bus: &Arc<Bus>) -> Stack {
    let template = Some(overlay::with_options(overlays));
    let place = format!("[{{ bucket = \"{overlays}\", prefix = \"marks/\" }}]");
    let interceptor = Some(Arc::clone(bus) as Arc<dyn Interceptor>);
    let options = StackOptions { with_roles: true, template, interceptor, ..StackOptions::default() }
        .setting("sources.uploads.overlays", &place)
        .setting("events.bus", &format!("\"{BUS}\""))
        .setting("events.outbox_after_seconds", "10")
        .setting("observe.describe_seconds", "1")
        .setting("observe.pull_timeout_seconds", "10")
        // So that leases are extended within seconds.
        .setting("lease.visibility_seconds", "120")
        .setting("lease.margin_seconds", "119")
        .setting("jobs.retry_base_seconds", "1")
        .setting("jobs.retry_cap_seconds", "2")
        .setting("calls.receive_wait_seconds", "1")
        .setting("metrics.period_seconds", "1")
        .setting("cluster.controller_log_group", "\"/transcode/local/controller\"");
    Stack::with(options).await.unwrap()
}

/// Runs a command of the controller's program with a role's credentials.
async fn command(stack: &Stack, role: &str, args: &[&str]) -> String {
    let mut command = Command::new(paths::binary("transcode-controller").unwrap());
    let (name, rest) = args.split_first().unwrap();
    command.env_clear().envs(stack.environment_as(role).unwrap());
    if !rest.contains(&"--stack") {
        command.arg("--config").arg(stack.plan.config());
    }
    command.arg(name).args(rest);
    let output: Output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{args:?}: {said}{complained}");
    said.trim().to_owned()
}

async fn succeeded(stack: &Stack, key: &str) -> Succeeded {
    match stack.wait_for_terminal_record(key, LIMIT).await.unwrap().outcome {
        Outcome::Succeeded(succeeded) => succeeded,
        Outcome::Superseded(_) | Outcome::Cancelled(_) => panic!("{key}: superseded or cancelled"),
        Outcome::Dead(dead) => panic!("{key}: {}\n{}", dead.failure, stack.tails(20)),
    }
}

/// An upload through a URL that the uploader's role signed, transcoded, and shown by the operator's commands.
async fn a_job_that_succeeds(stack: &Stack, clip: &Path) -> JobKey {
    let roles = &stack.deployment.roles;
    let http = reqwest::Client::new();
    let bytes = std::fs::read(clip).unwrap();
    let size = bytes.len().to_string();
    let address = command(stack, &roles.uploader, &["presign", "put", "good.mp4", "--bytes", &size]).await;
    let put = http.put(address).header("if-none-match", "*").body(bytes.clone()).send().await.unwrap();
    assert!(put.status().is_success(), "{put:?}");
    let winner = succeeded(stack, "good.mp4").await;
    stack.wait_for_empty_queue(LIMIT).await.unwrap();

    let job = stack.job_of("good.mp4").await.unwrap().unwrap().job;
    let shown = command(stack, &roles.operator, &["get", "good.mp4"]).await;
    assert!(shown.contains(job.as_str()), "{shown}");
    command(stack, &roles.operator, &["explain", job.as_str()]).await;
    command(stack, &roles.operator, &["list"]).await;
    let environment = &stack.deployment.environment;
    let task = winner.task_arn.as_deref().and_then(|arn| arn.rsplit('/').next()).unwrap();
    let (group, stream) = (format!("/transcode/{environment}/task"), format!("task/task/{task}"));
    write_log(stack.endpoint(), &group, &stream, &[json!("a line")], 1).await.unwrap();
    let log = command(stack, &roles.operator, &["logs", job.as_str(), "--stack", environment]).await;
    assert!(log.contains("a line"), "{log}");
    let of_stack = ["presign", "get", "x", "--stack", &stack.deployment.environment];
    command(stack, &roles.operator, &of_stack).await;
    let address = command(stack, &roles.operator, &["presign", "get", &winner.manifest.key]).await;
    assert!(http.get(address).send().await.unwrap().status().is_success());
    let address = command(stack, &roles.operator, &["presign", "put", "more.mp4", "--bytes", &size]).await;
    assert!(
        http.put(address)
            .header("if-none-match", "*")
            .body(bytes)
            .send()
            .await
            .unwrap()
            .status()
            .is_success()
    );
    succeeded(stack, "more.mp4").await;
    stack.wait_for_empty_queue(LIMIT).await.unwrap();

    // The pointer of a key is read only where there is one: the second upload moves it.
    stack.put_source("more.mp4", clip).await.unwrap();
    let newer = stack.wait_for("the newer upload has ended", LIMIT, async || {
        let jobs = stack.jobs().await?.into_iter().filter(|spec| spec.source.key == "more.mp4");
        let mut ended = 0;
        for spec in jobs {
            ended += usize::from(stack.record(&spec.job).await?.is_some());
        }
        Ok((ended == 2).then_some(()))
    });
    newer.await.unwrap();
    stack.wait_for_empty_queue(LIMIT).await.unwrap();
    job
}

/// An upload that is no video: a dead letter, moved back by the operator; and a job that `submit` asks for.
async fn a_job_that_fails_and_is_redriven(stack: &Stack) {
    let roles = &stack.deployment.roles;
    stack.put_source_body("bad.mp4", b"no video".to_vec()).await.unwrap();
    let dead = stack.wait_for_terminal_record("bad.mp4", LIMIT).await.unwrap();
    assert!(matches!(dead.outcome, Outcome::Dead(_)));
    stack.wait_for_empty_queue(LIMIT).await.unwrap();
    // One of no job: it is looked at and given back.
    let letter = stack.clients().sqs.send_message().queue_url(&stack.deployment.dead_letter_queue);
    letter.message_body("not a letter").send().await.unwrap();
    let said = command(stack, &roles.operator, &["redrive"]).await;
    assert!(said.contains("1 moved, 1 looked at and left"), "{said}");
    let args = ["submit", "--key", "gone.mp4", "--idempotency-key", "again"];
    let job: JobKey = command(stack, &roles.operator, &args).await.parse().unwrap();
    let failed = stack.wait_for("what is not there has failed", LIMIT, async || stack.record(&job).await);
    match failed.await.unwrap().outcome {
        Outcome::Dead(dead) => assert_eq!(dead.failure.code, FailureCode::SourceMissing, "{dead:?}"),
        Outcome::Succeeded(_) | Outcome::Superseded(_) | Outcome::Cancelled(_) => panic!("of nothing"),
    }
    stack.wait_for_empty_queue(LIMIT).await.unwrap();
}

/// Files and an open upload in the folder of a job's first attempt, as a killed task leaves them.
async fn what_a_task_leaves(stack: &Stack, key: &str) {
    let spec = stack.wait_for("the job is accepted", LIMIT, async || stack.job_of(key).await).await.unwrap();
    let folder = format!("{}{}", spec.output.prefix, Layout::of(&spec.job).folder(Attempt::FIRST));
    let s3 = &stack.clients().s3;
    let put = s3.put_object().bucket(&spec.output.bucket).key(format!("{folder}1.m4s"));
    put.body(b"a segment".to_vec().into()).send().await.unwrap();
    let parts = s3.create_multipart_upload().bucket(&spec.output.bucket).key(format!("{folder}audio.mp4"));
    parts.send().await.unwrap();
}

/// A task that never starts: the controller stops it and launches another.
async fn a_task_that_is_stopped(stack: &Stack) {
    let kind = FaultKind::Stuck { phase: "PENDING".to_owned() };
    let never_starts =
        Fault { kind, operation: Some("RunTask".into()), job: None, count: Some(1), one_in: None };
    stack.fargate.fault(&never_starts).await.unwrap();
    stack.put_source_body("stuck.mp4", b"no video".to_vec()).await.unwrap();
    what_a_task_leaves(stack, "stuck.mp4").await;
    stack.wait_for_terminal_record("stuck.mp4", LIMIT).await.unwrap();
    let counters = stack.fargate.counters().await.unwrap();
    assert!(counters["calls"]["StopTask"].as_u64() >= Some(1), "{counters}");
    stack.wait_for_empty_queue(LIMIT).await.unwrap();
    let spec = stack.job_of("stuck.mp4").await.unwrap().unwrap();
    let left = stack.objects(&spec.output.bucket, &spec.output.prefix).await.unwrap();
    assert!(left.is_empty(), "L7: {left:?}");
}

/// Calls that a task makes only for files of 64 MiB or after losing a race: the task's own adapters make them here,
/// with its role.
async fn what_tasks_do_rarely(stack: &Stack) {
    let made = &stack.deployment;
    let keys = stack.iam().unwrap().credentials(&made.roles.task).unwrap();
    let config = config_of(stack.endpoint(), keys).into_builder().build();
    let TaskClients { objects, documents, .. } = TaskClients::of(&config, made.state_bucket.clone());
    // These jobs end before their tasks' third heartbeat.
    let beacon = beacon_key(&made.environment, &JobKey::of(&["long"]), Attempt::FIRST);
    documents.put(&beacon, Vec::new()).await.unwrap();
    documents.remove(&beacon).await.unwrap();
    let meta = Meta { content_type: "video/mp4", cache_control: "no-cache" };
    let key = format!("{}good.mp4/v-0123456789ab-2/video.mp4", made.output_root);
    let open = Multipart::create(&objects, &made.production_bucket, &key, meta).await.unwrap();
    open.abort().await.unwrap();
    objects.delete(&made.production_bucket, &[key]).await.unwrap();
}

/// Calls that ECS itself makes with the execution role, by the developer guide.
fn what_ecs_does(stack: &Stack, groups: &[&str]) -> Vec<Call> {
    let repository = "arn:aws:ecr:us-east-1:123456789012:repository/transcode-task";
    let mut calls = vec![Call::new("ecr:GetAuthorizationToken", "*")];
    calls.extend(
        ["ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"]
            .map(|action| Call::new(action, repository)),
    );
    for group in groups {
        let environment = &stack.deployment.environment;
        let stream = format!(
            "arn:aws:logs:us-east-1:123456789012:log-group:/transcode/{environment}/{group}:log-stream:task/task/1"
        );
        calls.extend(["logs:CreateLogStream", "logs:PutLogEvents"].map(|action| Call::new(action, &stream)));
    }
    calls
}

#[tokio::test]
async fn the_pipeline_works_with_its_roles_and_they_hold_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let bus = Arc::new(Bus::default());
    let stack = stack("brand", &bus).await;
    let listener = Listener::on(&stack, BUS).await.unwrap();
    a_job_that_succeeds(&stack, &paths::test_picture(folder.path()).unwrap()).await;
    a_job_that_fails_and_is_redriven(&stack).await;
    overlay::a_job_with_an_overlay(&stack, "brand").await;
    bus::a_job_while_the_bus_is_away(&stack, &bus, &listener).await;
    a_task_that_is_stopped(&stack).await;
    what_tasks_do_rarely(&stack).await;
    operator::a_look_at_the_environment(&stack).await;
    operator::an_upload_that_goes_on(&stack).await;
    web::an_uploader_goes_on(&stack).await;
    operator::an_environment_that_is_steered(&stack).await;

    let (iam, roles) = (stack.iam().unwrap(), &stack.deployment.roles);
    let mut wrong = Vec::new();
    for (name, role) in [
        ("the controller's role", &roles.controller),
        ("the task's role", &roles.task),
        ("the uploader's role", &roles.uploader),
        ("the operator's role", &roles.operator),
        ("the execution role", &roles.execution),
    ] {
        let policies = iam.policies(role).unwrap();
        let policies: Vec<_> = policies.iter().collect();
        let mut calls = iam.calls(role).unwrap();
        if role == &roles.execution {
            assert_eq!(calls, [], "only ECS uses it");
            calls = what_ecs_does(&stack, &["task", "controller"]);
        }
        wrong.extend(coverage::missing(name, &policies, &calls));
        wrong.extend(coverage::unused(name, &policies, &calls));
        let refused = iam.decisions(role).unwrap().into_iter().filter(|decided| !decided.allowed);
        wrong.extend(refused.map(|decided| format!("{name}: refused in this run: {:?}", decided.call)));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

struct Deployed {
    emulator: Emulator,
    made: Deployment,
    iam: Iam,
    folder: tempfile::TempDir,
}

fn template() -> String {
    std::fs::read_to_string(paths::checkout().join("deploy/template.yaml")).unwrap()
}

async fn deployed() -> Deployed {
    deployed_from(template()).await
}

async fn deployed_from(template: String) -> Deployed {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record");
    let emulator = Emulator::start_enforcing(folder.path(), folder.path(), &record).await.unwrap();
    let made = Deployment::create_from(&emulator.clients, "roles", template, &[]).await.unwrap();
    let iam = Iam::assume(&emulator.endpoint, &made.roles, Record::at(&record)).await.unwrap();
    Deployed { emulator, made, iam, folder }
}

impl Deployed {
    fn as_role(&self, role: &str) -> Clients {
        Clients::with(&self.emulator.endpoint, self.iam.credentials(role).unwrap())
    }

    fn says(&self, role: &str, call: &Call) -> Decision {
        let policies = self.iam.policies(role).unwrap();
        decide(&policies.iter().collect::<Vec<_>>(), call)
    }

    /// Writes to the state bucket as a role and returns the error's code.
    async fn write(&self, role: &str, key: &str, once: bool) -> Option<String> {
        let put = self.as_role(role).s3.put_object().bucket(&self.made.state_bucket).key(key);
        let put = put.set_if_none_match(once.then(|| "*".to_owned())).body(b"{}".to_vec().into());
        put.send().await.err().map(|error| error.code().unwrap_or("no code").to_owned())
    }
}

#[tokio::test]
async fn what_is_written_once_can_be_written_only_on_condition_whatever_the_role() {
    let deployed = deployed().await;
    let roles = &deployed.made.roles;
    let denied = Some("AccessDenied".to_owned());
    for (role, key) in [
        (&roles.task, "jobs/j/terminal.json"),
        (&roles.controller, "jobs/j/terminal.json"),
        (&roles.controller, "jobs/j/spec.json"),
        (&roles.controller, "jobs/j/attempts/000001.json"),
    ] {
        assert_eq!(deployed.write(role, key, false).await, denied, "{role} {key}");
    }
    assert_eq!(deployed.write(&roles.task, "jobs/j/terminal.json", true).await, None);
    let again = deployed.write(&roles.controller, "jobs/j/terminal.json", true).await;
    assert_eq!(again.as_deref(), Some("PreconditionFailed"));
    // The pointer of a prefix moves, and only on condition.
    let pointer = "published/p.json";
    assert_eq!(deployed.write(&roles.controller, pointer, false).await, denied);
    assert_eq!(deployed.write(&roles.task, pointer, true).await, denied, "no task moves it");
    assert_eq!(deployed.write(&roles.controller, pointer, true).await, None);
    let s3 = deployed.as_role(&roles.controller).s3;
    let there = s3.get_object().bucket(&deployed.made.state_bucket).key(pointer).send().await.unwrap();
    let put = s3.put_object().bucket(&deployed.made.state_bucket).key(pointer).body(b"[]".to_vec().into());
    put.if_match(there.e_tag().unwrap()).send().await.unwrap();
    let heartbeat = "jobs/j/attempts/000001.heartbeat.json";
    for _ in 0..2 {
        assert_eq!(deployed.write(&roles.task, heartbeat, false).await, None, "it is overwritten");
    }
    let beacon = beacon_key(&deployed.made.environment, &JobKey::of(&["x"]), Attempt::FIRST);
    assert_eq!(deployed.write(&roles.task, &beacon, false).await, None, "also the beacon");
    let delete = deployed.as_role(&roles.task).s3.delete_object().bucket(&deployed.made.state_bucket);
    delete.key(&beacon).send().await.unwrap();
    // The task decides its job and touches nothing else of the record.
    for key in ["jobs/j/spec.json", "jobs/j/attempts/000002.json", "live/other/x", "elsewhere"] {
        assert_eq!(deployed.write(&roles.task, key, true).await, denied, "{key}");
    }
}

#[tokio::test]
async fn nothing_is_taken_over_plain_http() {
    let deployed = deployed().await;
    let made = &deployed.made;
    std::fs::remove_file(deployed.folder.path().join("tls")).unwrap();
    let controller = deployed.as_role(&made.roles.controller);
    for bucket in [&made.state_bucket, &made.production_bucket] {
        let key = format!("{}jobs/x", if bucket == &made.state_bucket { "" } else { &made.output_root });
        let get = controller.s3.get_object().bucket(bucket).key(key).send().await;
        assert_eq!(get.unwrap_err().code(), Some("AccessDenied"), "{bucket}");
    }
    let task = deployed.as_role(&made.roles.task);
    let get = task.s3.get_object().bucket(&made.source_bucket).key("x").send().await;
    assert_eq!(get.unwrap_err().code(), Some("AccessDenied"));
    for queue in [&made.jobs_queue, &made.events_queue] {
        let got = controller.sqs.receive_message().queue_url(queue).send().await;
        assert!(got.unwrap_err().code().unwrap().contains("AccessDenied"), "{queue}");
    }
}

#[tokio::test]
async fn no_role_reaches_what_is_not_its_own() {
    let deployed = deployed().await;
    let (made, roles) = (&deployed.made, &deployed.made.roles);
    let arn = |bucket: &str, key: &str| format!("arn:aws:s3:::{bucket}/{key}");
    let ecs = |rest: &str| format!("arn:aws:ecs:us-east-1:123456789012:{rest}");
    let cluster = ecs(&format!("cluster/{}", made.cluster));
    let foreign = ecs("cluster/foreign");
    let definition = ecs(&format!("task-definition/{}:1", made.task_family));
    let pass =
        |role: &str, service: &str| Call::new("iam:PassRole", role).with("iam:PassedToService", service);
    let metrics =
        |namespace: &str| Call::new("cloudwatch:PutMetricData", "*").with("cloudwatch:namespace", namespace);
    let task = [
        Call::new("s3:PutObject", &arn(&made.source_bucket, "x")),
        Call::new("s3:DeleteObject", &arn(&made.production_bucket, "videos/x/master.m3u8")),
        Call::new("s3:PutObject", &arn(&made.production_bucket, "elsewhere/x")),
        metrics("AWS/ECS"),
    ];
    let controller = [
        Call::new("s3:GetObject", &arn(&made.source_bucket, "x")),
        Call::new("s3:PutObject", &arn(&made.production_bucket, "elsewhere/x")),
        Call::new("ecs:RunTask", &definition).with("ecs:cluster", &foreign),
        Call::new("ecs:RunTask", &ecs("task-definition/foreign:1")).with("ecs:cluster", &cluster),
        Call::new("ecs:StopTask", &ecs("task/foreign/1")).with("ecs:cluster", &foreign),
        Call::new("ecs:TagResource", &ecs(&format!("task/{}/1", made.cluster)))
            .with("ecs:CreateAction", "StartTask"),
        Call::new("ecs:ListTasks", "*").with("ecs:cluster", &foreign),
        pass(&roles.operator, "ecs-tasks.amazonaws.com"),
        pass(&roles.task, "ec2.amazonaws.com"),
        metrics("AWS/ECS"),
    ];
    let outside = [
        Call::new("s3:GetObject", &arn(&made.source_bucket, "x")),
        Call::new("s3:DeleteObject", &arn(&made.source_bucket, "x")),
        Call::new("s3:PutObject", &arn(&made.state_bucket, "jobs/j/terminal.json")),
        Call::new("ecs:RunTask", &definition).with("ecs:cluster", &cluster),
        Call::new("cloudwatch:PutDashboard", "arn:aws:cloudwatch::123456789012:dashboard/other-transcode"),
    ];
    let mut table: Vec<(&str, &Call)> = task.iter().map(|call| (roles.task.as_str(), call)).collect();
    table.extend(controller.iter().map(|call| (roles.controller.as_str(), call)));
    for role in [&roles.uploader, &roles.operator] {
        table.extend(outside.iter().map(|call| (role.as_str(), call)));
    }
    for (role, call) in table {
        assert_eq!(deployed.says(role, call), Decision::NotAllowed, "{role} {call:?}");
    }
    // The counterparts that are allowed, so that the table does not pass for a wrong name.
    for (role, call) in [
        (&roles.controller, Call::new("ecs:RunTask", &definition).with("ecs:cluster", &cluster)),
        (&roles.controller, pass(&roles.task, "ecs-tasks.amazonaws.com")),
        (&roles.controller, metrics(&made.metrics_namespace)),
        (&roles.task, Call::new("s3:GetObject", &arn(&made.source_bucket, "x"))),
        (&roles.uploader, Call::new("s3:PutObject", &arn(&made.source_bucket, "x"))),
    ] {
        assert_eq!(deployed.says(role, &call), Decision::Allowed, "{role} {call:?}");
    }
}

#[tokio::test]
async fn the_task_has_no_queue_and_no_cluster_and_two_roles_are_passed() {
    let deployed = deployed().await;
    let roles = &deployed.made.roles;
    for policy in deployed.iam.policies(&roles.task).unwrap() {
        let services: Vec<_> = policy.grants().into_iter().map(|grant| grant.action).collect();
        assert!(
            services.iter().all(|action| action.starts_with("s3:") || action == "cloudwatch:PutMetricData")
        );
    }
    let passed: Vec<_> =
        deployed.iam.policies(&roles.controller).unwrap().iter().flat_map(Policy::grants).collect();
    let passed: Vec<_> = passed.into_iter().filter(|grant| grant.action == "iam:PassRole").collect();
    assert_eq!(passed.len(), 2, "exactly the two roles of the task: {passed:?}");
}

#[tokio::test]
async fn a_task_without_a_permission_ends_with_the_code_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    // The template without one action, deployed as it is.
    let template = template();
    let without =
        template.replace("Action: [s3:GetObject, s3:GetObjectVersion]\n", "Action: s3:GetObjectTagging\n");
    assert_ne!(without, template);
    let options = StackOptions { with_roles: true, template: Some(without), ..StackOptions::default() }
        .setting("jobs.retry_base_seconds", "1")
        .setting("jobs.retry_cap_seconds", "1")
        .setting("observe.describe_seconds", "1");
    let stack = Stack::with(options).await.unwrap();
    stack.put_source("denied.mp4", &paths::test_picture(folder.path()).unwrap()).await.unwrap();
    match stack.wait_for_terminal_record("denied.mp4", LIMIT).await.unwrap().outcome {
        Outcome::Dead(dead) => assert_eq!(dead.failure.code, FailureCode::SourceDenied, "{dead:?}"),
        Outcome::Succeeded(_) | Outcome::Superseded(_) | Outcome::Cancelled(_) => {
            panic!("without reading the source")
        }
    }
}
