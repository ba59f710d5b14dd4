//! How tasks end that do not end by themselves: StopTask, memory, Spot.

use aws_sdk_ecs::types::{
    CapacityProviderStrategyItem, ContainerDefinition, Tag, Task, TaskField, TaskStopCode,
};
use serde_json::json;
use transcode_local::{Fault, FaultKind};

use crate::support::{CLUSTER, Fixture, arn, code, container, fixture, fixture_with, id, is_alive, until};

/// A script that reports SIGTERM and ends with 9.
const POLITE: &str = "trap 'echo asked; exit 9' TERM; echo ready; while :; do sleep 0.05; done";
/// A script that does not heed SIGTERM.
const STUBBORN: &str = "trap 'echo asked' TERM; echo ready; while :; do sleep 0.05; done";

async fn tags(fixture: &Fixture, arn: &str) -> Vec<Tag> {
    let call = fixture.ecs.describe_tasks().cluster(CLUSTER).tasks(arn).include(TaskField::Tags);
    call.send().await.unwrap().tasks()[0].tags().to_vec()
}

fn seconds_to_the_end(task: &Task) -> f64 {
    task.execution_stopped_at().unwrap().as_secs_f64() - task.stopping_at().unwrap().as_secs_f64()
}

#[tokio::test]
async fn a_stopped_task_is_asked_and_loses_its_tags() {
    let fixture = fixture().await;
    fixture.script(POLITE).await;
    let tag = Tag::builder().key("team").value("video").build();
    let task = arn(&fixture.run().started_by("me").tags(tag.clone()).send().await.unwrap().tasks()[0]);
    fixture.line(&task, "ready").await;
    assert_eq!(tags(&fixture, &task).await, [tag]);

    let call = || fixture.ecs.stop_task().cluster(CLUSTER).task(&task);
    let answer = call().reason("enough").send().await.unwrap().task.unwrap();
    assert_eq!((answer.last_status(), answer.desired_status()), (Some("RUNNING"), Some("STOPPED")));
    assert!(answer.stopping_at().is_some() && answer.stopped_at().is_none());
    assert!(tags(&fixture, &task).await.is_empty());
    call().reason("once more").send().await.unwrap();

    let ended = fixture.status(&task, "STOPPED").await;
    assert_eq!(ended.stop_code(), Some(&TaskStopCode::UserInitiated));
    assert_eq!((ended.stopped_reason(), ended.started_by()), (Some("enough"), Some("me")));
    assert_eq!(ended.containers()[0].exit_code(), Some(9));
    assert!(tags(&fixture, &task).await.is_empty());
    // A stop of what has stopped changes nothing.
    let late = call().send().await.unwrap().task.unwrap();
    assert_eq!((late.version(), late.stopped_reason()), (ended.version(), Some("enough")));
    assert_eq!(code(call().task("0123").send().await), "InvalidParameterException");
}

#[tokio::test]
async fn a_task_that_does_not_heed_is_killed_after_its_stop_timeout() {
    let fixture = fixture().await;
    let main = ContainerDefinition::builder().name("main").image("shell").stop_timeout(2);
    let main = main.command("-c").command(format!("sleep 600 & {STUBBORN}")).build();
    fixture.definition("job").container_definitions(main).send().await.unwrap();
    let task = arn(&fixture.run().send().await.unwrap().tasks()[0]);
    fixture.line(&task, "ready").await;
    let pids = fixture.processes(&task).await;
    assert!(pids.len() >= 2, "{pids:?}");
    fixture.ecs.stop_task().cluster(CLUSTER).task(&task).send().await.unwrap();
    fixture.line(&task, "asked").await;
    let ended = fixture.status(&task, "STOPPED").await;
    assert_eq!(ended.containers()[0].exit_code(), Some(137));
    assert!((2.0..15.0).contains(&seconds_to_the_end(&ended)), "{ended:?}");
    assert!(!pids.into_iter().any(is_alive), "the first process's children end with it");
}

#[tokio::test]
async fn a_stop_timeout_can_be_cut_short() {
    let fixture = fixture().await;
    fixture.control.post("delays", &json!({"stopTimeoutCapMs": 100})).await.unwrap();
    let task = fixture.launch(STUBBORN).await;
    fixture.line(&task, "ready").await;
    let ended = crate::support::stop(&fixture, &task).await;
    assert_eq!(ended.containers()[0].exit_code(), Some(137));
    assert!((0.1..15.0).contains(&seconds_to_the_end(&ended)));
}

#[tokio::test]
async fn a_task_stopped_before_its_start_never_starts() {
    let fixture = fixture_with(|config| config.delays.pending = std::time::Duration::from_mins(10)).await;
    let task = fixture.launch("exit 0").await;
    fixture.status(&task, "PENDING").await;
    let ended = crate::support::stop(&fixture, &task).await;
    assert_eq!(ended.stop_code(), Some(&TaskStopCode::UserInitiated));
    assert!(ended.started_at().is_none() && ended.containers()[0].exit_code().is_none());
    assert_eq!(fixture.counters().await["tasks"]["started"], 0);
}

/// Fills 64 MB of memory and stays.
const HUNGRY: &str = "x=$(head -c 64000000 /dev/zero | tr '\\0' x); echo full; sleep 600";

