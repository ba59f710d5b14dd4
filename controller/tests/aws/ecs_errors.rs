//! ECS' refusals, and calls without an answer.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use transcode_controller::aws::Ecs;
use transcode_core::{
    effects::ports::Cluster,
    protocol::{
        fact::{ErrorClass, Pinned, Refusal, Resolution},
        task_view::{TaskArn, TaskStatus},
    },
};

use crate::{
    stub::{Answer, REQUEST_ID, Stub},
    support::{adapter, claim, job, settings},
};

async fn ecs(answers: impl IntoIterator<Item = Answer>) -> (Ecs, Stub) {
    let stub = Stub::start(answers).await;
    let settings = settings();
    (adapter(&stub.endpoint, &settings), stub)
}

/// The result of a launch under this answer, and the number of requests.
async fn launch(answer: Answer) -> (Result<TaskArn, Refusal>, usize) {
    let (ecs, stub) = ecs([answer]).await;
    let result = ecs.launch(&claim(&job("x"), 1)).await;
    (result, stub.sent().len())
}

fn class(result: Result<TaskArn, Refusal>) -> ErrorClass {
    match result.unwrap_err() {
        Refusal::Failed(error) => error.class,
        Refusal::Definitive(reason) => panic!("definitive: {reason}"),
    }
}

#[tokio::test]
async fn a_refused_launch_has_its_class_and_is_sent_once() {
    let wrapped = "Rate exceeded (Service: AmazonECS; Status Code: 400; ErrorCode: Throttling)";
    for (answer, expected) in [
        (Stub::error(400, "ThrottlingException", "Rate exceeded"), ErrorClass::Throttled),
        (Stub::error(400, "InvalidParameterException", wrapped), ErrorClass::Throttled),
        (Stub::error(500, "ServerException", "Internal Error"), ErrorClass::Uncertain),
        (Stub::error(503, "FromTheFuture", ""), ErrorClass::Uncertain),
        (Stub::error(400, "AccessDeniedException", "not authorized"), ErrorClass::Misconfigured),
        (Stub::error(400, "ClusterNotFoundException", "Cluster not found."), ErrorClass::Misconfigured),
        (Stub::error(400, "ClientException", "limit on the number of vCPUs"), ErrorClass::Capacity),
        (Answer::Say(502, "<html>bad gateway</html>".into()), ErrorClass::Uncertain),
        (Answer::Say(200, "not json".into()), ErrorClass::Uncertain),
        (Stub::json(&json!({"tasks": [], "failures": []})), ErrorClass::Uncertain),
        (Stub::json(&json!({"tasks": [], "failures": [{"reason": "MISSING"}]})), ErrorClass::Uncertain),
        (Stub::json(&json!({"__type": "x"})), ErrorClass::Uncertain),
        (Answer::BlackHole, ErrorClass::Uncertain),
    ] {
        let (result, sent) = launch(answer.clone()).await;
        assert_eq!(class(result), expected, "{answer:?}");
        assert_eq!(sent, 1, "{answer:?}");
    }
}

#[tokio::test]
async fn nobody_listening_may_have_happened() {
    let settings = settings();
    let port = transcode_tests::emulator::free_port().unwrap();
    let ecs = adapter(&format!("http://127.0.0.1:{port}"), &settings);
    assert_eq!(class(ecs.launch(&claim(&job("x"), 1)).await), ErrorClass::Uncertain);
}

#[tokio::test]
async fn failures_without_a_task_are_the_last_word_under_this_token() {
    let failures = json!({"tasks": [], "failures": [{"reason": "RESOURCE:ENI", "detail": "no address"}]});
    let (result, _) = launch(Stub::json(&failures)).await;
    assert_eq!(result, Err(Refusal::Definitive("RESOURCE:ENI: no address".into())));
}

