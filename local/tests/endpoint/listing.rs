//! ListTasks and DescribeTasks.

use std::collections::BTreeSet;

use aws_sdk_ecs::{operation::list_tasks::builders::ListTasksFluentBuilder, types::DesiredStatus};

use crate::support::{CLUSTER, World, arn, code, container, stop, world, world_with};

fn list(world: &World) -> ListTasksFluentBuilder {
    world.ecs.list_tasks().cluster(CLUSTER)
}

async fn listed(call: ListTasksFluentBuilder) -> Vec<String> {
    call.send().await.unwrap().task_arns.unwrap_or_default()
}

#[tokio::test]
async fn a_list_holds_what_is_to_run_unless_asked_otherwise() {
    let world = world().await;
    let running = world.launch("sleep 600").await;
    let stopped = world.launch("sleep 600").await;
    world.control.post("delays", &serde_json::json!({"provisioningMs": 60_000})).await.unwrap();
    let waiting = world.launch("sleep 600").await;
    world.status(&running, "RUNNING").await;
    stop(&world, &stopped).await;
    assert_eq!(world.describe(&waiting).await.last_status(), Some("PROVISIONING"));

    let both = vec![running, waiting];
    assert_eq!(listed(list(&world)).await, both);
    assert_eq!(listed(list(&world).desired_status(DesiredStatus::Running)).await, both);
    assert_eq!(listed(list(&world).desired_status(DesiredStatus::Stopped)).await, [stopped]);
    assert!(listed(list(&world).desired_status(DesiredStatus::Pending)).await.is_empty());
}

#[tokio::test]
async fn started_by_is_a_filter_that_stands_alone() {
    let world = world().await;
    world.script("sleep 600").await;
    let mine = arn(&world.run().started_by("me").send().await.unwrap().tasks()[0]);
    world.run().started_by("me/too").send().await.unwrap();
    world.run().send().await.unwrap();
    let call = || list(&world).started_by("me");
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
    stop(&world, &mine).await;
    assert!(listed(call()).await.is_empty());
    assert_eq!(listed(list(&world).family("job").desired_status(DesiredStatus::Stopped)).await, [mine]);
}

#[tokio::test]
async fn a_draining_task_is_already_listed_as_stopped() {
    let world = world().await;
    let task = world.launch("trap '' TERM; echo ready; while :; do sleep 0.05; done").await;
    world.line(&task, "ready").await;
    world.ecs.stop_task().cluster(CLUSTER).task(&task).send().await.unwrap();
    assert_eq!(world.describe(&task).await.last_status(), Some("RUNNING"));
    assert!(listed(list(&world)).await.is_empty());
    assert_eq!(listed(list(&world).desired_status(DesiredStatus::Stopped)).await, [task]);
}

#[tokio::test]
async fn a_family_is_a_whole_name() {
    let world = world().await;
    let task = world.launch("sleep 600").await;
    world.definition("job-2").container_definitions(container("sleep 600")).send().await.unwrap();
    world.run().task_definition("job-2").send().await.unwrap();
    assert_eq!(listed(list(&world).family("job")).await, [task]);
    assert!(listed(list(&world).family("jo")).await.is_empty());
}

#[tokio::test]
async fn pages_hold_everything_once() {
    let world = world().await;
    world.script("sleep 600").await;
    let answer = world.run().count(5).send().await.unwrap();
    let mut pages = list(&world).into_paginator().page_size(2).send();
    let mut seen = Vec::new();
    while let Some(page) = pages.next().await {
        let arns = page.unwrap().task_arns.unwrap_or_default();
        assert!((1..=2).contains(&arns.len()));
        seen.extend(arns);
    }
    assert_eq!(seen, answer.tasks().iter().map(arn).collect::<Vec<_>>());
    for call in
        [list(&world).max_results(101), list(&world).max_results(0), list(&world).next_token("made up")]
    {
        assert_eq!(code(call.send().await), "InvalidParameterException");
    }
    assert_eq!(code(list(&world).cluster("nowhere").send().await), "ClusterNotFoundException");
}

#[tokio::test]
async fn a_description_takes_a_hundred_names() {
    let world = world().await;
    let task = world.launch("sleep 600").await;
    let names = |count: usize| {
        let unknown = (1..count).map(|number| format!("{number:032x}"));
        world.ecs.describe_tasks().cluster(CLUSTER).set_tasks(Some(unknown.chain([task.clone()]).collect()))
    };
    let answer = names(100).send().await.unwrap();
    assert_eq!(answer.tasks().iter().map(arn).collect::<Vec<_>>(), [task.clone()]);
    assert!(answer.failures().iter().all(|one| one.reason() == Some("MISSING")));
    let missing: BTreeSet<_> = answer.failures().iter().filter_map(|one| one.arn()).collect();
    assert_eq!(missing.len(), 99);
    assert!(missing.iter().all(|arn| arn.starts_with("arn:aws:ecs:us-east-1:123456789012:task/media/0")));
    assert_eq!(code(names(101).send().await), "InvalidParameterException");
    assert_eq!(
        code(world.ecs.describe_tasks().cluster(CLUSTER).set_tasks(Some(Vec::new())).send().await),
        "InvalidParameterException"
    );
}

#[tokio::test]
async fn a_task_is_its_own_clusters() {
    let world = world().await;
    let task = world.launch("sleep 600").await;
    world.ecs.create_cluster().cluster_name("other").send().await.unwrap();
    let answer = world.ecs.describe_tasks().cluster("other").tasks(&task).send().await.unwrap();
    assert_eq!((answer.tasks().len(), answer.failures()[0].reason()), (0, Some("MISSING")));
    assert!(listed(world.ecs.list_tasks().cluster("other")).await.is_empty());
    let refused = world.ecs.stop_task().cluster("other").task(&task).send().await;
    assert_eq!(code(refused), "InvalidParameterException");
    assert_eq!(world.describe(&task).await.desired_status(), Some("RUNNING"));
}

#[tokio::test]
async fn stopped_records_are_forgotten_after_their_time() {
    let world = world_with(|config| config.max_stopped_tasks = 2).await;
    let task = world.launch("exit 0").await;
    world.status(&task, "STOPPED").await;
    let stopped = || list(&world).desired_status(DesiredStatus::Stopped);
    world.control.post("advance", &serde_json::json!({"seconds": 3500})).await.unwrap();
    assert_eq!(listed(stopped()).await, std::slice::from_ref(&task));
    world.control.post("advance", &serde_json::json!({"seconds": 100})).await.unwrap();
    assert!(listed(stopped()).await.is_empty());
    let answer = world.ecs.describe_tasks().cluster(CLUSTER).tasks(&task).send().await.unwrap();
    assert_eq!((answer.tasks().len(), answer.failures()[0].reason()), (0, Some("MISSING")));

    // Also when there are too many, the oldest first.
    let mut all = Vec::new();
    for _ in 0..3 {
        let task = world.launch("exit 0").await;
        world.status(&task, "STOPPED").await;
        all.push(task);
    }
    assert_eq!(listed(stopped()).await, all[1..]);
}
