//! No credential leaks: real session keys, signatures of URLs and a planted value are searched for in everything that
//! the pipeline writes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, process::Command, time::Duration};

use aws_sdk_ecs::types::{TaskField, TaskOverride};
use transcode_config::contract::Outcome;
use transcode_tests::{Stack, StackOptions, paths};

const LIMIT: Duration = Duration::from_mins(4);
/// A secret of another program in the environment of controller and tasks.
const PLANTED: &str = "planted-5f0c1d7e9a";
/// A secret of the uploader in the metadata of an uploaded object.
const OF_THE_OBJECT: &str = "of-the-object-7d21b3c0";

/// Everything that the pipeline has written, by place.
type Written = BTreeMap<String, String>;

async fn presign(stack: &Stack, what: &[&str], key: &str) -> String {
    let mut command = Command::new(paths::binary("transcode-controller").unwrap());
    command.env_clear().envs(stack.environment_as(&stack.deployment.roles.operator).unwrap());
    command.arg("presign").args(what).arg("--config").arg(stack.plan.config()).arg(key);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    // The address itself goes to standard output, for whoever asked.
    assert!(output.status.success() && !said.contains("X-Amz-Signature"), "{said}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn logs(stack: &Stack, written: &mut Written) {
    let controller = ["controller.out", "controller.log"].map(|name| stack.folder().join("logs").join(name));
    for path in controller.into_iter().chain(stack.fargate.task_logs()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        written.insert(format!("log {name}"), String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into());
    }
}

async fn records(stack: &Stack, written: &mut Written) {
    let made = &stack.deployment;
    for bucket in [&made.state_bucket, &made.production_bucket] {
        for key in stack.objects(bucket, "").await.unwrap().into_keys() {
            let bytes = stack.read(bucket, &key).await.unwrap().unwrap();
            written.insert(format!("object {key}"), String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    for letter in stack.dead_letters().await.unwrap() {
        written.insert("dead letter".into(), format!("{letter:?}"));
    }
}

async fn services(stack: &Stack, written: &mut Written) {
    let cloudwatch = &stack.clients().cloudwatch;
    let listed = cloudwatch.list_metrics().send().await.unwrap();
    written.insert("metrics".into(), format!("{:?}", listed.metrics()));
    let name = format!("{}-transcode", stack.deployment.environment);
    let dashboard = cloudwatch.get_dashboard().dashboard_name(name).send().await.unwrap();
    written.insert("dashboard".into(), dashboard.dashboard_body().unwrap().to_owned());
    let ecs = &stack.fargate.ecs;
    let list = ecs.list_tasks().cluster(&stack.deployment.cluster).desired_status("STOPPED".into());
    for arn in list.send().await.unwrap().task_arns.unwrap_or_default() {
        let describe = ecs.describe_tasks().cluster(&stack.deployment.cluster).include(TaskField::Tags);
        let task = describe.tasks(&arn).send().await.unwrap();
        let tasks = task.tasks.unwrap_or_default();
        written.insert(format!("task {arn}"), format!("{tasks:?}"));
        // Their own `Debug` hides what is looked for.
        let overrides =
            tasks.iter().filter_map(|task| task.overrides()).flat_map(TaskOverride::container_overrides);
        let said: Vec<_> = overrides.map(|one| (one.environment(), one.command())).collect();
        written.insert(format!("overrides {arn}"), format!("{said:?}"));
    }
}

/// The value of a parameter in a URL, without decoding.
fn parameter(address: &str, name: &str) -> String {
    let parameters = address.split(['?', '&']);
    let found = parameters.filter_map(|one| one.split_once('=')).find(|(key, _)| *key == name);
    found.unwrap_or_else(|| panic!("{name} is not in {address}")).1.to_owned()
}

/// The texts that must not be found, by name.
fn secrets(stack: &Stack, addresses: &[String]) -> Vec<(&'static str, String)> {
    let (iam, roles) = (stack.iam().unwrap(), &stack.deployment.roles);
    let mut secrets = vec![("planted value", PLANTED.to_owned())];
    secrets.push(("value of an object's metadata", OF_THE_OBJECT.to_owned()));
    for role in [&roles.controller, &roles.task, &roles.operator] {
        let keys = iam.credentials(role).unwrap();
        secrets.push(("access key", keys.access_key_id().to_owned()));
        secrets.push(("secret key", keys.secret_access_key().to_owned()));
        secrets.push(("session token", keys.session_token().unwrap().to_owned()));
    }
    for address in addresses {
        secrets.push(("signature", parameter(address, "X-Amz-Signature")));
    }
    secrets.push(("signed address", "X-Amz-Signature".to_owned()));
    secrets
}

#[tokio::test]
async fn no_credential_is_in_logs_overrides_records_letters_or_metrics() {
    let loud = "info,transcode_controller=trace,transcode_task=trace,transcode_media=trace";
    let more = [("PLANTED".to_owned(), PLANTED.to_owned()), ("RUST_LOG".to_owned(), loud.to_owned())];
    let options = StackOptions {
        with_roles: true,
        task_env: more.to_vec(),
        controller_env: more.to_vec(),
        ..StackOptions::default()
    }
    .setting("observe.describe_seconds", "1")
    .setting("metrics.period_seconds", "1");
    let stack = Stack::with(options).await.unwrap();
    let body = std::fs::read(paths::test_picture(stack.folder()).unwrap()).unwrap();
    let put = presign(&stack, &["put", "--bytes", &body.len().to_string()], "good.mp4").await;
    assert!(
        reqwest::Client::new()
            .put(&put)
            .header("if-none-match", "*")
            .body(body)
            .send()
            .await
            .unwrap()
            .status()
            .is_success()
    );
    let good = stack.wait_for_terminal_record("good.mp4", LIMIT).await.unwrap();
    let Outcome::Succeeded(winner) = good.outcome else { panic!("{}", stack.tails(20)) };
    let get = presign(&stack, &["get"], &winner.manifest.key).await;
    let put_bad = stack.clients().s3.put_object().bucket(&stack.deployment.source_bucket).key("bad.mp4");
    put_bad.metadata("note", OF_THE_OBJECT).body(b"no video".to_vec().into()).send().await.unwrap();
    stack.wait_for_terminal_record("bad.mp4", LIMIT).await.unwrap();
    stack.wait_for_empty_queue(LIMIT).await.unwrap();
    stack
        .wait_for("metrics arrive", LIMIT, async || {
            let listed =
                stack.clients().cloudwatch.list_metrics().metric_name("JobsSucceeded").send().await?;
            Ok((!listed.metrics().is_empty()).then_some(()))
        })
        .await
        .unwrap();

    let mut written = Written::new();
    logs(&stack, &mut written);
    records(&stack, &mut written).await;
    services(&stack, &mut written).await;
    // That each kind of place was looked at shows in what is there on purpose.
    let job = good.job.as_str();
    for (place, known) in [
        ("log controller.out", job),
        ("log ", "transcode_task"),
        ("object jobs/", job),
        ("object videos/", "EXTM3U"),
        ("dead letter", "bad.mp4"),
        ("metrics", "JobsSucceeded"),
        ("dashboard", "JobsSucceeded"),
        ("task ", job),
        ("overrides ", job),
    ] {
        let found = written.iter().any(|(name, text)| name.starts_with(place) && text.contains(known));
        assert!(found, "{known} is not in any {place}: {:?}", written.keys());
    }

    let secrets = secrets(&stack, &[put, get]);
    for (what, secret) in &secrets {
        assert!(secret.len() >= 8, "{what}: too short to be looked for");
        // The uploader's own words travel to the events by the heartbeat, and lie nowhere else.
        let travels = |at: &str| *secret == OF_THE_OBJECT && at.ends_with(".heartbeat.json");
        let found: Vec<_> = written
            .iter()
            .filter(|(at, text)| text.contains(secret) && !travels(at))
            .map(|(at, _)| at)
            .collect();
        assert_eq!(found, Vec::<&String>::new(), "a {what} is in");
    }
}
