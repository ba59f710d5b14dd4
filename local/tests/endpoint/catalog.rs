//! Clusters and task definitions: registered here, or taken over from where CloudFormation made them.

use aws_sdk_ecs::types::{Tag, TaskDefinitionField, TaskDefinitionStatus};

use crate::support::{CLUSTER, arn, client, code, container, fixture, fixture_with, stop};

#[tokio::test]
async fn a_family_has_revisions() {
    let fixture = fixture().await;
    let tag = Tag::builder().key("team").value("video").build();
    let definition = || fixture.definition("job").container_definitions(container("exit 0"));
    let first = definition().tags(tag.clone()).send().await.unwrap();
    assert_eq!(first.task_definition().unwrap().revision(), 1);
    definition().send().await.unwrap();
    let describe = |name: &str| fixture.ecs.describe_task_definition().task_definition(name).send();

    let newest = describe("job").await.unwrap().task_definition.unwrap();
    assert_eq!((newest.revision(), newest.cpu(), newest.memory()), (2, Some("256"), Some("512")));
    assert_eq!(newest.status(), Some(&TaskDefinitionStatus::Active));
    fixture.ecs.deregister_task_definition().task_definition("job:2").send().await.unwrap();
    assert_eq!(describe("job").await.unwrap().task_definition.unwrap().revision(), 1);
    let inactive = describe("job:2").await.unwrap().task_definition.unwrap();
    assert_eq!(inactive.status(), Some(&TaskDefinitionStatus::Inactive));
    assert_eq!(code(describe("nothing").await), "ClientException");

    let call =
        fixture.ecs.describe_task_definition().task_definition("job:1").include(TaskDefinitionField::Tags);
    assert_eq!(call.send().await.unwrap().tags(), [tag]);
    assert!(describe("job:1").await.unwrap().tags().is_empty());
}

#[tokio::test]
async fn what_fargate_cannot_run_is_not_registered() {
    let fixture = fixture().await;
    let definition = || fixture.definition("job").container_definitions(container("exit 0"));
    let refused = [
        definition().cpu("256").memory("4096"),
        definition().network_mode("bridge".into()),
        definition().family("a b"),
        fixture.definition("job"),
    ];
    for call in refused {
        assert_eq!(code(call.send().await), "ClientException");
    }
}

#[tokio::test]
async fn a_cluster_counts_its_tasks() {
    let fixture = fixture().await;
    let task = fixture.launch("sleep 600").await;
    fixture.status(&task, "RUNNING").await;
    let describe = || fixture.ecs.describe_clusters().clusters(CLUSTER).clusters("nowhere").send();
    let answer = describe().await.unwrap();
    assert_eq!(
        (answer.clusters()[0].running_tasks_count(), answer.clusters()[0].status()),
        (1, Some("ACTIVE"))
    );
    assert_eq!(answer.failures()[0].reason(), Some("MISSING"));
    stop(&fixture, &task).await;
    assert_eq!(describe().await.unwrap().clusters()[0].running_tasks_count(), 0);
}

#[tokio::test]
async fn what_is_not_known_here_is_taken_over_from_upstream() {
    let upstream = fixture().await;
    upstream.script("exit 5").await;
    let folder = tempfile::tempdir().unwrap();
    let mut config = transcode_local::Config::new(folder.path());
    config.programs.push(transcode_local::Program { image_part: "shell".into(), path: "/bin/sh".into() });
    config.upstream_ecs = Some(upstream.server.endpoint().to_owned());
    let server = transcode_local::serve(config).await.unwrap();
    let ecs = client(server.endpoint());

    let network = crate::support::network();
    let run = || ecs.run_task().cluster(CLUSTER).network_configuration(network.clone());
    let call = run().launch_type("FARGATE".into()).task_definition("job");
    let task = arn(&call.send().await.unwrap().tasks()[0]);
    let code_of = crate::support::until("it ends", async || {
        let answer = ecs.describe_tasks().cluster(CLUSTER).tasks(&task).send().await.unwrap();
        answer.tasks()[0].containers()[0].exit_code()
    })
    .await;
    assert_eq!(code_of, 5);
    assert_eq!(upstream.counters().await["tasks"]["launched"], 0, "only the definition came from there");
    let unknown = run().launch_type("FARGATE".into()).task_definition("nothing").send().await;
    assert_eq!(code(unknown), "ClientException");
    let elsewhere =
        run().cluster("nowhere").launch_type("FARGATE".into()).task_definition("job").send().await;
    assert_eq!(code(elsewhere), "ClusterNotFoundException");

    // One that is away is this endpoint's failure, not a refusal that a caller would take for an answer.
    let cut_off = fixture_with(|config| config.upstream_ecs = Some("http://127.0.0.1:1".to_owned()));
    let cut_off = cut_off.await;
    assert_eq!(code(cut_off.run().send().await), "ServerException");
}
