//! One driver for each task: asks the state machine for the next step, carries it out, and asks again.

use std::sync::Arc;

use rustix::process::Signal;
use tokio::sync::Notify;

use super::{
    folder,
    process::{self, Launched},
    processes,
    shared::Shared,
};
use crate::model::{
    Millis,
    machine::Next,
    task::{Task, TaskId},
};

/// Drives a task until it is STOPPED or the endpoint stops.
pub(crate) async fn drive(shared: Arc<Shared>, id: TaskId, nudge: Arc<Notify>) {
    loop {
        if shared.stop.is_cancelled() {
            return;
        }
        match shared.update(|state, now| state.advance(&id, now)) {
            Next::Advance => {}
            Next::Wait(until) => wait(&shared, until, &nudge).await,
            Next::Start => start(&shared, &id).await,
            Next::Terminate(pids) => pids.iter().for_each(|pid| processes::signal(*pid, Signal::TERM)),
            Next::Kill(pids) => {
                kill(pids).await;
            }
            Next::Clean => clean(&shared, &id).await,
            Next::Over => break,
        }
    }
    shared.forget_driver(&id);
}

async fn wait(shared: &Shared, until: Option<Millis>, nudge: &Notify) {
    let timer = async {
        match until {
            Some(until) => tokio::time::sleep_until(shared.clock().instant(until)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = timer => {}
        () = nudge.notified() => {}
        () = shared.stop.cancelled() => {}
    }
}

/// Ends processes with all their descendants. Reading the process table blocks, so another thread does it. Returns
/// whether it was done: a runtime that is being dropped does no such work any more.
async fn kill(pids: Vec<u32>) -> bool {
    let killing =
        tokio::task::spawn_blocking(move || pids.iter().for_each(|pid| processes::kill_all_of(*pid)));
    let killed = killing.await;
    if let Err(error) = &killed {
        tracing::error!(%error, "killing failed");
    }
    killed.is_ok()
}

async fn clean(shared: &Arc<Shared>, id: &TaskId) {
    let Some(job) = shared.update(|state, _| state.task(id).map(|task| task.job.clone())) else { return };
    let (shared, id) = (Arc::clone(shared), id.clone());
    let cleaning = tokio::task::spawn_blocking(move || folder::clean(&shared, &id, job));
    if let Err(error) = cleaning.await {
        tracing::error!(%error, "cleaning failed");
    }
}

/// Starts the processes of all containers, or records why they cannot start.
async fn start(shared: &Arc<Shared>, id: &TaskId) {
    let Some(task) = shared.update(|state, _| state.task(id).cloned()) else { return };
    match launch_all(shared, &task).await {
        Ok(launched) => {
            let pids: Vec<u32> = launched.iter().map(|one| one.pid).collect();
            if !shared.update(|state, now| state.started(id, &pids, now)) {
                return end(shared, launched).await;
            }
            for (index, one) in launched.into_iter().enumerate() {
                shared.running.spawn(watch(Arc::clone(shared), id.clone(), index, one));
            }
        }
        Err(reason) => {
            tracing::warn!(task = %id, %reason, "task failed to start");
            shared.update(|state, now| state.start_failed(id, reason, now));
        }
    }
}

async fn launch_all(shared: &Shared, task: &Task) -> Result<Vec<Launched>, String> {
    let mut launched: Vec<Launched> = Vec::new();
    for (index, container) in task.containers.iter().enumerate() {
        let started = match shared.config.program(&container.image) {
            Some(program) => process::launch(shared, task, index, program).await,
            None => Err(format!(
                "CannotPullContainerError: failed to resolve ref {}: not found: no program plays this image",
                container.image
            )),
        };
        match started {
            Ok(one) => launched.push(one),
            Err(reason) => {
                end(shared, launched).await;
                return Err(reason);
            }
        }
    }
    Ok(launched)
}

/// Ends processes whose start was cancelled, and reaps them.
async fn end(shared: &Shared, launched: Vec<Launched>) {
    let killed = kill(launched.iter().map(|one| one.pid).collect()).await;
    for mut one in launched {
        let _ = one.child.wait().await;
        if killed {
            shared.spawner.forget(one.pid);
        }
    }
}

/// Waits for a process's end and records it. When the first process of a container ends, all others of it do.
async fn watch(shared: Arc<Shared>, id: TaskId, index: usize, mut launched: Launched) {
    let code = match launched.child.wait().await {
        Ok(status) => process::exit_code(status),
        Err(error) => {
            tracing::error!(task = %id, %error, "waiting for a process failed");
            255
        }
    };
    // A process that is not killed here is left to the guard.
    if kill(vec![launched.pid]).await {
        shared.spawner.forget(launched.pid);
    }
    tracing::info!(task = %id, container = index, code, "container ended");
    shared.update(|state, now| state.exited(&id, index, code, now));
}
