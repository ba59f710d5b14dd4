//! Each fault does what its name says, as often as it was told, and nothing else.

use std::time::{Duration, Instant, SystemTime};

use aws_sdk_ecs::{
    config::timeout::TimeoutConfig,
    error::{ProvideErrorMetadata, SdkError},
    types::TaskStopCode,
};
use serde_json::json;
use transcode_local::{ClientError, Fault, FaultKind, Loss};

use crate::support::{CLUSTER, World, arn, code, id, stop, until, variable, world};

fn on(operation: &str, kind: FaultKind) -> Fault {
    Fault { operation: Some(operation.to_owned()), count: Some(1), ..Fault::new(kind) }
}

async fn running(world: &World) -> Vec<String> {
    world.ecs.list_tasks().cluster(CLUSTER).send().await.unwrap().task_arns.unwrap_or_default()
}

#[tokio::test]
async fn throttles_come_plain_and_wrapped() {
    let world = world().await;
    world.script("sleep 600").await;
    world.fault(on("RunTask", FaultKind::Throttle)).await;
    world.fault(on("RunTask", FaultKind::ThrottleWrapped)).await;
    assert!(running(&world).await.is_empty(), "other operations are not hit");
    assert_eq!(code(world.run().send().await), "ThrottlingException");
    let wrapped = world.run().send().await.unwrap_err();
    assert_eq!(wrapped.code(), Some("InvalidParameterException"));
    let message = wrapped.message().unwrap();
    assert!(message.contains("Rate exceeded (ErrorCode: Throttling)"), "{message}");
    assert_eq!(world.run().send().await.unwrap().tasks().len(), 1);
    let counters = world.counters().await;
    assert_eq!(counters["faults"], json!({"throttle": 1, "throttle_wrapped": 1}));
    assert_eq!(counters["tasks"]["launched"], 1);
    assert_eq!(counters["calls"]["RunTask"], 3);
}

#[tokio::test]
async fn any_exception_can_be_had() {
    let world = world().await;
    let kind = FaultKind::Error {
        code: "BlockedException".to_owned(),
        message: "Your account was blocked.".to_owned(),
        status: 400,
    };
    world.fault(on("StopTask", kind)).await;
    let task = world.launch("sleep 600").await;
    let refused = world.ecs.stop_task().cluster(CLUSTER).task(&task).send().await;
    assert_eq!(code(refused), "BlockedException");
    assert_eq!(world.describe(&task).await.desired_status(), Some("RUNNING"));
}

#[tokio::test]
async fn capacity_can_be_away() {
    let world = world().await;
    world.script("sleep 600").await;
    world.control.post("faults", &json!({"kind": "failures", "count": 1})).await.unwrap();
    let answer = world.run().send().await.unwrap();
    assert!(answer.tasks().is_empty());
    assert!(answer.failures()[0].reason().unwrap().starts_with("Capacity is unavailable at this time"));
    assert_eq!(world.run().send().await.unwrap().tasks().len(), 1);
}

#[tokio::test]
async fn a_lost_answer_leaves_the_task_that_its_token_finds() {
    let world = world().await;
    world.script("sleep 600").await;
    for (number, how) in [Loss::Close, Loss::InternalError].into_iter().enumerate() {
        let call = || world.run().client_token(format!("t-{number}"));
        world.fault(on("RunTask", FaultKind::LostAnswer { how })).await;
        let lost = call().send().await.unwrap_err();
        match how {
            Loss::InternalError => assert_eq!(lost.code(), Some("ServerException")),
            _ => assert!(matches!(lost, SdkError::DispatchFailure(_)), "{lost:?}"),
        }
        let listed = running(&world).await;
        assert_eq!(listed.len(), number + 1, "it was launched nevertheless");
        assert_eq!(arn(&call().send().await.unwrap().tasks()[0]), listed[number]);
        assert_eq!(running(&world).await, listed);
    }
    assert_eq!(world.counters().await["replays"], 2);
}

