//! ListTasks and DescribeTasks.

use std::collections::BTreeSet;

use aws_sdk_ecs::{operation::list_tasks::builders::ListTasksFluentBuilder, types::DesiredStatus};

use crate::support::{CLUSTER, Fixture, arn, code, container, fixture, fixture_with, stop};

fn list(fixture: &Fixture) -> ListTasksFluentBuilder {
    fixture.ecs.list_tasks().cluster(CLUSTER)
}

async fn listed(call: ListTasksFluentBuilder) -> Vec<String> {
    call.send().await.unwrap().task_arns.unwrap_or_default()
}

#[tokio::test]
async fn a_list_holds_what_is_to_run_unless_asked_otherwise() {
    let fixture = fixture().await;
    let running = fixture.launch("sleep 600").await;
    let stopped = fixture.launch("sleep 600").await;
    fixture.control.post("delays", &serde_json::json!({"provisioningMs": 60_000})).await.unwrap();
    let waiting = fixture.launch("sleep 600").await;
    fixture.status(&running, "RUNNING").await;
    stop(&fixture, &stopped).await;
    assert_eq!(fixture.describe(&waiting).await.last_status(), Some("PROVISIONING"));

    let both = vec![running, waiting];
    assert_eq!(listed(list(&fixture)).await, both);
    assert_eq!(listed(list(&fixture).desired_status(DesiredStatus::Running)).await, both);
    assert_eq!(listed(list(&fixture).desired_status(DesiredStatus::Stopped)).await, [stopped]);
    assert!(listed(list(&fixture).desired_status(DesiredStatus::Pending)).await.is_empty());
}

#[tokio::test]
async fn started_by_is_a_filter_that_stands_alone() {
    let fixture = fixture().await;
    fixture.script("sleep 600").await;
    let mine = arn(&fixture.run().started_by("me").send().await.unwrap().tasks()[0]);
    fixture.run().started_by("me/too").send().await.unwrap();
    fixture.run().send().await.unwrap();
    let call = || list(&fixture).started_by("me");
    assert_eq!(listed(call()).await, std::slice::from_ref(&mine));
    let refused = [
        call().family("job"),
        call().service_name("s"),
        call().launch_type(aws_sdk_ecs::types::LaunchType::Fargate),
        call().desired_status(DesiredStatus::Stopped),
    ];
    for call in refused {
        assert_eq!(code(call.send().await), "InvalidParameterException");
    }
    // What drains or has stopped is not found by it any more, but by its family.
    stop(&fixture, &mine).await;
    assert!(listed(call()).await.is_empty());
    assert_eq!(listed(list(&fixture).family("job").desired_status(DesiredStatus::Stopped)).await, [mine]);
}

#[tokio::test]
async fn a_draining_task_is_already_listed_as_stopped() {
    let fixture = fixture().await;
    let task = fixture.launch("trap '' TERM; echo ready; while :; do sleep 0.05; done").await;
    fixture.line(&task, "ready").await;
    fixture.ecs.stop_task().cluster(CLUSTER).task(&task).send().await.unwrap();
    assert_eq!(fixture.describe(&task).await.last_status(), Some("RUNNING"));
    assert!(listed(list(&fixture)).await.is_empty());
    assert_eq!(listed(list(&fixture).desired_status(DesiredStatus::Stopped)).await, [task]);
}

#[tokio::test]
async fn a_family_is_a_whole_name() {
    let fixture = fixture().await;
    let task = fixture.launch("sleep 600").await;
    fixture.definition("job-2").container_definitions(container("sleep 600")).send().await.unwrap();
    fixture.run().task_definition("job-2").send().await.unwrap();
    assert_eq!(listed(list(&fixture).family("job")).await, [task]);
    assert!(listed(list(&fixture).family("jo")).await.is_empty());
}

