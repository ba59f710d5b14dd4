//! The end of the endpoint is the end of its tasks, however it comes.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use aws_sdk_ecs::Client;
use serde_json::Value;
use tempfile::TempDir;
use transcode_local::{Config, ControlClient, ServeError, serve};

use crate::support::{CLUSTER, client, container, fixture, is_alive, network, until};

/// A task of several processes that heed no SIGTERM.
const FAMILY: &str =
    "trap '' TERM; sleep 600 & sh -c 'sleep 600; true' & echo ready; while :; do sleep 1; done";

/// The command as its own process.
struct Program {
    child: Child,
    endpoint: String,
    ecs: Client,
    _folder: TempDir,
}

impl Program {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_transcode-local"))
            .args(["--program", "shell=/bin/sh", "--provisioning-ms=0", "--pending-ms=0", "--work-dir"])
            .arg(folder.path().join("work"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let announced: Value = serde_json::from_str(&line).unwrap();
        let endpoint = announced["endpoint"].as_str().unwrap().to_owned();
        Self { ecs: client(&endpoint), child, endpoint, _folder: folder }
    }

    /// The processes of a running task.
    async fn task(&self) -> Vec<u32> {
        self.ecs.create_cluster().cluster_name(CLUSTER).send().await.unwrap();
        let definition = self.ecs.register_task_definition().family("job").cpu("256").memory("512");
        let definition = definition.requires_compatibilities("FARGATE".into()).network_mode("awsvpc".into());
        definition.container_definitions(container(FAMILY)).send().await.unwrap();
        let run =
            self.ecs.run_task().cluster(CLUSTER).task_definition("job").network_configuration(network());
        run.launch_type("FARGATE".into()).send().await.unwrap();
        let control = ControlClient::new(&self.endpoint).unwrap();
        until("all processes run", async || {
            let tasks = control.get("tasks").await.unwrap();
            let pids = tasks["tasks"][0]["containers"][0]["processes"].as_array()?;
            let pids: Vec<u32> = pids.iter().filter_map(|pid| pid.as_u64()?.try_into().ok()).collect();
            (pids.len() >= 5).then_some(pids)
        })
        .await
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn gone(pids: &[u32]) {
    until("no process is left", async || (!pids.iter().any(|pid| is_alive(*pid))).then_some(())).await;
}

#[tokio::test]
async fn on_sigterm_the_program_ends_with_its_tasks() {
    let mut program = Program::start();
    let pids = program.task().await;
    program.signal("-TERM");
    let status = until("the program ends", async || program.child.try_wait().unwrap()).await;
    assert!(status.success(), "{status}");
    assert!(!pids.into_iter().any(is_alive), "they are gone before the program is");
}

#[tokio::test]
async fn sigkill_of_the_program_ends_its_tasks_too() {
    let program = Program::start();
    let pids = program.task().await;
    program.signal("-KILL");
    gone(&pids).await;
}

#[tokio::test]
async fn shutting_down_and_dropping_leave_no_process() {
    for orderly in [true, false] {
        let fixture = fixture().await;
        let task = fixture.launch(FAMILY).await;
        fixture.line(&task, "ready").await;
        let pids = fixture.processes(&task).await;
        assert!(pids.len() >= 3 && pids.iter().any(|pid| is_alive(*pid)), "{pids:?}");
        let work = fixture.folder.path().join("work");
        if orderly {
            tokio::time::timeout(Duration::from_secs(20), fixture.server.shutdown()).await.unwrap();
            assert!(!pids.into_iter().any(is_alive));
            assert_eq!(std::fs::read_dir(work).unwrap().count(), 0, "empty folders are removed");
        } else {
            drop(fixture.server);
            gone(&pids).await;
        }
    }
}

#[tokio::test]
async fn only_loopback_is_listened_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::new(folder.path());
    config.listen = "0.0.0.0:0".parse().unwrap();
    assert!(matches!(serve(config).await, Err(ServeError::NotLoopback(_))));
}
