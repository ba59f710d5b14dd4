//! From RunTask to STOPPED.

use std::time::Duration;

use aws_sdk_ecs::types::{
    ContainerDefinition, ContainerOverride, KeyValuePair, Tag, Task, TaskField, TaskOverride, TaskStopCode,
};

use crate::support::{CLUSTER, arn, container, fixture, fixture_with, id, is_alive, until, variable};

#[tokio::test]
async fn a_task_runs_and_its_record_says_how() {
    let fixture = fixture().await;
    fixture.script("exit $CODE").await;
    let tag = Tag::builder().key("team").value("video").build();
    let run = fixture.run().started_by("env/a").tags(tag.clone()).overrides(variable("CODE", "7"));
    let first = run.send().await.unwrap().tasks.unwrap().remove(0);
    assert_eq!((first.last_status(), first.desired_status()), (Some("PROVISIONING"), Some("RUNNING")));
    assert_eq!(first.tags(), [tag.clone()]);

    let task = fixture.status(&arn(&first), "STOPPED").await;
    assert_eq!(task.cluster_arn(), Some("arn:aws:ecs:us-east-1:123456789012:cluster/media"));
    assert!(arn(&task).starts_with("arn:aws:ecs:us-east-1:123456789012:task/media/"));
    assert_eq!(task.task_definition_arn(), Some("arn:aws:ecs:us-east-1:123456789012:task-definition/job:1"));
    assert_eq!((task.group(), task.started_by()), (Some("family:job"), Some("env/a")));
    assert_eq!((task.cpu(), task.memory()), (Some("256"), Some("512")));
    assert_eq!(task.launch_type().map(|kind| kind.as_str()), Some("FARGATE"));
    assert_eq!(task.stop_code(), Some(&TaskStopCode::EssentialContainerExited));
    assert_eq!(task.stopped_reason(), Some("Essential container in task exited"));
    assert_eq!(task.overrides(), first.overrides());
    assert_eq!(task.connectivity().map(|state| state.as_str()), Some("CONNECTED"));
    assert!(task.version() > first.version());
    let container = &task.containers()[0];
    assert_eq!((container.exit_code(), container.last_status()), (Some(7), Some("STOPPED")));
    assert_eq!((container.name(), container.image()), (Some("main"), Some("registry/shell:1")));
    assert_in_order(&task);

    assert!(task.tags().is_empty(), "tags come only when asked for");
    let with_tags =
        fixture.ecs.describe_tasks().cluster(CLUSTER).tasks(id(&arn(&task))).include(TaskField::Tags);
    assert_eq!(with_tags.send().await.unwrap().tasks()[0].tags(), [tag]);
}

#[tokio::test]
async fn a_task_says_which_image_was_pulled_for_it() {
    let fixture = fixture().await;
    fixture.script("exit 0").await;
    let digest = async |digest: &str| {
        let body = serde_json::json!({"image": "registry/shell:1", "digest": digest});
        fixture.control.post("images", &body).await.unwrap();
    };
    digest("sha256:1").await;
    let first = fixture.run().send().await.unwrap().tasks.unwrap().remove(0);
    assert_eq!(first.containers()[0].image_digest(), None, "it is not pulled yet");
    digest("sha256:2").await;
    let second = fixture.run().send().await.unwrap().tasks.unwrap().remove(0);
    for (task, digest) in [(first, "sha256:1"), (second, "sha256:2")] {
        let task = fixture.status(&arn(&task), "STOPPED").await;
        assert_eq!(task.containers()[0].image_digest(), Some(digest));
    }
}

fn assert_in_order(task: &Task) {
    let times = [
        task.created_at(),
        task.pull_started_at(),
        task.pull_stopped_at(),
        task.started_at(),
        task.stopping_at(),
        task.execution_stopped_at(),
        task.stopped_at(),
    ];
    let times: Vec<f64> = times.iter().map(|at| at.unwrap().as_secs_f64()).collect();
    assert!(times.is_sorted(), "{times:?}");
}

