//! Starts a program in the sandbox, and ends it with everything that descends from it.
//!
//! One thread for each child forks, waits and reaps. It is a thread of its own because the kernel sends the
//! parent-death signal when the *thread* that forked ends, and the runtime's threads come and go.
#![allow(unsafe_code, reason = "waiting without reaping, and the hook between fork and exec")]

use std::{
    ffi::{CString, OsString},
    io, mem,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        process::{CommandExt, ExitStatusExt},
    },
    path::PathBuf,
    process::{ChildStderr, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;
use transcode_config::contract::{Failure, FailureCode};

use super::{
    enter::{self, Entry, Step, Strings},
    files,
    host::Sandbox,
    limits::{Rlimits, threads_now},
    linked::Linked,
    loader::Watch,
    policy::Layer,
};

/// A program to start.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) args: Vec<OsString>,
    pub(crate) reads: Vec<PathBuf>,
    pub(crate) writes: Option<PathBuf>,
    pub(crate) limits: Rlimits,
}

/// A program that runs. Its group is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) stdout: Option<ChildStdout>,
    pub(crate) stderr: Option<ChildStderr>,
    pub(crate) group: Arc<Group>,
    /// Sent after everything is dead and reaped.
    pub(crate) ended: oneshot::Receiver<Ended>,
}

/// The end of a run: status, time and memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    pub(crate) peak_memory_bytes: u64,
}

/// A child and everything that it started.
#[derive(Debug)]
pub(crate) struct Group {
    leader: i32,
    /// Whether the leader's process id is still its own, which it is until the leader is reaped.
    alive: Mutex<bool>,
}

impl Group {
    /// Kills every process of the group; later calls do nothing.
    pub(crate) fn kill(&self) {
        let alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        if *alive {
            kill_group(self.leader);
        }
    }

    /// The leader's process id.
    pub(crate) fn leader(&self) -> i32 {
        self.leader
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.group.kill();
    }
}

impl Sandbox {
    /// Starts a program.
    pub(crate) async fn start(&self, program: Program) -> Result<Running, Failure> {
        let entry = self.prepare(&program)?;
        let whole_group = self.has(Layer::Group);
        let watched = self.level.loader && Linked::of(&program.path) == Linked::Dynamically;
        let libraries = watched.then(|| files::libraries(&program.path));
        let (started, start) = oneshot::channel();
        std::thread::Builder::new()
            .name("child".into())
            .spawn(move || supervise(&program, entry, libraries.as_deref(), whole_group, started))
            .map_err(|error| internal("no thread could be started", &error))?;
        match start.await {
            Ok(Ok(running)) => Ok(running),
            Ok(Err(error)) => Err(not_started(&error)),
            Err(_) => Err(Failure::new(FailureCode::Internal, "the thread that starts programs died")),
        }
    }

    fn prepare(&self, program: &Program) -> Result<Entry, Failure> {
        let landlock = self.level.landlock.map(|_| {
            files::ruleset(&program.path, &program.reads, program.writes.as_deref()).map_err(|error| {
                Failure::new(FailureCode::SandboxUnavailable, "the landlock ruleset could not be made")
                    .with("error", error)
            })
        });
        let c_string = |bytes: Vec<u8>| {
            CString::new(bytes).map_err(|error| {
                Failure::new(FailureCode::Internal, "an argument has a zero byte").with("error", error)
            })
        };
        let path = c_string(program.path.as_os_str().as_bytes().to_vec())?;
        let arguments = std::iter::once(Ok(path.clone()))
            .chain(program.args.iter().map(|argument| c_string(argument.clone().into_vec())))
            .collect::<Result<_, _>>()?;
        let environment = self.has(Layer::Environment).then(|| ENVIRONMENT.map(CString::from).to_vec());
        Ok(Entry {
            parent: std::process::id().cast_signed(),
            group: self.has(Layer::Group),
            close: self.has(Layer::Descriptors),
            limits: self.has(Layer::Limits).then(|| enter::limits(&program.limits, threads_now())),
            drop_capabilities: self.has(Layer::Capabilities),
            landlock: landlock.transpose()?.flatten(),
            filters: self.filters.as_ref().map(|both| both.of(Linked::of(&program.path)).clone()),
            program: Strings::new(path, arguments, environment),
        })
    }
}

/// The whole environment of a child. Two arenas: with one for each thread, reservations alone would use up the
/// address space. No variable keeps glibc from the host's modules for character sets; the filter does ([`super::seccomp`]).
const ENVIRONMENT: [&std::ffi::CStr; 3] = [c"LC_ALL=C", c"HOME=/nonexistent", c"MALLOC_ARENA_MAX=2"];