#[tokio::test]
async fn a_conflict_names_the_task_that_is_there() {
    let conflict = |ids: Value| {
        let body = json!({"__type": "ConflictException", "message": "in use", "resourceIds": ids});
        Answer::Say(400, body.to_string())
    };
    let (result, _) = launch(conflict(json!(["arn:task/there"]))).await;
    assert_eq!(result, Ok(TaskArn("arn:task/there".into())));
    let (result, _) = launch(conflict(json!([]))).await;
    assert_eq!(class(result), ErrorClass::Permanent);
}

#[tokio::test]
async fn a_task_beside_failures_is_a_task() {
    let both = json!({"tasks": [{"taskArn": "arn:task/1"}], "failures": [{"reason": "RESOURCE:ENI"}]});
    assert_eq!(launch(Stub::json(&both)).await.0, Ok(TaskArn("arn:task/1".into())));
}

#[tokio::test]
async fn reads_are_retried_and_stops_are_not() {
    let broken = Stub::error(500, "ServerException", "Internal Error");
    let known = Stub::json(&json!({"tasks": [{"taskArn": "a", "lastStatus": "RUNNING"}], "failures": []}));
    let (reads, stub) = ecs([broken.clone(), known]).await;
    let views = reads.describe(&[TaskArn("a".into())]).await.unwrap();
    assert_eq!(views[0].1.as_ref().unwrap().status, TaskStatus::Running);
    assert_eq!(stub.sent().len(), 2);

    let (stops, stub) = ecs([broken]).await;
    assert_eq!(stops.stop(&TaskArn("a".into()), "why").await.unwrap_err().class, ErrorClass::Uncertain);
    assert_eq!(stub.sent().len(), 1);
}

#[tokio::test]
async fn a_task_that_ecs_does_not_know_is_stopped() {
    let unknown = Stub::error(400, "InvalidParameterException", "The referenced task was not found.");
    let (ecs, stub) = self::ecs([unknown]).await;
    assert_eq!(ecs.stop(&TaskArn("a".into()), "why").await, Ok(()));
    let sent: Value = serde_json::from_str(&stub.sent()[0].body).unwrap();
    assert_eq!(sent, json!({"cluster": "main", "task": "a", "reason": "why"}));
    let (other, _) = self::ecs([Stub::error(400, "InvalidParameterException", "Identifier is empty.")]).await;
    assert!(other.stop(&TaskArn("a".into()), "why").await.is_err());
}

#[tokio::test]
async fn missing_is_an_answer_and_silence_is_none() {
    let ask = [TaskArn("a".into()), TaskArn("b".into())];
    let one = |reason: &str| {
        Stub::json(&json!({"tasks": [{"taskArn": "a", "lastStatus": "PENDING"}],
            "failures": [{"arn": "b", "reason": reason}]}))
    };
    let (missing, _) = ecs([one("MISSING")]).await;
    let views = missing.describe(&ask).await.unwrap();
    assert!(views[0].1.is_some() && views[1] == (TaskArn("b".into()), None), "{views:?}");
    let (odd, _) = ecs([one("SOMETHING_ELSE")]).await;
    assert_eq!(odd.describe(&ask).await.unwrap_err().class, ErrorClass::Transient);
    let (silent, _) = ecs([Stub::json(&json!({"tasks": [], "failures": []}))]).await;
    assert!(silent.describe(&ask).await.is_err());
}

#[tokio::test]
async fn many_tasks_are_described_by_the_hundred() {
    let arns: Vec<String> = (0..250).map(|number| format!("arn:{number:03}")).collect();
    let answer = |chunk: &[String]| {
        let tasks: Vec<Value> = chunk.iter().map(|arn| json!({"taskArn": arn})).collect();
        Stub::json(&json!({"tasks": tasks, "failures": []}))
    };
    let (ecs, stub) = ecs(arns.chunks(100).map(answer)).await;
    let tasks: Vec<TaskArn> = arns.into_iter().map(|arn| TaskArn(arn.into())).collect();
    let views = ecs.describe(&tasks).await.unwrap();
    assert_eq!(views.into_iter().map(|(arn, _)| arn).collect::<Vec<_>>(), tasks);
    let asked = |body: &str| serde_json::from_str::<Value>(body).unwrap()["tasks"].as_array().unwrap().len();
    assert_eq!(stub.sent().iter().map(|sent| asked(&sent.body)).collect::<Vec<_>>(), [100, 100, 50]);
}