#[tokio::test]
async fn each_phase_lasts_its_delay_and_is_seen() {
    let delay = Duration::from_millis(200);
    let fixture = fixture_with(|config| {
        (config.delays.provisioning, config.delays.pending, config.delays.deprovisioning) =
            (delay, delay, delay);
    })
    .await;
    let task = fixture.launch("exit 0").await;
    let mut seen: Vec<String> = Vec::new();
    let last = until("the task stops", async || {
        let task = fixture.describe(&task).await;
        let status = task.last_status().unwrap().to_owned();
        if seen.last() != Some(&status) {
            seen.push(status);
        }
        task.stopped_at().is_some().then_some(task)
    })
    .await;
    // RUNNING is as short as the script.
    seen.retain(|status| status != "RUNNING");
    assert_eq!(seen, ["PROVISIONING", "PENDING", "DEPROVISIONING", "STOPPED"]);
    let seconds = |from: Option<&aws_sdk_ecs::primitives::DateTime>,
                   to: Option<&aws_sdk_ecs::primitives::DateTime>| {
        to.unwrap().as_secs_f64() - from.unwrap().as_secs_f64()
    };
    assert!(seconds(last.created_at(), last.pull_started_at()) >= 0.199);
    assert!(seconds(last.pull_started_at(), last.started_at()) >= 0.199);
    assert!(seconds(last.execution_stopped_at(), last.stopped_at()) >= 0.199);
}

#[tokio::test]
async fn a_death_by_signal_is_128_and_the_signal() {
    let fixture = fixture().await;
    let task = fixture.launch("kill -SEGV $$").await;
    assert_eq!(fixture.status(&task, "STOPPED").await.containers()[0].exit_code(), Some(139));
}

#[tokio::test]
async fn the_environment_is_the_tasks_own() {
    let fixture = fixture_with(|config| {
        config.task_environment.push(("GIVEN".to_owned(), "to every task".to_owned()));
        config.region = "eu-west-3".to_owned();
    })
    .await;
    let pair = |name: &str, value: &str| KeyValuePair::builder().name(name).value(value).build();
    let main = ContainerDefinition::builder()
        .name("main")
        .image("shell")
        .entry_point("/image/entry")
        .entry_point("-c")
        .command("exit 99")
        .environment(pair("A", "definition"))
        .environment(pair("B", "definition"))
        .build();
    fixture.definition("job").container_definitions(main).send().await.unwrap();
    let change =
        ContainerOverride::builder().name("main").environment(pair("B", "override")).command("env; pwd");
    let overrides = TaskOverride::builder().container_overrides(change.build()).build();
    let task = arn(&fixture.run().overrides(overrides).send().await.unwrap().tasks()[0]);
    assert_eq!(fixture.status(&task, "STOPPED").await.containers()[0].exit_code(), Some(0));

    let log = std::fs::read_to_string(fixture.log(&task)).unwrap();
    let folder = fixture.folder.path().canonicalize().unwrap().join("work").join(id(&task));
    let own = [
        "A=definition".to_owned(),
        "B=override".to_owned(),
        "GIVEN=to every task".to_owned(),
        "AWS_REGION=eu-west-3".to_owned(),
        format!("TMPDIR={}", folder.display()),
        format!("ECS_CONTAINER_METADATA_URI_V4={}/v4/{}-0", fixture.server.endpoint(), id(&task)),
        folder.display().to_string(),
    ];
    for line in own {
        assert!(log.lines().any(|one| one == line), "{line} is not in\n{log}");
    }
    // This test's own variables, such as cargo's, are not passed on.
    assert!(!log.contains("CARGO"), "{log}");
}

#[tokio::test]
async fn an_image_without_a_program_cannot_be_pulled() {
    let fixture = fixture().await;
    let main = ContainerDefinition::builder().name("main").image("registry/other:1").build();
    fixture.definition("job").container_definitions(main).send().await.unwrap();
    let task = arn(&fixture.run().send().await.unwrap().tasks()[0]);
    let task = fixture.status(&task, "STOPPED").await;
    assert_eq!(task.stop_code(), Some(&TaskStopCode::TaskFailedToStart));
    assert!(task.stopped_reason().unwrap().starts_with("CannotPullContainerError"));
    assert!(task.containers().is_empty() && task.started_at().is_none());
}

