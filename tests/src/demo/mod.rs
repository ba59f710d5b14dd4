//! `make demo`: one real video through the pipeline; while it works, what `watch` prints of it.

mod console;
mod output;
mod summary;
mod watch;

use std::{path::PathBuf, time::Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;

use crate::{Stack, StackOptions, console::Console, paths};
use console::say;
use output::OutputFolder;

/// Runs a video through the whole pipeline on this machine.
#[derive(Debug, Parser)]
#[command(name = "demo", about)]
pub struct Options {
    /// The video. Default: a short real clip.
    #[arg(long)]
    video: Option<PathBuf>,
    /// Folder for a copy of the published files; replaced if an earlier demo made it.
    #[arg(long, default_value = "out")]
    out: PathBuf,
}

/// Runs the demo. Dropping the future early ends all its processes and removes all its files.
pub async fn run(options: Options) -> Result<()> {
    let start = Instant::now();
    let video = match options.video {
        Some(video) => video,
        None => paths::clip()?,
    };
    ensure!(video.is_file(), "VIDEO={} is not a file", video.display());
    let key =
        video.file_name().and_then(|name| name.to_str()).context("VIDEO's name is not UTF-8")?.to_owned();
    let out_folder = options.out;
    let out = OutputFolder::claim(&out_folder)?;

    say("Starting the local AWS, deploying deploy/template.yaml on it, starting the controller")?;
    let mut stack = Stack::with(StackOptions::for_people("demo")).await?;
    let bucket = &stack.deployment.source_bucket;
    say(&format!("  ready after {:.1} s", start.elapsed().as_secs_f32()))?;
    let page = Console::start(&stack).await?;
    say(&format!("Console, as long as this runs: {}", page.entrance))?;
    say(&format!("Uploading {} to s3://{bucket}/{key}", video.display()))?;
    stack.put_source(&key, &video).await?;

    let uploaded = Instant::now();
    say(&format!("While it works, what `transcode-controller watch {key}` prints:"))?;
    let succeeded = watch::until_ended(&mut stack, &key).await?;
    let took = uploaded.elapsed();
    summary::print(&stack, &key, &succeeded, took).await?;
    out.fill(&stack, &key).await?;
    summary::how_to_play(&out_folder)
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        path::Path,
        process::{Child, Command, Stdio},
        time::Duration,
    };

    use rustix::process::{Pid, Signal, kill_process};

    use crate::{paths, wait};

    const LIMIT: Duration = Duration::from_mins(1);

    /// A demo with its temporary files in `folder`: all its processes have that path in their environment.
    fn start(folder: &Path) -> Child {
        let output = fs::File::create(folder.join("output")).unwrap();
        Command::new(paths::binary("demo").unwrap())
            .args(["--out", "out"])
            .env("TMPDIR", folder.join("tmp"))
            .current_dir(folder)
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .stdin(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Processes with `text` in their environment.
    fn processes_with(text: &str) -> Vec<String> {
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let environments = entries.filter_map(|entry| {
            let environ = fs::read(entry.path().join("environ")).ok()?;
            let found = String::from_utf8_lossy(&environ).contains(text);
            found.then(|| fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default())
        });
        environments.collect()
    }

    /// A demo that has printed `line`, and its folder.
    fn started_until(line: &str) -> (tempfile::TempDir, Child) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("tmp")).unwrap();
        let mut demo = start(folder.path());
        let seen = || output(folder.path()).contains(line);
        let ended = wait::until_blocking(LIMIT, || seen() || demo.try_wait().unwrap().is_some());
        assert!(ended && seen(), "{line:?} is not in:\n{}", output(folder.path()));
        (folder, demo)
    }

    fn output(folder: &Path) -> String {
        fs::read_to_string(folder.join("output")).unwrap_or_default()
    }

    /// What a demo in this folder has left: processes by their command lines, and files.
    fn left(folder: &Path) -> Vec<String> {
        let tmp = folder.join("tmp");
        let files = [folder, &tmp].into_iter().flat_map(|folder| fs::read_dir(folder).unwrap().flatten());
        let names = files.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let names = names.filter(|name| !["output", "tmp"].contains(&name.as_str()));
        names.chain(processes_with(&tmp.display().to_string())).collect()
    }

    fn interrupted_after(line: &str) {
        let (folder, mut demo) = started_until(line);
        kill_process(Pid::from_child(&demo), Signal::INT).unwrap();
        let status = demo.wait().unwrap();
        assert_eq!(status.code(), Some(130), "{}", output(folder.path()));
        assert_eq!(left(folder.path()), [""; 0], "something is left");
    }

    #[test]
    fn ctrl_c_while_the_stack_starts_leaves_nothing_behind() {
        interrupted_after("Starting the local AWS");
    }

    #[test]
    fn ctrl_c_while_the_task_works_leaves_nothing_behind() {
        interrupted_after("transcoding");
    }

    /// The address of the controller's health endpoints, from its settings.
    fn health_address(folder: &Path) -> String {
        let stacks = fs::read_dir(folder.join("tmp")).unwrap().flatten();
        let texts = stacks.filter_map(|entry| fs::read_to_string(entry.path().join("controller.toml")).ok());
        let text: String = texts.collect();
        let line = text.lines().find(|line| line.contains("127.0.0.1:") && line.contains("listen")).unwrap();
        line.split('"').nth(1).unwrap().to_owned()
    }

    #[test]
    fn a_crash_while_the_task_works_leaves_nothing_behind() {
        let (folder, mut demo) = started_until("transcoding");
        let address = health_address(folder.path());
        assert!(std::net::TcpStream::connect(&address).is_ok(), "{address}");
        demo.kill().unwrap();
        demo.wait().unwrap();
        let gone = wait::until_blocking(LIMIT, || left(folder.path()).is_empty());
        assert!(gone, "left: {:?}", left(folder.path()));
        assert!(std::net::TcpStream::connect(&address).is_err(), "{address} still answers");
    }
}