#[tokio::test]
async fn pages_hold_everything_once() {
    let fixture = fixture().await;
    fixture.script("sleep 600").await;
    let answer = fixture.run().count(5).send().await.unwrap();
    let mut pages = list(&fixture).into_paginator().page_size(2).send();
    let mut seen = Vec::new();
    while let Some(page) = pages.next().await {
        let arns = page.unwrap().task_arns.unwrap_or_default();
        assert!((1..=2).contains(&arns.len()));
        seen.extend(arns);
    }
    assert_eq!(seen, answer.tasks().iter().map(arn).collect::<Vec<_>>());
    for call in
        [list(&fixture).max_results(101), list(&fixture).max_results(0), list(&fixture).next_token("made up")]
    {
        assert_eq!(code(call.send().await), "InvalidParameterException");
    }
    assert_eq!(code(list(&fixture).cluster("nowhere").send().await), "ClusterNotFoundException");
}

#[tokio::test]
async fn a_description_takes_a_hundred_names() {
    let fixture = fixture().await;
    let task = fixture.launch("sleep 600").await;
    let names = |count: usize| {
        let unknown = (1..count).map(|number| format!("{number:032x}"));
        fixture.ecs.describe_tasks().cluster(CLUSTER).set_tasks(Some(unknown.chain([task.clone()]).collect()))
    };
    let answer = names(100).send().await.unwrap();
    assert_eq!(answer.tasks().iter().map(arn).collect::<Vec<_>>(), [task.clone()]);
    assert!(answer.failures().iter().all(|one| one.reason() == Some("MISSING")));
    let missing: BTreeSet<_> = answer.failures().iter().filter_map(|one| one.arn()).collect();
    assert_eq!(missing.len(), 99);
    assert!(missing.iter().all(|arn| arn.starts_with("arn:aws:ecs:us-east-1:123456789012:task/media/0")));
    assert_eq!(code(names(101).send().await), "InvalidParameterException");
    assert_eq!(
        code(fixture.ecs.describe_tasks().cluster(CLUSTER).set_tasks(Some(Vec::new())).send().await),
        "InvalidParameterException"
    );
}

#[tokio::test]
async fn a_task_is_its_own_clusters() {
    let fixture = fixture().await;
    let task = fixture.launch("sleep 600").await;
    fixture.ecs.create_cluster().cluster_name("other").send().await.unwrap();
    let answer = fixture.ecs.describe_tasks().cluster("other").tasks(&task).send().await.unwrap();
    assert_eq!((answer.tasks().len(), answer.failures()[0].reason()), (0, Some("MISSING")));
    assert!(listed(fixture.ecs.list_tasks().cluster("other")).await.is_empty());
    let refused = fixture.ecs.stop_task().cluster("other").task(&task).send().await;
    assert_eq!(code(refused), "InvalidParameterException");
    assert_eq!(fixture.describe(&task).await.desired_status(), Some("RUNNING"));
}

#[tokio::test]
async fn stopped_records_are_forgotten_after_their_time() {
    let fixture = fixture_with(|config| config.max_stopped_tasks = 2).await;
    let task = fixture.launch("exit 0").await;
    fixture.status(&task, "STOPPED").await;
    let stopped = || list(&fixture).desired_status(DesiredStatus::Stopped);
    fixture.control.post("advance", &serde_json::json!({"seconds": 3500})).await.unwrap();
    assert_eq!(listed(stopped()).await, std::slice::from_ref(&task));
    fixture.control.post("advance", &serde_json::json!({"seconds": 100})).await.unwrap();
    assert!(listed(stopped()).await.is_empty());
    let answer = fixture.ecs.describe_tasks().cluster(CLUSTER).tasks(&task).send().await.unwrap();
    assert_eq!((answer.tasks().len(), answer.failures()[0].reason()), (0, Some("MISSING")));

    // Also when there are too many, the oldest first.
    let mut all = Vec::new();
    for _ in 0..3 {
        let task = fixture.launch("exit 0").await;
        fixture.status(&task, "STOPPED").await;
        all.push(task);
    }
    assert_eq!(listed(stopped()).await, all[1..]);
}