/// The whole life of a child, on its own thread.
fn supervise(
    program: &Program,
    entry: Entry,
    libraries: Option<&[PathBuf]>,
    whole_group: bool,
    started: oneshot::Sender<io::Result<Running>>,
) {
    let begin = Instant::now();
    let watch = libraries.map(Watch::begin).transpose().map_err(|error| Step::Loader.failed_with(&error));
    let child = watch.and_then(|watch| Ok((watch, spawn(program, entry)?)));
    let (watch, (leader, stdout, stderr)) = match child {
        Ok(child) => child,
        Err(error) => {
            // The caller may have been cancelled.
            started.send(Err(error)).ok();
            return;
        }
    };
    let group = Arc::new(Group { leader, alive: Mutex::new(true) });
    let (tell, ended) = oneshot::channel();
    let running = Running { stdout: Some(stdout), stderr: Some(stderr), group: Arc::clone(&group), ended };
    // If the caller was cancelled, dropping it kills the group.
    drop(started.send(Ok(running)));

    if let Some(Err(error)) = watch.map(|watch| watch.serve(leader)) {
        // Nothing is mapped for code any more, so a child that still loads will fail.
        tracing::error!(%error, "the loader of a child is not watched any more");
    }
    wait_without_reaping(leader);
    // The leader is dead but not reaped, so no other process can have its number yet.
    let mut alive = group.alive.lock().unwrap_or_else(PoisonError::into_inner);
    if whole_group {
        kill_group(leader);
    }
    let (status, cpu, peak_memory_bytes) = reap(leader);
    *alive = false;
    drop(alive);
    if whole_group {
        reap_orphans(leader);
    }
    tell.send(Ended { status, wall: begin.elapsed(), cpu, peak_memory_bytes }).ok();
}

fn spawn(program: &Program, mut entry: Entry) -> io::Result<(i32, ChildStdout, ChildStderr)> {
    let mut command = Command::new(&program.path);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(folder) = &program.writes {
        command.current_dir(folder);
    }
    // SAFETY: `enter` makes system calls on memory that was prepared before the fork, and nothing else.
    unsafe { command.pre_exec(move || Err(entry.enter())) };
    let mut child = command.spawn()?;
    let leader = child.id().cast_signed();
    // When memory runs out, the kernel should kill the child and not the task, which then reports it.
    std::fs::write(format!("/proc/{leader}/oom_score_adj"), "1000").ok();
    match (child.stdout.take(), child.stderr.take()) {
        (Some(stdout), Some(stderr)) => Ok((leader, stdout, stderr)),
        _ => Err(io::Error::other("the child has no pipes")),
    }
}

fn kill_group(leader: i32) {
    // SAFETY: no pointers. The group has the leader's number, which the leader still holds.
    unsafe { libc::kill(-leader, libc::SIGKILL) };
}

fn wait_without_reaping(leader: i32) {
    loop {
        // SAFETY: an all-zero siginfo_t is a valid value, and the pointer to it is writable.
        let done = unsafe {
            let mut info: libc::siginfo_t = mem::zeroed();
            libc::waitid(libc::P_PID, leader.cast_unsigned(), &raw mut info, libc::WEXITED | libc::WNOWAIT)
        };
        if done == 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return;
        }
    }
}

/// Reaps a child: its exit status, its processor time, its largest resident memory in bytes.
fn reap(leader: i32) -> (ExitStatus, Duration, u64) {
    let mut status = 0;
    // SAFETY: all zeros are a valid rusage; both pointers are writable.
    let usage = unsafe {
        let mut usage: libc::rusage = mem::zeroed();
        while libc::wait4(leader, &raw mut status, 0, &raw mut usage) < 0
            && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
        {}
        usage
    };
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec.unsigned_abs()) + Duration::from_micros(time.tv_usec.unsigned_abs())
    };
    let peak = usage.ru_maxrss.unsigned_abs().saturating_mul(1024);
    (ExitStatus::from_raw(status), time(usage.ru_utime) + time(usage.ru_stime), peak)
}

/// Waits for the leader's descendants. The task inherits orphans ([`super::harden_parent`]); a program that does not
/// leaves them to its init, and only sees that they are gone.
fn reap_orphans(leader: i32) {
    // SAFETY: no status is asked for.
    while unsafe { libc::waitpid(-leader, std::ptr::null_mut(), 0) } > 0 {}
    for _ in 0..2000 {
        // SAFETY: no pointers; signal 0 only asks whether the group has members.
        if unsafe { libc::kill(-leader, 0) } != 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    tracing::error!(group = leader, "processes of a child are left after it was killed");
}

fn not_started(error: &io::Error) -> Failure {
    match Step::of(error) {
        Some((Step::Exec, cause)) => internal("the program could not be executed", &cause),
        Some((step, cause)) => {
            Failure::new(FailureCode::SandboxUnavailable, "the sandbox could not be put on")
                .with("step", format!("{step:?}"))
                .with("error", cause)
        }
        None => internal("the program could not be started", error),
    }
}

fn internal(message: &str, error: &io::Error) -> Failure {
    Failure::new(FailureCode::Internal, message).with("error", error)
}
