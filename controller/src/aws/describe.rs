//! From DescribeTasks' answer to views. Pure.

use aws_sdk_ecs::{
    primitives::DateTime,
    types::{Attribute, Container, EphemeralStorage, Task},
};
use transcode_config::{
    contract::{Attempt, ENV_ATTEMPT, ENV_JOB},
    prices::Size,
};
use transcode_core::protocol::task_view::{Billed, Identity, TaskArn, TaskStatus, TaskView};

/// The view of a task; `None` without an ARN, which AWS always sends. `ours` is the name of our container: a task may
/// have sidecars, and a task that failed to start may have no container at all.
pub(super) fn view(task: &Task, ours: &str) -> Option<TaskView> {
    let container = task.containers().iter().find(|container| container.name() == Some(ours));
    Some(TaskView {
        arn: TaskArn(task.task_arn()?.into()),
        version: task.version(),
        identity: identity(task, ours),
        status: status(task.last_status().unwrap_or_default(), task.execution_stopped_at().is_some()),
        stopping: task.desired_status() == Some("STOPPED"),
        stop_code: task.stop_code().map(|code| code.as_str().to_owned()),
        stopped_reason: task.stopped_reason().map(str::to_owned),
        exit_code: container.and_then(Container::exit_code),
        container_reason: container.and_then(Container::reason).map(str::to_owned),
        started: task.started_at().is_some(),
        billed: Billed {
            image_digest: container.and_then(Container::image_digest).map(str::to_owned),
            ..billed(task)
        },
    })
}

fn billed(task: &Task) -> Billed {
    let number = |text: Option<&str>| text.and_then(|text| text.parse().ok()).unwrap_or_default();
    let ms = |at: Option<&DateTime>| u64::try_from(at?.to_millis().ok()?).ok();
    let architecture = task.attributes().iter().find(|attribute| attribute.name() == "ecs.cpu-architecture");
    let storage = task.ephemeral_storage().map_or(0, EphemeralStorage::size_in_gib);
    Billed {
        size: Size {
            cpu: number(task.cpu()),
            memory_mib: number(task.memory()),
            storage_gib: u32::try_from(storage).unwrap_or_default(),
            spot: task.capacity_provider_name() == Some("FARGATE_SPOT"),
        },
        architecture: architecture.and_then(Attribute::value).unwrap_or_default().to_owned(),
        image_digest: None,
        created_at: ms(task.created_at()),
        pull_started_at: ms(task.pull_started_at()),
        pull_stopped_at: ms(task.pull_stopped_at()),
        started_at: ms(task.started_at()),
        stopped_at: ms(task.stopped_at()).or_else(|| ms(task.execution_stopped_at())),
    }
}

/// The class of a status. An unknown status counts as starting: no decision follows from it, and deadlines still apply.
fn status(last: &str, execution_stopped: bool) -> TaskStatus {
    match last {
        "STOPPED" | "DELETED" => TaskStatus::Ended,
        "DEPROVISIONING" if execution_stopped => TaskStatus::Ended,
        "RUNNING" | "DEACTIVATING" | "STOPPING" | "DEPROVISIONING" => TaskStatus::Running,
        _ => TaskStatus::Starting,
    }
}

