//! Each fault does what its name says, as often as it was told, and nothing else.

use std::time::{Duration, Instant, SystemTime};

use aws_sdk_ecs::{
    config::timeout::TimeoutConfig,
    error::{ProvideErrorMetadata, SdkError},
    types::TaskStopCode,
};
use serde_json::json;
use transcode_local::{ClientError, Fault, FaultKind, Loss};

use crate::support::{CLUSTER, Fixture, arn, code, fixture, id, stop, until, variable};

fn on(operation: &str, kind: FaultKind) -> Fault {
    Fault { operation: Some(operation.to_owned()), count: Some(1), ..Fault::new(kind) }
}

async fn running(fixture: &Fixture) -> Vec<String> {
    fixture.ecs.list_tasks().cluster(CLUSTER).send().await.unwrap().task_arns.unwrap_or_default()
}

#[tokio::test]
async fn throttles_come_plain_and_wrapped() {
    let fixture = fixture().await;
    fixture.script("sleep 600").await;
    fixture.fault(on("RunTask", FaultKind::Throttle)).await;
    fixture.fault(on("RunTask", FaultKind::ThrottleWrapped)).await;
    assert!(running(&fixture).await.is_empty(), "other operations are not hit");
    assert_eq!(code(fixture.run().send().await), "ThrottlingException");
    let wrapped = fixture.run().send().await.unwrap_err();
    assert_eq!(wrapped.code(), Some("InvalidParameterException"));
    let message = wrapped.message().unwrap();
    assert!(message.contains("Rate exceeded (ErrorCode: Throttling)"), "{message}");
    assert_eq!(fixture.run().send().await.unwrap().tasks().len(), 1);
    let counters = fixture.counters().await;
    assert_eq!(counters["faults"], json!({"throttle": 1, "throttle_wrapped": 1}));
    assert_eq!(counters["tasks"]["launched"], 1);
    assert_eq!(counters["calls"]["RunTask"], 3);
}

#[tokio::test]
async fn any_exception_can_be_had() {
    let fixture = fixture().await;
    let kind = FaultKind::Error {
        code: "BlockedException".to_owned(),
        message: "Your account was blocked.".to_owned(),
        status: 400,
    };
    fixture.fault(on("StopTask", kind)).await;
    let task = fixture.launch("sleep 600").await;
    let refused = fixture.ecs.stop_task().cluster(CLUSTER).task(&task).send().await;
    assert_eq!(code(refused), "BlockedException");
    assert_eq!(fixture.describe(&task).await.desired_status(), Some("RUNNING"));
}

#[tokio::test]
async fn capacity_can_be_away() {
    let fixture = fixture().await;
    fixture.script("sleep 600").await;
    fixture.control.post("faults", &json!({"kind": "failures", "count": 1})).await.unwrap();
    let answer = fixture.run().send().await.unwrap();
    assert!(answer.tasks().is_empty());
    assert!(answer.failures()[0].reason().unwrap().starts_with("Capacity is unavailable at this time"));
    assert_eq!(fixture.run().send().await.unwrap().tasks().len(), 1);
}

#[tokio::test]
async fn a_lost_answer_leaves_the_task_that_its_token_finds() {
    let fixture = fixture().await;
    fixture.script("sleep 600").await;
    for (number, how) in [Loss::Close, Loss::InternalError].into_iter().enumerate() {
        let call = || fixture.run().client_token(format!("t-{number}"));
        fixture.fault(on("RunTask", FaultKind::LostAnswer { how })).await;
        let lost = call().send().await.unwrap_err();
        match how {
            Loss::InternalError => assert_eq!(lost.code(), Some("ServerException")),
            _ => assert!(matches!(lost, SdkError::DispatchFailure(_)), "{lost:?}"),
        }
        let listed = running(&fixture).await;
        assert_eq!(listed.len(), number + 1, "it was launched nevertheless");
        assert_eq!(arn(&call().send().await.unwrap().tasks()[0]), listed[number]);
        assert_eq!(running(&fixture).await, listed);
    }
    assert_eq!(fixture.counters().await["replays"], 2);
}