#[tokio::test]
async fn pages_are_merged_as_a_set_and_started_by_is_the_only_filter() {
    let page = |arns: &[&str], next: Option<&str>| Stub::json(&json!({"taskArns": arns, "nextToken": next}));
    let described = json!({"tasks": [{"taskArn": "a"}, {"taskArn": "b"}],
        "failures": [{"arn": "c", "reason": "MISSING"}]});
    let pages = [page(&["a", "b"], Some("2")), page(&[], Some("3")), page(&["b", "c"], None)];
    let (ecs, stub) = ecs(pages.into_iter().chain([Stub::json(&described)])).await;
    let listed: BTreeSet<_> = ecs.list().await.unwrap().into_iter().map(|view| view.arn.0).collect();
    assert_eq!(listed, BTreeSet::from(["a".into(), "b".into()]));
    let first: Value = serde_json::from_str(&stub.sent()[0].body).unwrap();
    assert_eq!(first, json!({"cluster": "main", "startedBy": "transcode-test"}));
    let last: Value = serde_json::from_str(&stub.sent()[3].body).unwrap();
    assert_eq!(last["tasks"], json!(["a", "b", "c"]));
}

#[tokio::test]
async fn a_listing_that_never_ends_is_given_up() {
    let (ecs, stub) = ecs([Stub::json(&json!({"taskArns": ["a"], "nextToken": "again"}))]).await;
    assert_eq!(ecs.list().await.unwrap_err().class, ErrorClass::Transient);
    assert_eq!(stub.sent().len(), 400);
}

#[tokio::test]
async fn a_task_definition_is_looked_up_once_a_minute_and_must_have_our_container() {
    let definition = |container: &str| {
        Stub::json(&json!({"taskDefinition": {"taskDefinitionArn": "arn:td:7",
            "containerDefinitions": [{"name": container, "image": "somewhere.else/task:1"}]}}))
    };
    let (good, stub) = ecs([definition("task")]).await;
    for _ in 0..3 {
        let pinned = Pinned { task_definition: "arn:td:7".into(), image_digest: None };
        assert_eq!(good.task_definition().await, Ok(Resolution::Fit(pinned)), "not in ECR: not looked at");
    }
    assert_eq!(stub.sent().len(), 1);
    let (bad, stub) = ecs([definition("other")]).await;
    for _ in 0..2 {
        let error = bad.task_definition().await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Misconfigured);
        assert!(error.message.contains("no container named task"), "{error}");
    }
    assert_eq!(stub.sent().len(), 2, "a bad definition is not remembered");
}

/// A whole answer, with headers and body, does not belong into logs, notes and terminal records.
#[tokio::test]
async fn an_error_says_what_broke_and_which_request_and_not_the_whole_answer() {
    let page = "<html>".repeat(100);
    for (answer, expected) in [
        (
            Stub::error(400, "ClientException", "no such thing"),
            "ClientException: no such thing (request request-1)",
        ),
        (Answer::Say(502, page.clone()), "HTTP 502: response error: "),
        (Answer::Say(200, page), "HTTP 200: response error: "),
        (Answer::BlackHole, "request has timed out"),
    ] {
        let (result, _) = launch(answer.clone()).await;
        let Refusal::Failed(error) = result.unwrap_err() else { panic!("{answer:?}") };
        assert!(error.message.starts_with(expected), "{answer:?}: {error}");
        assert!(
            !error.message.contains("Response {") && !error.message.contains("<html>"),
            "{answer:?}: {error}"
        );
        let answered = !matches!(answer, Answer::BlackHole);
        assert_eq!(error.message.ends_with(&format!("(request {REQUEST_ID})")), answered, "{error}");
    }
}
