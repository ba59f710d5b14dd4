//! `make up` and `make down`: a stack that outlives the command that started it.
//!
//! ```text
//! up ──starts──► serve (detached) ──holds──► .stack/lock, writes .stack/ready, answers at the address in it
//! down ──SIGTERM to the pid in .stack/pid──► serve ends, the lock is free
//! ```
//!
//! A free lock shows that no stack runs: the kernel frees it however the server ends, so a file left by a crash does no
//! harm, and a process id is used only while its owner holds the lock. A held lock shows less: a killed server holds it
//! until the last of its threads is gone. So `up` believes that a stack runs when the server itself answers.

mod answer;
mod files;
mod serve;

use std::{
    fs::File,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, Subcommand};
use rustix::process::{Pid, Signal, kill_process};

use crate::{process::last_lines, wait};
use files::Files;

/// Starting takes seconds; the first start on a busy machine takes longer.
const START: Duration = Duration::from_mins(2);
/// The controller has nothing to drain here; the endpoint kills the tasks.
const STOP: Duration = Duration::from_secs(30);

/// A local stack that runs until it is stopped.
#[derive(Debug, Parser)]
#[command(name = "stack", about)]
pub struct Options {
    /// Folder of the stack's files. One stack at a time uses it.
    #[arg(long, default_value = ".stack", global = true)]
    folder: PathBuf,
    #[command(subcommand)]
    command: Step,
}

#[derive(Debug, Subcommand)]
enum Step {
    /// Starts the stack in the background and prints how to use it.
    Up,
    /// Ends the stack and removes its files.
    Down,
    /// Runs the stack in the foreground until SIGTERM; `up` starts this.
    #[command(hide = true)]
    Serve,
}

/// Runs the command. Prints to standard output.
pub async fn run(options: Options) -> Result<()> {
    std::fs::create_dir_all(&options.folder).with_context(|| options.folder.display().to_string())?;
    let folder = options.folder.canonicalize().with_context(|| options.folder.display().to_string())?;
    let files = Files::of(folder);
    match options.command {
        Step::Up => up(&files).await,
        Step::Down => down(&files),
        Step::Serve => serve::run(&files).await,
    }
}

/// Starts a server unless one runs or starts, waits until it answers, and prints its text.
async fn up(files: &Files) -> Result<()> {
    let mut server = None;
    let ready = wait::until("the stack is ready", START, async || {
        match &mut server {
            Some(child) => ensure_running(child, files)?,
            None if files.free()? => {
                files.clear();
                say("Starting the local AWS, deploying deploy/template.yaml on it, starting the controller")?;
                server = Some(start(files)?);
            }
            // A stack runs, starts, or is about to end: its answer or the free lock will tell.
            None => {}
        }
        Ok(answer::ask(files).await)
    })
    .await;
    match ready {
        Ok(text) => {
            if server.is_none() {
                say("A stack runs already.")?;
            }
            say(text.trim_end())
        }
        Err(error) => {
            // A stack that failed to start is removed completely.
            down(files)?;
            Err(error)
        }
    }
}

/// An error with the server's last words, if it has ended.
fn ensure_running(server: &mut Child, files: &Files) -> Result<()> {
    match server.try_wait().context("the server's status")? {
        None => Ok(()),
        Some(status) => bail!("the stack did not start ({status}):\n{}", last_lines(&files.log(), 20)),
    }
}

/// Starts the server in a process group of its own: a Ctrl-C at the terminal does not reach it, and it survives the
/// terminal's end.
fn start(files: &Files) -> Result<Child> {
    let log = File::create(files.log_path()).with_context(|| files.log_path().display().to_string())?;
    let mut command = Command::new(std::env::current_exe().context("the running executable's path")?);
    command.arg("--folder").arg(files.folder()).arg("serve").process_group(0);
    command.stdin(Stdio::null()).stdout(log.try_clone().context("the log")?).stderr(log);
    command.spawn().context("cannot start the server")
}

/// Ends the server, if one runs, and removes its files.
fn down(files: &Files) -> Result<()> {
    if files.free()? {
        say("No stack runs.")?;
    } else {
        let pid = files.pid().context("a stack runs and its .stack/pid cannot be read")?;
        signal(pid, Signal::TERM)?;
        let ended = || files.free().unwrap_or_default();
        if !wait::until_blocking(STOP, ended) {
            signal(pid, Signal::KILL)?;
            ensure!(wait::until_blocking(STOP, ended), "process {pid} does not end");
        }
        say("The stack is down.")?;
    }
    files.clear();
    Ok(())
}

/// Signals the server. A server that has ended in the meantime is no error.
fn signal(pid: i32, signal: Signal) -> Result<()> {
    let raw = Pid::from_raw(pid).with_context(|| format!("{pid} is no process id"))?;
    match kill_process(raw, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("signal to process {pid}")),
    }
}

#[allow(clippy::print_stdout, reason = "the command's answer is for the person who started it")]
fn say(text: &str) -> Result<()> {
    use std::io::Write as _;
    writeln!(std::io::stdout().lock(), "{text}").context("standard output")
}