#[tokio::test]
async fn a_program_that_cannot_run_fails_the_start() {
    let missing = transcode_local::Program { image_part: "broken".into(), path: "/no/such/program".into() };
    let fixture = fixture_with(|config| config.programs.push(missing)).await;
    let broken = ContainerDefinition::builder().name("side").image("broken").essential(false).build();
    let definition = fixture.definition("job").container_definitions(container("sleep 600"));
    definition.container_definitions(broken).send().await.unwrap();
    let task = arn(&fixture.run().send().await.unwrap().tasks()[0]);
    let task = fixture.status(&task, "STOPPED").await;
    assert!(task.stopped_reason().unwrap().starts_with("CannotStartContainerError"));
    assert_eq!(fixture.counters().await["tasks"]["started"], 0);
    assert!(fixture.processes(&arn(&task)).await.is_empty());
}

#[tokio::test]
async fn when_the_essential_container_ends_the_others_are_stopped() {
    let fixture = fixture().await;
    let side = |name: &str, script: &str| {
        let command = ["-c".to_owned(), script.to_owned()].to_vec();
        ContainerDefinition::builder()
            .name(name)
            .image("shell")
            .essential(false)
            .set_command(Some(command))
            .build()
    };
    fixture
        .definition("job")
        .container_definitions(container("sleep 0.2; exit 4"))
        .container_definitions(side("helper", "exec sleep 600"))
        .container_definitions(side("short", "exit 5"))
        .send()
        .await
        .unwrap();
    let task = arn(&fixture.run().send().await.unwrap().tasks()[0]);
    let task = fixture.status(&task, "STOPPED").await;
    let codes: Vec<_> = task.containers().iter().map(|one| one.exit_code()).collect();
    assert_eq!(codes, [Some(4), Some(143), Some(5)]);
}

#[tokio::test]
async fn processes_that_outlive_the_first_one_are_ended() {
    let fixture = fixture().await;
    let script = "sleep 600 & echo $! ; setsid sleep 600 & echo $! ; echo ready; read line < fifo";
    let task = fixture.launch(&format!("mkfifo fifo; {script}")).await;
    fixture.line(&task, "ready").await;
    let pids = until("three processes", async || {
        let pids = fixture.processes(&task).await;
        (pids.len() >= 3).then_some(pids)
    })
    .await;
    fixture
        .control
        .post(&format!("tasks/{}/signal", id(&task)), &serde_json::json!({"signal": 15}))
        .await
        .unwrap();
    assert_eq!(fixture.status(&task, "STOPPED").await.containers()[0].exit_code(), Some(143));
    // A session of its own, in a group of its own, without a parent: only the first is promised to be found.
    let own_session: Vec<_> = pids.iter().filter(|pid| is_alive(**pid)).collect();
    assert!(own_session.len() <= 1, "{pids:?}");
    for pid in own_session {
        let killed = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
        assert!(killed.success());
    }
}

#[tokio::test]
async fn output_is_cut_at_its_limit_and_the_task_goes_on() {
    let fixture = fixture_with(|config| config.log_limit = 1000).await;
    let task = fixture.launch("head -c 300000 /dev/zero | tr '\\0' x; echo done >&2; exit 3").await;
    assert_eq!(fixture.status(&task, "STOPPED").await.containers()[0].exit_code(), Some(3));
    until("the log is complete", async || {
        let log = std::fs::read(fixture.log(&task)).unwrap();
        let text = String::from_utf8(log).unwrap();
        (text == format!("{}\n[output past the limit is left out]\n", "x".repeat(1000))).then_some(())
    })
    .await;
}

#[tokio::test]
async fn several_tasks_are_several_tasks() {
    let fixture = fixture().await;
    fixture.script("exit 0").await;
    let answer = fixture.run().count(10).send().await.unwrap();
    let arns: std::collections::BTreeSet<_> = answer.tasks().iter().map(arn).collect();
    assert_eq!(arns.len(), 10);
    for task in &arns {
        fixture.status(task, "STOPPED").await;
    }
}
