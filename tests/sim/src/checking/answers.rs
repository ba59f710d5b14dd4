//! Answers of the services of a small world.

use transcode_config::contract::{
    Attempt, Claim, Failure, FailureCode, Heartbeat, JobKey, ObjectRef, Outcome, SCHEMA, Stage, Succeeded,
    TaskState, Terminal, UserMetadata,
};
use transcode_core::{
    judge::outcome::unproven,
    protocol::{
        fact::{Fact, Snapshot},
        task_view::{Billed, Identity, TaskArn, TaskStatus, TaskView},
    },
};

use super::state::{Phase, SmallTask, State};

/// Exit code of a task whose encoder failed.
pub(super) const ENCODE_FAILED: i32 = 16;
/// Exit code of a task that started too late.
pub(super) const SUPERSEDED: i32 = 12;
/// Exit code of a task that was stopped.
pub(super) const STOPPED: i32 = 143;

pub(super) fn arn(index: usize) -> TaskArn {
    TaskArn(format!("arn:task/{index}").into())
}

pub(super) fn index(arn: &TaskArn) -> Option<usize> {
    arn.0.strip_prefix("arn:task/")?.parse().ok()
}

/// ECS' counter of changes.
pub(super) fn version(task: &SmallTask) -> i64 {
    match task.phase {
        Phase::Starting => 1 + i64::from(task.stopping),
        Phase::Looking | Phase::Working => 3 + i64::from(task.stopping),
        Phase::Ended(_) => 5,
    }
}

pub(super) fn view(at: usize, task: &SmallTask) -> Box<TaskView> {
    let (status, exit_code) = match task.phase {
        Phase::Starting => (TaskStatus::Starting, None),
        Phase::Looking | Phase::Working => (TaskStatus::Running, None),
        Phase::Ended(code) => (TaskStatus::Ended, Some(code)),
    };
    Box::new(TaskView {
        arn: arn(at),
        version: version(task),
        identity: Some(Identity { job: task.claim.job.clone(), attempt: task.claim.attempt }),
        status,
        stopping: task.stopping || exit_code.is_some(),
        stop_code: exit_code.map(|_| "EssentialContainerExited".to_owned()),
        stopped_reason: task.stop_reason.map(str::to_owned),
        exit_code,
        container_reason: None,
        started: status != TaskStatus::Starting,
        billed: Billed::default(),
    })
}

pub(super) fn describe(state: &State, arn: &TaskArn) -> Fact {
    match index(arn).and_then(|at| Some((at, state.tasks.get(at)?))) {
        Some((at, task)) => Fact::TaskSeen(view(at, task)),
        None => Fact::TaskMissing(arn.clone()),
    }
}

pub(super) fn inspect(state: &State, index: usize, key: &JobKey) -> Fact {
    let Some(job) = state.jobs.get(index) else {
        return Fact::Inspected { job: key.clone(), snapshot: Box::default() };
    };
    let claim = job.claims.last();
    let heartbeat_of = |attempt: Attempt| {
        let mut own = state.tasks.iter().enumerate().filter(|(_, task)| {
            task.job == index && task.claim.attempt == attempt && task.phase != Phase::Starting
        });
        own.next_back().map(|(at, task)| heartbeat(state, at, task))
    };
    let ended = |attempt| job.terminal.as_ref().is_some_and(|terminal| terminal.outcome.ends(attempt));
    let history = claim.map(|claim| claim.history.as_slice()).unwrap_or_default();
    let doubtful = history.iter().filter(|past| unproven(past) && job.terminal.is_none());
    let snapshot = Snapshot {
        claim: claim.cloned(),
        heartbeat: claim.map(|claim| claim.attempt).filter(|it| !ended(*it)).and_then(heartbeat_of),
        earlier: doubtful.filter_map(|past| heartbeat_of(past.attempt)).collect(),
        terminal: job.terminal.clone(),
    };
    Fact::Inspected { job: key.clone(), snapshot: Box::new(snapshot) }
}

fn heartbeat(state: &State, at: usize, task: &SmallTask) -> Heartbeat {
    Heartbeat {
        schema: SCHEMA,
        job: task.claim.job.clone(),
        attempt: task.claim.attempt,
        task_arn: Some(arn(at).0.to_string()),
        // A working task shows a new heartbeat each time.
        seq: if task.phase == Phase::Working { state.now } else { 1 },
        written_at_ms: 0,
        stage: Stage::Transcoding,
        percent: 0.0,
        speed: None,
        playable: None,
        user_metadata: UserMetadata::default(),
        state: match task.phase {
            Phase::Ended(ENCODE_FAILED) => {
                TaskState::Failed { failure: Failure::new(FailureCode::EncodeFailed, "ffmpeg failed") }
            }
            _ => TaskState::Working,
        },
    }
}

pub(super) fn success(claim: &Claim, index: usize) -> Terminal {
    Terminal {
        schema: SCHEMA,
        job: claim.job.clone(),
        nonce: arn(index).0.to_string(),
        written_at_ms: 0,
        outcome: Outcome::Succeeded(Succeeded {
            attempt: claim.attempt,
            task_arn: Some(arn(index).0.to_string()),
            bucket: String::new(),
            folder: String::new(),
            manifest: ObjectRef { key: String::new(), size: 0, sha256: String::new() },
            files: 0,
            bytes: 0,
            duration_ms: 0,
            warnings: None,
            source: None,
            entry_points: Vec::new(),
        }),
    }
}
