//! The memory limit.
//!
//! Control groups are not writable everywhere (containers, version 1 or 2, not root), so the resident memory of each
//! container's processes is measured from `/proc` in one pass over all tasks, several times a second. A container over
//! its limit is killed and its end reported as ECS reports it. What Fargate counts and this does not: page cache and
//! files in memory. Pages that processes share are counted once for each. A task that grows by a gigabyte a second
//! overshoots by what it grows in one interval.

use std::{sync::Arc, time::Duration};

use super::{processes::Processes, shared::Shared};
use crate::model::task::Task;

/// Measures until the endpoint stops.
pub(crate) async fn watch(shared: Arc<Shared>, every: Duration) {
    let mut ticks = tokio::time::interval(every.max(Duration::from_millis(10)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shared.stop.cancelled() => return,
        }
        let running: Vec<(String, Vec<Option<u32>>)> =
            shared.update(|state, _| state.tasks().filter_map(|(_, task)| targets(task)).collect());
        if running.is_empty() {
            continue;
        }
        match tokio::task::spawn_blocking(move || measure(running)).await {
            Ok(measured) => shared.update(|state, now| {
                for (id, resident) in measured {
                    state.measured(&id, &resident, now);
                }
            }),
            Err(error) => tracing::error!(%error, "measuring memory failed"),
        }
    }
}

/// The task's id and the process of each container, if any runs.
fn targets(task: &Task) -> Option<(String, Vec<Option<u32>>)> {
    let pids: Vec<_> = task.containers.iter().map(crate::model::task::Container::pid).collect();
    pids.iter().any(Option::is_some).then(|| (task.id.clone(), pids))
}

fn measure(running: Vec<(String, Vec<Option<u32>>)>) -> Vec<(String, Vec<u64>)> {
    let processes = Processes::read();
    let resident = |pid: Option<u32>| {
        pid.map_or(0, |pid| processes.of(pid).iter().map(|process| process.resident).sum())
    };
    running.into_iter().map(|(id, pids)| (id, pids.into_iter().map(resident).collect())).collect()
}
