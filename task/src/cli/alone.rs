//! One file into one folder, without any AWS.

use std::{
    io,
    path::{Path, PathBuf},
};

use tokio::sync::mpsc::unbounded_channel;
use transcode_config::{
    contract::{Attempt, ExitCode, Failure, FailureCode, JobKey, Layout},
    escape::{Place, escaped},
    ladder::Profile,
};
use transcode_media::{MediaJob, Package, process::Tools, sandbox::SandboxPolicy};

use super::{complain, print, screen::Screen};
use crate::job::stop::{Reason, Stop};

/// The arguments of the run.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) input: PathBuf,
    pub(super) output: PathBuf,
    pub(super) profile: String,
    pub(super) sandbox: SandboxPolicy,
}

/// Transcodes, and reports how the run ended.
pub(super) async fn run(request: Request) -> ExitCode {
    let stop = Stop::default();
    if let Err(error) = stop.on_signals() {
        complain(&format!("signals cannot be caught: {error}"));
        return ExitCode::Internal;
    }
    match transcode(&request, &stop).await {
        Ok(package) => {
            let seconds = package.duration_ms / 1000;
            let master = request.output.join("master.m3u8");
            let (files, bytes) =
                (package.files.len(), package.files.iter().map(|file| file.size).sum::<u64>());
            print(&format!("{}\n  {seconds} s, {files} files, {bytes} bytes\n", master.display()))
        }
        Err(_) if matches!(stop.reason(), Some(Reason::Signal(_))) => {
            complain("interrupted");
            ExitCode::Interrupted
        }
        Err(failure) => {
            complain(&escaped(&failure.to_string(), Place::Line));
            for (name, value) in &failure.evidence {
                complain(&format!("  {name}: {}", escaped(value, Place::Line)));
            }
            let info = failure.code.info();
            complain(&format!("  what to do: {}", info.remedy));
            info.exit
        }
    }
}

async fn transcode(request: &Request, stop: &Stop) -> Result<Package, Failure> {
    let profile = profile(&request.profile)?;
    let size = std::fs::metadata(&request.input).map_err(|error| {
        Failure::new(FailureCode::SourceMissing, format!("{}: {error}", request.input.display()))
    })?;
    if !size.is_file() {
        let what = format!("{} is not a file", request.input.display());
        return Err(Failure::new(FailureCode::SourceMissing, what));
    }
    if size.len() == 0 {
        return Err(Failure::new(FailureCode::Empty, FailureCode::Empty.info().meaning));
    }
    let tools = Tools::find(request.sandbox)?;
    let folder = |error| disk(&request.output, &error);
    std::fs::create_dir_all(&request.output).map_err(folder)?;
    // Inside the output folder, so that finished files are moved into place and never half copied.
    let work = tempfile::Builder::new().prefix(".transcode-").tempdir_in(&request.output).map_err(folder)?;
    let (scratch, made) = (work.path().join("scratch"), work.path().join("output"));
    for path in [&scratch, &made] {
        std::fs::create_dir(path).map_err(folder)?;
    }
    let input = request.input.canonicalize().map_err(folder)?;
    let key = JobKey::of(&["file", &input.to_string_lossy(), &size.len().to_string()]);
    let version = Layout::of(&key).folder(Attempt::FIRST);
    let job = MediaJob {
        input: &input,
        work: &scratch,
        output: &made,
        folder: &version,
        profile: &profile,
        clip: None,
        overlay: None,
        user_metadata: None,
    };
    let package = make(&job, &tools, stop).await?;
    put_in_place(&made, &request.output, version.trim_end_matches('/'), &package).map_err(folder)?;
    Ok(package)
}

async fn make(job: &MediaJob<'_>, tools: &Tools, stop: &Stop) -> Result<Package, Failure> {
    let (events, mut heard) = unbounded_channel();
    let mut screen = Screen::new();
    let making = transcode_media::make(job, tools, &events, stop.token());
    tokio::pin!(making);
    let result = loop {
        tokio::select! {
            Some(event) = heard.recv() => screen.show(&event),
            result = &mut making => break result,
        }
    };
    screen.end();
    result
}

/// Moves the version folder into place, then the entry files: a player that finds an entry file finds every file that
/// it refers to.
fn put_in_place(made: &Path, output: &Path, version: &str, package: &Package) -> io::Result<()> {
    let target = output.join(version);
    if target.exists() {
        // A folder with this name is from an earlier run on the same file.
        std::fs::remove_dir_all(&target)?;
    }
    std::fs::rename(made, &target)?;
    for entry in &package.entry {
        let part = output.join(format!(".{}.part", entry.name));
        std::fs::copy(target.join(&entry.file), &part)?;
        std::fs::rename(&part, output.join(&entry.name))?;
    }
    Ok(())
}

fn profile(name: &str) -> Result<Profile, Failure> {
    if let Some(profile) = Profile::built_in(name) {
        return Ok(profile);
    }
    let known = || Profile::built_in_names().collect::<Vec<_>>().join(", ");
    let text = std::fs::read_to_string(name).map_err(|error| {
        let what = format!("there is no built-in profile and no file {name}: {error}");
        Failure::new(FailureCode::UnknownProfile, what).with("built_in", known())
    })?;
    Profile::parse(name, &text).map_err(|error| Failure::new(FailureCode::ConfigInvalid, error.to_string()))
}

fn disk(folder: &Path, error: &io::Error) -> Failure {
    let code = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FailureCode::DiskFull,
        _ => FailureCode::ConfigInvalid,
    };
    Failure::new(code, format!("{}: {error}", folder.display()))
}
