//! Child processes that cannot outlive the harness, with their output in files.

use std::{
    fs::File,
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Mutex, OnceLock,
        mpsc::{self, Sender},
    },
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::{paths, wait};

/// Longest time from SIGTERM to the end of a process; then it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// A process to start.
#[derive(Debug)]
pub struct Spec<'a> {
    /// Name for messages and for the log files.
    pub name: &'a str,
    /// The program.
    pub program: &'a Path,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its whole environment, apart from `PATH` and the locale, which are passed on.
    pub env: Vec<(String, String)>,
    /// Its working folder; temporary files go there too.
    pub folder: &'a Path,
    /// Folder of the log files.
    pub logs: &'a Path,
    /// Target of standard output instead of a log file: a device, a pipe.
    pub out: Option<&'a Path>,
    /// Whether it must end in order. Other processes are killed at once when dropped: their state ends with the stack,
    /// and an orderly end takes seconds (open long polls).
    pub orderly: bool,
}

/// A running child. Dropping it ends it. If the harness dies, the kernel kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    out: PathBuf,
    log: PathBuf,
    orderly: bool,
}

impl Process {
    /// Starts a script of `tests/player` with Node: it drives the browser and prints what it sees.
    pub fn driver(script: &str, args: &[String], folder: &Path) -> Result<Self> {
        let script = paths::checkout().join("tests/player").join(script).display().to_string();
        Self::start(&Spec {
            name: "browser",
            program: Path::new("node"),
            args: [&[script], args].concat(),
            env: Vec::new(),
            folder,
            logs: folder,
            out: None,
            orderly: false,
        })
    }