#[tokio::test]
async fn a_container_over_its_memory_is_killed() {
    let fixture = fixture_with(|config| config.memory_poll = std::time::Duration::from_millis(20)).await;
    let limited = |script: &str, name: &str, essential: bool| {
        let container =
            ContainerDefinition::builder().name(name).image("shell").memory(24).essential(essential);
        container.command("-c").command(script).build()
    };
    let definition = fixture.definition("job").container_definitions(limited(HUNGRY, "main", true));
    definition.send().await.unwrap();
    let task = arn(&fixture.run().send().await.unwrap().tasks()[0]);
    let ended = fixture.status(&task, "STOPPED").await;
    let hungry = &ended.containers()[0];
    assert_eq!(hungry.exit_code(), Some(137));
    assert!(hungry.reason().unwrap().starts_with("OutOfMemoryError"), "{hungry:?}");
    assert_eq!(ended.stop_code(), Some(&TaskStopCode::EssentialContainerExited));

    // A helper that outgrows its own limit takes nobody with it.
    let definition = fixture.definition("job").container_definitions(container("sleep 600"));
    definition.container_definitions(limited(HUNGRY, "side", false)).send().await.unwrap();
    let task = arn(&fixture.run().send().await.unwrap().tasks()[0]);
    let after = until("the helper is killed", async || {
        let task = fixture.describe(&task).await;
        task.containers()[1].exit_code().is_some().then_some(task)
    })
    .await;
    assert_eq!(after.containers()[1].exit_code(), Some(137));
    assert_eq!((after.last_status(), after.desired_status()), (Some("RUNNING"), Some("RUNNING")));
    assert_eq!(after.containers()[0].last_status(), Some("RUNNING"));
}

#[tokio::test]
async fn the_memory_limit_can_be_overridden() {
    let fixture = fixture_with(|config| config.memory_poll = std::time::Duration::from_millis(20)).await;
    let small = ContainerDefinition::builder().name("main").image("shell").memory(24);
    let small = small.command("-c").command(HUNGRY).build();
    fixture.definition("job").container_definitions(small).send().await.unwrap();
    let larger = aws_sdk_ecs::types::ContainerOverride::builder().name("main").memory(300).build();
    let larger = aws_sdk_ecs::types::TaskOverride::builder().container_overrides(larger).build();
    let task = arn(&fixture.run().overrides(larger).send().await.unwrap().tasks()[0]);
    fixture.line(&task, "full").await;
    assert_eq!(fixture.describe(&task).await.desired_status(), Some("RUNNING"));
}

async fn interrupt(fixture: &Fixture, task: &str, body: serde_json::Value) -> serde_json::Value {
    fixture.control.post(&format!("tasks/{}/interrupt", id(task)), &body).await.unwrap()
}

#[tokio::test]
async fn an_interruption_warns_then_kills() {
    let fixture = fixture().await;
    let task = fixture.launch(POLITE).await;
    fixture.line(&task, "ready").await;
    assert_eq!(interrupt(&fixture, &task, json!({})).await, json!({"interrupted": true}));
    let ended = fixture.status(&task, "STOPPED").await;
    assert_eq!(ended.stop_code(), Some(&TaskStopCode::SpotInterruption));
    assert_eq!(ended.stopped_reason(), Some("Your Spot Task was interrupted."));
    assert_eq!(ended.containers()[0].exit_code(), Some(9));
    assert_eq!(interrupt(&fixture, &task, json!({})).await, json!({"interrupted": false}));

    // Without warning, and as another event of the platform.
    let task = fixture.launch(POLITE).await;
    fixture.line(&task, "ready").await;
    let notice = json!({"warningMilliseconds": 0, "stopCode": "TerminationNotice", "reason": "maintenance"});
    interrupt(&fixture, &task, notice).await;
    let ended = fixture.status(&task, "STOPPED").await;
    assert_eq!(ended.stop_code(), Some(&TaskStopCode::TerminationNotice));
    assert_eq!((ended.stopped_reason(), ended.containers()[0].exit_code()), (Some("maintenance"), Some(137)));
}

#[tokio::test]
async fn only_spot_is_interrupted_by_the_fault() {
    let fixture = fixture().await;
    fixture.script(STUBBORN).await;
    let kind = FaultKind::SpotInterruption { after_milliseconds: 100, warning_milliseconds: Some(100) };
    fixture.fault(Fault::new(kind)).await;
    let spot = CapacityProviderStrategyItem::builder().capacity_provider("FARGATE_SPOT").weight(1).build();
    let call = fixture.run().set_launch_type(None).capacity_provider_strategy(spot.unwrap());
    let spot = arn(&call.send().await.unwrap().tasks()[0]);
    let lasting = arn(&fixture.run().send().await.unwrap().tasks()[0]);
    let ended = fixture.status(&spot, "STOPPED").await;
    assert_eq!(ended.stop_code(), Some(&TaskStopCode::SpotInterruption));
    assert_eq!(ended.containers()[0].exit_code(), Some(137));
    assert!(seconds_to_the_end(&ended) >= 0.1);
    assert_eq!(fixture.describe(&lasting).await.desired_status(), Some("RUNNING"));
    assert_eq!(fixture.counters().await["faults"], json!({"spot_interruption": 1}));
}
