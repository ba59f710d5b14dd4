//! The cluster, on local Fargate: tasks are real processes.

use std::{os::unix::fs::PermissionsExt, time::Duration};

use aws_sdk_ecs::types::{Compatibility, ContainerDefinition, NetworkMode};
use serde_json::json;
use tempfile::TempDir;
use transcode_config::{Settings, contract::Claim};
use transcode_controller::aws::Ecs;
use transcode_core::{
    effects::ports::Cluster,
    protocol::{
        fact::{ErrorClass, Pinned, Refusal, Resolution},
        task_view::{Identity, TaskArn, TaskStatus, TaskView},
    },
};
use transcode_local::{Config, ControlClient, Program, Server};
use transcode_tests::wait;

use crate::support::{adapter, claim, clients, job, settings};

struct Fargate {
    ecs: Ecs,
    settings: Settings,
    control: ControlClient,
    server: Server,
    _folder: TempDir,
}

/// An endpoint whose task is a shell script, and an adapter for it.
async fn fargate(script: &str) -> Fargate {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("task.sh");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut config = Config::new(folder.path().join("work"));
    std::fs::create_dir(&config.work_dir).unwrap();
    config.programs.push(Program { image_part: "task".into(), path: program });
    let server = transcode_local::serve(config).await.unwrap();
    let settings = settings();
    let clients = clients(server.endpoint(), &settings).ecs;
    let cluster = clients.write.create_cluster().cluster_name("main");
    cluster.capacity_providers("FARGATE").capacity_providers("FARGATE_SPOT").send().await.unwrap();
    let container = ContainerDefinition::builder().name("task").image("task:1").essential(true).build();
    clients
        .write
        .register_task_definition()
        .family("task-family")
        .requires_compatibilities(Compatibility::Fargate)
        .network_mode(NetworkMode::Awsvpc)
        .cpu("2048")
        .memory("4096")
        .container_definitions(container)
        .send()
        .await
        .unwrap();
    let control = ControlClient::new(server.endpoint()).unwrap();
    Fargate { ecs: adapter(server.endpoint(), &settings), settings, control, server, _folder: folder }
}

impl Fargate {
    async fn claim(&self, name: &str) -> Claim {
        let Resolution::Fit(Pinned { task_definition, .. }) = self.ecs.task_definition().await.unwrap()
        else {
            panic!("the image is not in ECR, so it is not looked at");
        };
        Claim { task_definition, ..claim(&job(name), 1) }
    }

    async fn fault(&self, fault: serde_json::Value) {
        self.control.post("faults", &fault).await.unwrap();
    }

    /// Number of launched tasks.
    async fn launched(&self) -> u64 {
        self.control.get("counters").await.unwrap()["tasks"]["launched"].as_u64().unwrap()
    }

    async fn view(&self, task: &TaskArn) -> Option<TaskView> {
        let mut views = self.ecs.describe(std::slice::from_ref(task)).await.unwrap();
        views.pop().unwrap().1
    }

    async fn wait_for(&self, task: &TaskArn, status: TaskStatus) -> TaskView {
        wait::until(&format!("the task is {status:?}"), Duration::from_secs(20), async || {
            Ok(self.view(task).await.filter(|view| view.status == status))
        })
        .await
        .unwrap()
    }
}

#[tokio::test]
async fn a_task_from_launch_to_end() {
    let fargate = fargate("sleep 600").await;
    let claim = fargate.claim("x").await;
    assert!(claim.task_definition.ends_with("task-definition/task-family:1"), "{}", claim.task_definition);
    let task = fargate.ecs.launch(&claim).await.unwrap();
    let running = fargate.wait_for(&task, TaskStatus::Running).await;
    let identity = Identity { job: claim.job.clone(), attempt: claim.attempt };
    assert_eq!((running.identity.clone(), running.started, running.stopping), (Some(identity), true, false));

    let listed = fargate.ecs.list().await.unwrap();
    assert!(listed.len() == 1 && listed[0].arn == task, "{listed:?}");

    fargate.ecs.stop(&task, "test: enough").await.unwrap();
    let ended = fargate.wait_for(&task, TaskStatus::Ended).await;
    assert_eq!(ended.identity, running.identity, "identity outlives the stop");
    assert_eq!(ended.stop_code.as_deref(), Some("UserInitiated"));
    assert_eq!(ended.stopped_reason.as_deref(), Some("test: enough"));
    assert_eq!(ended.exit_code, Some(143));
    assert!(ended.version > running.version && ended.stopping);
    assert_eq!(fargate.ecs.list().await.unwrap(), []);
    fargate.server.shutdown().await;
}

