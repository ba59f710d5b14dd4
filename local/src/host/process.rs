//! A container as a process: command, environment, session, output.

use std::{
    ffi::OsString,
    io,
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Command, ExitStatus, Stdio},
};

use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal, setsid};
use tokio::process::Child;

use super::{folder, logs, shared::Shared};
use crate::{config::Program, model::task::Task};

/// A started process.
#[derive(Debug)]
pub(crate) struct Launched {
    pub(crate) child: Child,
    pub(crate) pid: u32,
}

/// Starts the process of a task's container. The error is a `stoppedReason`.
pub(crate) async fn launch(
    shared: &Shared,
    task: &Task,
    index: usize,
    program: &Program,
) -> Result<Launched, String> {
    let cannot_start =
        |error: io::Error| format!("CannotStartContainerError: {}: {error}", program.path.display());
    let mut command = command(shared, task, index, program).map_err(|error| {
        format!("ResourceInitializationError: failed to prepare the task's folder: {error}")
    })?;
    let output = logs::attach(&shared.config, task, index, &mut command).map_err(cannot_start)?;
    let child = shared.spawner.spawn(command).await.map_err(cannot_start)?;
    if let Some(output) = output {
        tokio::spawn(output.copy());
    }
    let pid = child.id().ok_or_else(|| cannot_start(io::Error::other("it has no process id")))?;
    tracing::info!(task = %task.id, container = index, pid, "container started");
    Ok(Launched { child, pid })
}

fn command(shared: &Shared, task: &Task, index: usize, program: &Program) -> io::Result<Command> {
    let folder = folder::create(&shared.config.work_dir, &task.id)?;
    let container = &task.containers[index];
    let mut command = Command::new(&program.path);
    command.args(&container.arguments).current_dir(&folder).stdin(Stdio::null()).env_clear();
    let default_path = || OsString::from("/usr/local/bin:/usr/bin:/bin");
    command.env("PATH", std::env::var_os("PATH").unwrap_or_else(default_path));
    command.env("HOME", &folder).env("TMPDIR", &folder);
    command.env("AWS_REGION", &shared.config.region).env("AWS_DEFAULT_REGION", &shared.config.region);
    command.env("AWS_EXECUTION_ENV", "AWS_ECS_FARGATE");
    for (name, value) in shared.config.task_environment.iter().chain(&container.environment) {
        // Such a name would make the whole start fail, which is not what a container engine does.
        if name.is_empty() || name.contains(['=', '\0']) {
            tracing::warn!(task = %task.id, variable = %name, "variable left out");
        } else {
            command.env(name, value);
        }
    }
    command.env("ECS_CONTAINER_METADATA_URI_V4", format!("{}/v4/{}-{index}", shared.endpoint, task.id));
    tie_to_parent(&mut command);
    Ok(command)
}

/// Puts the process into a session of its own, so that it and its descendants can be found and ended together, and
/// has the kernel kill it when this program dies, even by SIGKILL.
#[allow(
    unsafe_code,
    reason = "pre_exec is unsafe: between fork and exec only async-signal-safe calls are allowed"
)]
fn tie_to_parent(command: &mut Command) {
    let parent = getpid();
    // SAFETY: setsid, prctl and getppid are plain system calls; nothing allocates, locks or touches shared state. The
    // error is built from a number.
    unsafe {
        command.pre_exec(move || {
            setsid()?;
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // The parent may have died before the signal was asked for.
            if getppid() == Some(parent) { Ok(()) } else { Err(rustix::io::Errno::SRCH.into()) }
        });
    }
}

/// The exit code that ECS shows: 128 + signal when a signal ended the process.
pub(crate) fn exit_code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(255)
}