#[tokio::test]
async fn an_answer_that_never_comes_is_given_up_by_the_caller() {
    let fixture = fixture().await;
    fixture.script("sleep 600").await;
    fixture.fault(on("RunTask", FaultKind::LostAnswer { how: Loss::Hang })).await;
    let patience = TimeoutConfig::builder().operation_timeout(Duration::from_millis(300)).build();
    let hasty = aws_sdk_ecs::config::Builder::default().timeout_config(patience);
    let lost = fixture.run().customize().config_override(hasty).send().await.unwrap_err();
    assert!(matches!(lost, SdkError::TimeoutError(_)), "{lost:?}");
    assert_eq!(running(&fixture).await.len(), 1);
}

#[tokio::test]
async fn a_lost_request_does_nothing() {
    let fixture = fixture().await;
    fixture.script("sleep 600").await;
    fixture.fault(on("RunTask", FaultKind::LostRequest { how: Loss::Close })).await;
    let lost = fixture.run().send().await.unwrap_err();
    assert!(matches!(lost, SdkError::DispatchFailure(_)), "{lost:?}");
    assert!(running(&fixture).await.is_empty());
}

#[tokio::test]
async fn an_answer_can_be_late() {
    let fixture = fixture().await;
    fixture.fault(on("ListTasks", FaultKind::Delay { milliseconds: 200 })).await;
    let before = Instant::now();
    running(&fixture).await;
    assert!(before.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_new_task_can_be_missing_for_a_while() {
    let fixture = fixture().await;
    fixture.fault(Fault::new(FaultKind::Missing { milliseconds: 700 })).await;
    let task = fixture.launch("sleep 600").await;
    let describe = || fixture.ecs.describe_tasks().cluster(CLUSTER).tasks(&task).send();
    let young = describe().await.unwrap();
    assert!(young.tasks().is_empty());
    let failure = &young.failures()[0];
    assert_eq!((failure.arn(), failure.reason()), (Some(task.as_str()), Some("MISSING")));
    assert_eq!(running(&fixture).await, std::slice::from_ref(&task), "lists are not hit");
    until("it is there", async || describe().await.unwrap().tasks.unwrap_or_default().pop()).await;
}

#[tokio::test]
async fn lists_can_be_stale_repeated_and_gapped() {
    let fixture = fixture().await;
    let first = fixture.launch("sleep 600").await;
    let second = fixture.launch("sleep 600").await;
    fixture.once(FaultKind::StaleList { milliseconds: 3_600_000 }).await;
    assert!(running(&fixture).await.is_empty(), "an hour ago there was nothing");
    fixture.once(FaultKind::RepeatedList).await;
    let twice = running(&fixture).await;
    assert_eq!(twice, [first.clone(), second.clone(), first.clone(), second.clone()]);

    let page = |token: Option<String>| {
        fixture.ecs.list_tasks().cluster(CLUSTER).max_results(1).set_next_token(token).send()
    };
    fixture.once(FaultKind::GappedList).await;
    let gap = page(None).await.unwrap();
    assert!(gap.task_arns().is_empty());
    assert_eq!(page(gap.next_token).await.unwrap().task_arns(), [second.clone()]);

    // What has just stopped still looks as if it ran, to who sees the time in the middle of its life.
    until("both are old enough", async || {
        fixture.once(FaultKind::StaleList { milliseconds: 300 }).await;
        (running(&fixture).await.len() == 2).then_some(())
    })
    .await;
    let ended = stop(&fixture, &second).await;
    assert_eq!(running(&fixture).await, std::slice::from_ref(&first));
    let [from, to] = [ended.created_at(), ended.stopping_at()].map(|at| at.unwrap().to_millis().unwrap());
    until("the past is seen", async || {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
        let age = u64::try_from(now).unwrap() - u64::try_from(i64::midpoint(from, to)).unwrap();
        fixture.once(FaultKind::StaleList { milliseconds: age }).await;
        running(&fixture).await.contains(&second).then_some(())
    })
    .await;
    assert_eq!(running(&fixture).await, [first]);
}

#[tokio::test]
async fn a_start_can_fail() {
    let fixture = fixture().await;
    fixture.script("exit 0").await;
    let reason = "CannotPullContainerError: no such image".to_owned();
    fixture.fault(on("RunTask", FaultKind::StartFailure { reason: reason.clone() })).await;
    let failed = arn(&fixture.run().send().await.unwrap().tasks()[0]);
    let fine = arn(&fixture.run().send().await.unwrap().tasks()[0]);
    let ended = fixture.status(&failed, "STOPPED").await;
    assert_eq!(ended.stop_code(), Some(&TaskStopCode::TaskFailedToStart));
    assert_eq!(ended.stopped_reason(), Some(reason.as_str()));
    assert!(ended.containers().is_empty() && ended.started_at().is_none());
    assert!(ended.created_at().is_some() && ended.stopped_at().is_some());
    assert_eq!(fixture.status(&fine, "STOPPED").await.containers()[0].exit_code(), Some(0));
    assert_eq!(fixture.counters().await["tasks"]["started"], 1);
}

#[tokio::test]
async fn a_waiting_task_can_be_made_to_fail() {
    let fixture = fixture().await;
    fixture.script("exit 0").await;
    fixture.fault(on("RunTask", FaultKind::Stuck { phase: "PROVISIONING".to_owned() })).await;
    let task = arn(&fixture.run().send().await.unwrap().tasks()[0]);
    let path = format!("tasks/{}/fail-start", id(&task));
    let fail = || async { fixture.control.post(&path, &json!({"reason": "no network"})).await.unwrap() };
    assert_eq!(fixture.describe(&task).await.last_status(), Some("PROVISIONING"));
    assert_eq!(fail().await, json!({"failed": true}));
    let ended = fixture.status(&task, "STOPPED").await;
    assert_eq!((ended.stopped_reason(), ended.containers().len()), (Some("no network"), 0));
    assert_eq!(fail().await, json!({"failed": false}));
}

#[tokio::test]
async fn a_task_can_be_stuck_until_it_is_stopped() {
    let fixture = fixture().await;
    fixture.script("sleep 600").await;
    fixture.fault(on("RunTask", FaultKind::Stuck { phase: "PENDING".to_owned() })).await;
    let stuck = arn(&fixture.run().send().await.unwrap().tasks()[0]);
    let other = arn(&fixture.run().send().await.unwrap().tasks()[0]);
    fixture.status(&other, "RUNNING").await;
    assert_eq!(fixture.describe(&stuck).await.last_status(), Some("PENDING"));
    assert!(stop(&fixture, &stuck).await.started_at().is_none());
}

#[tokio::test]
async fn an_end_can_go_unnoticed() {
    let fixture = fixture().await;
    fixture.once(FaultKind::NeverStopped).await;
    let task = fixture.launch("echo done").await;
    until("its process is gone", async || {
        let running = fixture.counters().await["tasks"]["running"] == 0;
        (running && fixture.counters().await["tasks"]["started"] == 1).then_some(())
    })
    .await;
    let task = fixture.describe(&task).await;
    assert_eq!((task.last_status(), task.desired_status()), (Some("RUNNING"), Some("RUNNING")));
    assert_eq!(task.containers()[0].exit_code(), None);
}

#[tokio::test]
async fn a_fault_keeps_to_its_job_and_its_rate_and_can_be_cleared() {
    let fixture = fixture().await;
    fixture.script("sleep 600").await;
    let run = |job: &str| fixture.run().overrides(variable("TRANSCODE_JOB", job)).send();
    fixture
        .fault(Fault { job: Some("a".to_owned()), one_in: Some(2), ..Fault::new(FaultKind::Throttle) })
        .await;
    let mut refused = Vec::new();
    for job in ["a", "b", "a", "a", "b"] {
        refused.push(run(job).await.is_err());
    }
    assert_eq!(refused, [true, false, false, true, false]);
    let listed = fixture.control.get("faults").await.unwrap();
    assert_eq!((&listed["faults"][0]["hits"], &listed["faults"][0]["job"]), (&json!(2), &json!("a")));
    assert_eq!(fixture.counters().await["jobs"]["b"]["launched"], 2);
    fixture.control.delete(&format!("faults/{}", listed["faults"][0]["id"])).await.unwrap();
    assert_eq!(fixture.control.get("faults").await.unwrap(), json!({"faults": []}));
    assert!(run("a").await.is_ok());

    let mistyped = fixture.control.post("faults", &json!({"kind": "throttle", "cuont": 1})).await;
    assert!(matches!(mistyped, Err(ClientError::Refused { status: 400, .. })), "{mistyped:?}");
}