    /// Starts a child. Standard output goes to `<name>.out`, standard error to `<name>.log`, both appended, so that a
    /// restarted process continues its log.
    pub fn start(spec: &Spec<'_>) -> Result<Self> {
        let out = spec.logs.join(format!("{}.out", spec.name));
        let log = spec.logs.join(format!("{}.log", spec.name));
        let append = |path: &Path| {
            File::options().create(true).append(true).open(path).with_context(|| path.display().to_string())
        };
        // setpriv asks the kernel to kill the child when its parent dies, and becomes the child by exec: the pid is the
        // same.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(spec.program).args(&spec.args);
        command.env_clear();
        for name in ["PATH", "LANG", "LC_ALL"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        // Logs go to files, without colours.
        command.env("NO_COLOR", "1");
        command.env("HOME", spec.folder).env("TMPDIR", spec.folder);
        command.envs(spec.env.iter().map(|(name, value)| (name, value)));
        command.current_dir(spec.folder).stdin(Stdio::null());
        command.stdout(append(spec.out.unwrap_or(&out))?).stderr(append(&log)?);
        // A Ctrl-C at the terminal reaches only the harness, which ends its children in order.
        command.process_group(0);
        let child = spawn_from_lasting_thread(command)
            .with_context(|| format!("cannot start {} (setpriv is part of util-linux)", spec.name))?;
        Ok(Self { name: spec.name.to_owned(), child, out, log, orderly: spec.orderly })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// An error with the end of its log if it has ended.
    pub fn ensure_running(&mut self) -> Result<()> {
        match self.ended() {
            Some(status) => bail!("{} ended ({status})\n{}", self.name, self.tail(20)),
            None => Ok(()),
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.raw_pid()?, signal).with_context(|| format!("signal to {}", self.name))
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.ended() {
            return Ok(status);
        }
        self.child.kill().with_context(|| format!("kill {}", self.name))?;
        self.child.wait().with_context(|| format!("wait for {}", self.name))
    }

    /// Sends SIGTERM and waits; kills it after `grace`. Returns the exit status.
    pub fn stop(&mut self, grace: Duration) -> Result<ExitStatus> {
        if let Some(status) = self.ended() {
            return Ok(status);
        }
        self.signal(Signal::TERM)?;
        wait::until_blocking(grace, || self.ended().is_some());
        // A process that has ended is not killed again: its status is kept, and its pid may belong to another process.
        self.ended().map_or_else(|| self.kill(), Ok)
    }

    /// Its standard output so far.
    pub fn output(&self) -> String {
        read(&self.out)
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        read(&self.log)
    }

    /// The last lines of its log, under a heading.
    pub fn tail(&self, lines: usize) -> String {
        format!("---- end of {} ----\n{}", self.log.display(), last_lines(&self.log(), lines))
    }

    fn raw_pid(&self) -> Result<Pid> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        pid.ok_or_else(|| anyhow!("{} has an impossible pid", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error here cannot be handled; the kernel's death signal remains.
        drop(if self.orderly { self.stop(GRACE) } else { self.kill() });
    }
}

/// The last `lines` lines of a text.
pub fn last_lines(text: &str, lines: usize) -> String {
    let all: Vec<_> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
}

fn read(path: &Path) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

type Order = (Command, Sender<io::Result<Child>>);

/// Starts a process from a thread that lives as long as the harness: the death signal comes when the *thread* that
/// started the child ends, and test threads end early.
fn spawn_from_lasting_thread(command: Command) -> Result<Child> {
    static ORDERS: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    let orders = ORDERS.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                drop(answer.send(command.spawn()));
            }
        });
        Mutex::new(orders)
    });
    let (answer, child) = mpsc::channel();
    let orders = orders.lock().map_err(|_| anyhow!("a thread panicked while starting a process"))?.clone();
    orders.send((command, answer)).map_err(|_| anyhow!("the starting thread is gone"))?;
    Ok(child.recv().context("the starting thread is gone")??)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELPER: &str = "TRANSCODE_TESTS_HELPER_FOLDER";

    fn sleeper(folder: &Path) -> Process {
        let args = vec!["-c".to_owned(), "echo started; echo logged >&2; exec sleep 300".to_owned()];
        let (env, program) = (vec![], Path::new("/bin/sh"));
        Process::start(&Spec {
            name: "sleeper",
            program,
            args,
            env,
            folder,
            logs: folder,
            out: None,
            orderly: true,
        })
        .unwrap()
    }

    fn alive(pid: u32) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The state follows the name in brackets; a zombie has ended and waits for its parent.
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
    }

    #[test]
    fn a_dropped_child_is_gone_and_its_output_kept() {
        let folder = tempfile::tempdir().unwrap();
        let child = sleeper(folder.path());
        let pid = child.pid();
        assert!(wait::until_blocking(GRACE, || child.log() == "logged\n" && child.output() == "started\n"));
        assert!(child.tail(1).ends_with("logged"));
        drop(child);
        assert!(!alive(pid));
    }

    #[test]
    fn a_child_outlives_the_thread_that_asked_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let mut child = std::thread::spawn(move || sleeper(&path)).join().unwrap();
        assert!(wait::until_blocking(GRACE, || child.output() == "started\n"));
        child.ensure_running().unwrap();
    }

    #[test]
    fn children_die_with_a_killed_harness() {
        if let Some(folder) = std::env::var_os(HELPER) {
            return be_killed(Path::new(&folder));
        }
        let folder = tempfile::tempdir().unwrap();
        let mut harness = Command::new(std::env::current_exe().unwrap());
        harness.args(["--exact", "process::tests::children_die_with_a_killed_harness"]);
        let mut harness = harness.env(HELPER, folder.path()).stdout(Stdio::null()).spawn().unwrap();
        let written = || read(&folder.path().join("pid")).parse::<u32>().ok();
        assert!(wait::until_blocking(GRACE, || written().is_some()
            && !read(&folder.path().join("sleeper.out")).is_empty()));
        let pid = written().unwrap();
        assert!(alive(pid));
        harness.kill().unwrap();
        harness.wait().unwrap();
        assert!(wait::until_blocking(GRACE, || !alive(pid)));
    }

    /// The process that the test above starts and kills.
    fn be_killed(folder: &Path) {
        let mut child = sleeper(folder);
        std::fs::write(folder.join("pid"), child.pid().to_string()).unwrap();
        wait::until_blocking(Duration::from_mins(1), || child.ended().is_some());
    }
}