#[tokio::test]
async fn an_answer_that_never_comes_is_given_up_by_the_caller() {
    let world = world().await;
    world.script("sleep 600").await;
    world.fault(on("RunTask", FaultKind::LostAnswer { how: Loss::Hang })).await;
    let patience = TimeoutConfig::builder().operation_timeout(Duration::from_millis(300)).build();
    let hasty = aws_sdk_ecs::config::Builder::default().timeout_config(patience);
    let lost = world.run().customize().config_override(hasty).send().await.unwrap_err();
    assert!(matches!(lost, SdkError::TimeoutError(_)), "{lost:?}");
    assert_eq!(running(&world).await.len(), 1);
}

#[tokio::test]
async fn a_lost_request_does_nothing() {
    let world = world().await;
    world.script("sleep 600").await;
    world.fault(on("RunTask", FaultKind::LostRequest { how: Loss::Close })).await;
    let lost = world.run().send().await.unwrap_err();
    assert!(matches!(lost, SdkError::DispatchFailure(_)), "{lost:?}");
    assert!(running(&world).await.is_empty());
}

#[tokio::test]
async fn an_answer_can_be_late() {
    let world = world().await;
    world.fault(on("ListTasks", FaultKind::Delay { milliseconds: 200 })).await;
    let before = Instant::now();
    running(&world).await;
    assert!(before.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_new_task_can_be_missing_for_a_while() {
    let world = world().await;
    world.fault(Fault::new(FaultKind::Missing { milliseconds: 700 })).await;
    let task = world.launch("sleep 600").await;
    let describe = || world.ecs.describe_tasks().cluster(CLUSTER).tasks(&task).send();
    let young = describe().await.unwrap();
    assert!(young.tasks().is_empty());
    let failure = &young.failures()[0];
    assert_eq!((failure.arn(), failure.reason()), (Some(task.as_str()), Some("MISSING")));
    assert_eq!(running(&world).await, std::slice::from_ref(&task), "lists are not hit");
    until("it is there", async || describe().await.unwrap().tasks.unwrap_or_default().pop()).await;
}

#[tokio::test]
async fn lists_can_be_stale_repeated_and_gapped() {
    let world = world().await;
    let first = world.launch("sleep 600").await;
    let second = world.launch("sleep 600").await;
    world.once(FaultKind::StaleList { milliseconds: 3_600_000 }).await;
    assert!(running(&world).await.is_empty(), "an hour ago there was nothing");
    world.once(FaultKind::RepeatedList).await;
    let twice = running(&world).await;
    assert_eq!(twice, [first.clone(), second.clone(), first.clone(), second.clone()]);

    let page = |token: Option<String>| {
        world.ecs.list_tasks().cluster(CLUSTER).max_results(1).set_next_token(token).send()
    };
    world.once(FaultKind::GappedList).await;
    let gap = page(None).await.unwrap();
    assert!(gap.task_arns().is_empty());
    assert_eq!(page(gap.next_token).await.unwrap().task_arns(), [second.clone()]);

    // What has just stopped still looks as if it ran, to who sees the time in the middle of its life.
    until("both are old enough", async || {
        world.once(FaultKind::StaleList { milliseconds: 300 }).await;
        (running(&world).await.len() == 2).then_some(())
    })
    .await;
    let ended = stop(&world, &second).await;
    assert_eq!(running(&world).await, std::slice::from_ref(&first));
    let [from, to] = [ended.created_at(), ended.stopping_at()].map(|at| at.unwrap().to_millis().unwrap());
    until("the past is seen", async || {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
        let age = u64::try_from(now).unwrap() - u64::try_from(i64::midpoint(from, to)).unwrap();
        world.once(FaultKind::StaleList { milliseconds: age }).await;
        running(&world).await.contains(&second).then_some(())
    })
    .await;
    assert_eq!(running(&world).await, [first]);
}

#[tokio::test]
async fn a_start_can_fail() {
    let world = world().await;
    world.script("exit 0").await;
    let reason = "CannotPullContainerError: no such image".to_owned();
    world.fault(on("RunTask", FaultKind::StartFailure { reason: reason.clone() })).await;
    let failed = arn(&world.run().send().await.unwrap().tasks()[0]);
    let fine = arn(&world.run().send().await.unwrap().tasks()[0]);
    let ended = world.status(&failed, "STOPPED").await;
    assert_eq!(ended.stop_code(), Some(&TaskStopCode::TaskFailedToStart));
    assert_eq!(ended.stopped_reason(), Some(reason.as_str()));
    assert!(ended.containers().is_empty() && ended.started_at().is_none());
    assert!(ended.created_at().is_some() && ended.stopped_at().is_some());
    assert_eq!(world.status(&fine, "STOPPED").await.containers()[0].exit_code(), Some(0));
    assert_eq!(world.counters().await["tasks"]["started"], 1);
}

#[tokio::test]
async fn a_waiting_task_can_be_made_to_fail() {
    let world = world().await;
    world.script("exit 0").await;
    world.fault(on("RunTask", FaultKind::Stuck { phase: "PROVISIONING".to_owned() })).await;
    let task = arn(&world.run().send().await.unwrap().tasks()[0]);
    let path = format!("tasks/{}/fail-start", id(&task));
    let fail = || async { world.control.post(&path, &json!({"reason": "no network"})).await.unwrap() };
    assert_eq!(world.describe(&task).await.last_status(), Some("PROVISIONING"));
    assert_eq!(fail().await, json!({"failed": true}));
    let ended = world.status(&task, "STOPPED").await;
    assert_eq!((ended.stopped_reason(), ended.containers().len()), (Some("no network"), 0));
    assert_eq!(fail().await, json!({"failed": false}));
}

#[tokio::test]
async fn a_task_can_be_stuck_until_it_is_stopped() {
    let world = world().await;
    world.script("sleep 600").await;
    world.fault(on("RunTask", FaultKind::Stuck { phase: "PENDING".to_owned() })).await;
    let stuck = arn(&world.run().send().await.unwrap().tasks()[0]);
    let other = arn(&world.run().send().await.unwrap().tasks()[0]);
    world.status(&other, "RUNNING").await;
    assert_eq!(world.describe(&stuck).await.last_status(), Some("PENDING"));
    assert!(stop(&world, &stuck).await.started_at().is_none());
}

#[tokio::test]
async fn an_end_can_go_unnoticed() {
    let world = world().await;
    world.once(FaultKind::NeverStopped).await;
    let task = world.launch("echo done").await;
    until("its process is gone", async || {
        let running = world.counters().await["tasks"]["running"] == 0;
        (running && world.counters().await["tasks"]["started"] == 1).then_some(())
    })
    .await;
    let task = world.describe(&task).await;
    assert_eq!((task.last_status(), task.desired_status()), (Some("RUNNING"), Some("RUNNING")));
    assert_eq!(task.containers()[0].exit_code(), None);
}

#[tokio::test]
async fn a_fault_keeps_to_its_job_and_its_rate_and_can_be_cleared() {
    let world = world().await;
    world.script("sleep 600").await;
    let run = |job: &str| world.run().overrides(variable("TRANSCODE_JOB", job)).send();
    world
        .fault(Fault { job: Some("a".to_owned()), one_in: Some(2), ..Fault::new(FaultKind::Throttle) })
        .await;
    let mut refused = Vec::new();
    for job in ["a", "b", "a", "a", "b"] {
        refused.push(run(job).await.is_err());
    }
    assert_eq!(refused, [true, false, false, true, false]);
    let listed = world.control.get("faults").await.unwrap();
    assert_eq!((&listed["faults"][0]["hits"], &listed["faults"][0]["job"]), (&json!(2), &json!("a")));
    assert_eq!(world.counters().await["jobs"]["b"]["launched"], 2);
    world.control.delete(&format!("faults/{}", listed["faults"][0]["id"])).await.unwrap();
    assert_eq!(world.control.get("faults").await.unwrap(), json!({"faults": []}));
    assert!(run("a").await.is_ok());

    let mistyped = world.control.post("faults", &json!({"kind": "throttle", "cuont": 1})).await;
    assert!(matches!(mistyped, Err(ClientError::Refused { status: 400, .. })), "{mistyped:?}");
}