fn identity(task: &Task, ours: &str) -> Option<Identity> {
    let overrides = task.overrides()?.container_overrides();
    let environment = overrides.iter().find(|container| container.name() == Some(ours))?.environment();
    let value = |name: &str| environment.iter().find(|pair| pair.name() == Some(name))?.value();
    Some(Identity {
        job: value(ENV_JOB)?.parse().ok()?,
        attempt: Attempt::new(value(ENV_ATTEMPT)?.parse().ok()?)?,
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::types::{ContainerOverride, KeyValuePair, TaskOverride, TaskStopCode};
    use aws_smithy_types::DateTime;
    use transcode_config::contract::JobKey;

    use super::*;

    fn overrides(container: &str, pairs: &[(&str, &str)]) -> TaskOverride {
        let pair = |(name, value): &(&str, &str)| KeyValuePair::builder().name(*name).value(*value).build();
        let environment = pairs.iter().map(pair).collect();
        let container =
            ContainerOverride::builder().name(container).set_environment(Some(environment)).build();
        TaskOverride::builder().container_overrides(container).build()
    }

    fn task() -> aws_sdk_ecs::types::builders::TaskBuilder {
        Task::builder().task_arn("arn:task/1").version(3).last_status("RUNNING").desired_status("RUNNING")
    }

    #[test]
    fn every_status_says_whether_the_process_may_be_working() {
        use TaskStatus::{Ended, Running, Starting};
        for (last, stopped, expected) in [
            ("PROVISIONING", false, Starting),
            ("PENDING", false, Starting),
            ("ACTIVATING", false, Starting),
            ("RUNNING", false, Running),
            ("DEACTIVATING", false, Running),
            ("STOPPING", false, Running),
            ("STOPPING", true, Running),
            ("DEPROVISIONING", false, Running),
            ("DEPROVISIONING", true, Ended),
            ("STOPPED", true, Ended),
            ("STOPPED", false, Ended),
            ("DELETED", false, Ended),
            ("FROM_THE_FUTURE", false, Starting),
            ("", false, Starting),
        ] {
            assert_eq!(status(last, stopped), expected, "{last} {stopped}");
        }
    }

    #[test]
    fn a_stopped_task_tells_code_reasons_and_who_it_was() {
        let job = JobKey::of(&["x"]);
        let ended = task()
            .last_status("STOPPED")
            .desired_status("STOPPED")
            .stop_code(TaskStopCode::EssentialContainerExited)
            .stopped_reason("Essential container in task exited")
            .started_at(DateTime::from_secs(1))
            .pull_started_at(DateTime::from_millis(500))
            .execution_stopped_at(DateTime::from_secs(2))
            .cpu("2048")
            .memory("4096")
            .ephemeral_storage(EphemeralStorage::builder().size_in_gib(60).build())
            .capacity_provider_name("FARGATE_SPOT")
            .attributes(Attribute::builder().name("ecs.cpu-architecture").value("arm64").build().unwrap())
            .containers(Container::builder().name("proxy").exit_code(0).build())
            .containers(
                Container::builder()
                    .name("task")
                    .image_digest("sha256:1")
                    .exit_code(137)
                    .reason("OutOfMemoryError: …")
                    .build(),
            )
            .overrides(overrides("task", &[(ENV_JOB, job.as_str()), (ENV_ATTEMPT, "2")]))
            .build();
        let expected = TaskView {
            arn: TaskArn("arn:task/1".into()),
            version: 3,
            identity: Some(Identity { job, attempt: Attempt::new(2).unwrap() }),
            status: TaskStatus::Ended,
            stopping: true,
            stop_code: Some("EssentialContainerExited".into()),
            stopped_reason: Some("Essential container in task exited".into()),
            exit_code: Some(137),
            container_reason: Some("OutOfMemoryError: …".into()),
            started: true,
            billed: Billed {
                size: Size { cpu: 2048, memory_mib: 4096, storage_gib: 60, spot: true },
                architecture: "arm64".into(),
                image_digest: Some("sha256:1".into()),
                pull_started_at: Some(500),
                started_at: Some(1000),
                stopped_at: Some(2000),
                ..Billed::default()
            },
        };
        assert_eq!(view(&ended, "task"), Some(expected));
    }

    #[test]
    fn a_task_that_failed_to_start_has_no_containers() {
        let failed = task()
            .last_status("STOPPED")
            .stop_code(TaskStopCode::TaskFailedToStart)
            .set_containers(Some(Vec::new()))
            .build();
        let view = view(&failed, "task").unwrap();
        assert_eq!((view.exit_code, view.container_reason, view.started), (None, None, false));
        assert_eq!(view.stop_code.as_deref(), Some("TaskFailedToStart"));
    }

    #[test]
    fn a_stop_code_of_the_future_is_kept_as_text() {
        let stopped = task().stop_code(TaskStopCode::from("NewReason")).build();
        assert_eq!(view(&stopped, "task").unwrap().stop_code.as_deref(), Some("NewReason"));
    }

    #[test]
    fn a_task_without_our_overrides_is_somebody_elses() {
        let job = JobKey::of(&["x"]);
        let foreign = [
            None,
            Some(overrides("task", &[])),
            Some(overrides("other", &[(ENV_JOB, job.as_str()), (ENV_ATTEMPT, "1")])),
            Some(overrides("task", &[(ENV_JOB, job.as_str())])),
            Some(overrides("task", &[(ENV_JOB, job.as_str()), (ENV_ATTEMPT, "0")])),
            Some(overrides("task", &[(ENV_JOB, "../../etc"), (ENV_ATTEMPT, "1")])),
        ];
        for overrides in foreign {
            let task = task().set_overrides(overrides).build();
            assert_eq!(view(&task, "task").unwrap().identity, None, "{task:?}");
        }
    }
}