#[tokio::test]
async fn an_answer_that_was_lost_is_found_again_by_its_token() {
    let fargate = fargate("sleep 600").await;
    let claim = fargate.claim("x").await;
    fargate.fault(json!({"kind": "lost_answer", "operation": "RunTask", "count": 1})).await;
    let Err(Refusal::Failed(lost)) = fargate.ecs.launch(&claim).await else { panic!("not lost") };
    assert_eq!(lost.class, ErrorClass::Uncertain);
    let first = fargate.ecs.launch(&claim).await.unwrap();
    let second = fargate.ecs.launch(&claim).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(fargate.launched().await, 1);
    fargate.server.shutdown().await;
}

#[tokio::test]
async fn after_a_change_of_settings_the_token_still_leads_to_the_task() {
    let fargate = fargate("sleep 600").await;
    let claim = fargate.claim("x").await;
    let task = fargate.ecs.launch(&claim).await.unwrap();
    let mut changed = fargate.settings.clone();
    changed.cluster.assign_public_ip = true;
    let other = adapter(fargate.server.endpoint(), &changed);
    assert_eq!(other.launch(&claim).await, Ok(task));
    assert_eq!(fargate.launched().await, 1);
    fargate.server.shutdown().await;
}

#[tokio::test]
async fn refusals_launch_nothing_and_say_what_they_are() {
    let fargate = fargate("sleep 600").await;
    for (fault, class) in [
        (json!({"kind": "throttle", "operation": "RunTask", "count": 1}), ErrorClass::Throttled),
        (json!({"kind": "throttle_wrapped", "operation": "RunTask", "count": 1}), ErrorClass::Throttled),
        (json!({"kind": "lost_request", "operation": "RunTask", "count": 1}), ErrorClass::Uncertain),
    ] {
        fargate.fault(fault).await;
        let Err(Refusal::Failed(error)) = fargate.ecs.launch(&fargate.claim("x").await).await else {
            panic!("no failure")
        };
        assert_eq!(error.class, class, "{error}");
    }
    fargate.fault(json!({"kind": "failures", "count": 1})).await;
    let refusal = fargate.ecs.launch(&fargate.claim("x").await).await.unwrap_err();
    let Refusal::Definitive(reason) = &refusal else { panic!("{refusal:?}") };
    assert!(reason.contains("Capacity is unavailable"), "{reason}");
    let again = fargate.ecs.launch(&fargate.claim("x").await).await.unwrap_err();
    assert_eq!(again, refusal, "the same token is answered the same");
    assert_eq!(fargate.launched().await, 0);
    fargate.server.shutdown().await;
}

#[tokio::test]
async fn a_task_that_failed_to_start_and_one_that_is_missing_for_a_while() {
    let fargate = fargate("sleep 600").await;
    fargate.fault(json!({"kind": "start_failure", "count": 1})).await;
    let task = fargate.ecs.launch(&fargate.claim("x").await).await.unwrap();
    let ended = fargate.wait_for(&task, TaskStatus::Ended).await;
    assert_eq!(ended.stop_code.as_deref(), Some("TaskFailedToStart"));
    assert_eq!((ended.exit_code, ended.container_reason, ended.started), (None, None, false));
    assert!(ended.identity.is_some());

    fargate.fault(json!({"kind": "missing", "milliseconds": 600_000})).await;
    let task = fargate.ecs.launch(&fargate.claim("y").await).await.unwrap();
    assert_eq!(fargate.view(&task).await, None);
    fargate.control.delete("faults").await.unwrap();
    assert!(fargate.view(&task).await.is_some());
    fargate.server.shutdown().await;
}

#[tokio::test]
async fn a_task_that_nobody_knows_can_be_stopped() {
    let fargate = fargate("true").await;
    let unknown = "arn:aws:ecs:us-east-1:123456789012:task/main/0123456789abcdef0123456789abcdef";
    let unknown = TaskArn(unknown.into());
    assert_eq!(fargate.ecs.stop(&unknown, "test").await, Ok(()));
    assert_eq!(fargate.view(&unknown).await, None);
    fargate.server.shutdown().await;
}
