//! `make up` and `make down`: the stack outlives its command, does its work, and leaves nothing behind.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    ffi::OsString,
    fs,
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

use transcode_tests::{paths, wait};

const LIMIT: Duration = Duration::from_mins(2);

fn command(folder: &Path, step: &str) -> Command {
    let mut command = Command::new(paths::binary("stack").unwrap());
    command.arg("--folder").arg(folder).arg(step).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn stack(folder: &Path, step: &str) -> Output {
    command(folder, step).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Ends the stack of a test that failed.
struct Down<'a>(&'a Path);

impl Drop for Down<'_> {
    fn drop(&mut self) {
        stack(self.0, "down");
    }
}

/// A command line in a shell that has read the stack's environment file, as the printed advice says.
fn shell(folder: &Path, line: &str) -> Output {
    let settings = folder.join("controller.toml");
    let script = format!(". {}\n{line}", folder.join("env").display());
    Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .env("CONTROLLER", paths::binary("transcode-controller").unwrap())
        .env("SETTINGS", settings)
        .output()
        .unwrap()
}

/// Ids and command lines of the processes that work in `folder` or below it.
fn processes_in(folder: &Path) -> Vec<(OsString, String)> {
    let inside = |entry: &fs::DirEntry| {
        fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder))
    };
    let entries = fs::read_dir("/proc").unwrap().flatten().filter(inside);
    let command = |entry: &fs::DirEntry| fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
    entries.map(|entry| (entry.file_name(), command(&entry))).collect()
}

fn files_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_standing_stack_takes_an_upload_and_goes_down_without_a_trace() {
    let folder = tempfile::tempdir().unwrap();
    let _down = Down(folder.path());
    let up = stack(folder.path(), "up");
    assert!(up.status.success(), "{}", said(&up));
    assert!(said(&up).contains(&folder.path().join("env").display().to_string()), "{}", said(&up));

    let clip = folder.path().join("work/tiny.mp4");
    fs::write(&clip, paths::tiny_clip(&folder.path().join("work")).unwrap()).unwrap();
    let put = "curl --silent --show-error --fail --header 'If-None-Match: *' --upload-file \"$CLIP\" \"$(\"$CONTROLLER\" presign put tiny.mp4 --bytes $(stat --format %s \"$CLIP\") --config \"$SETTINGS\")\"";
    let put = shell(folder.path(), &put.replace("$CLIP", &clip.display().to_string()));
    assert!(put.status.success(), "{}", said(&put));
    let get = || said(&shell(folder.path(), "\"$CONTROLLER\" get tiny.mp4 --config \"$SETTINGS\" -o json"));
    let done = wait::until_blocking(LIMIT, || get().contains("\"succeeded\""));
    assert!(done, "{}", get());

    let again = stack(folder.path(), "up");
    assert!(again.status.success() && said(&again).contains("runs already"), "{}", said(&again));

    let down = stack(folder.path(), "down");
    assert!(down.status.success(), "{}", said(&down));
    assert_eq!(processes_in(folder.path()), [], "processes are left");
    assert_eq!(files_in(folder.path()), ["lock"], "files are left");
    assert!(said(&stack(folder.path(), "down")).contains("No stack runs"));
}

#[test]
fn a_killed_server_takes_its_processes_along_and_the_next_one_starts_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let _down = Down(folder.path());
    let up = stack(folder.path(), "up");
    assert!(up.status.success(), "{}", said(&up));
    let pid = || fs::read_to_string(folder.path().join("pid")).unwrap_or_default();
    let (first, old) = (pid(), processes_in(folder.path()));
    assert!(!old.is_empty());
    assert!(Command::new("kill").args(["-KILL", &first]).status().unwrap().success());

    // The server's threads may hold the lock still.
    let next = command(folder.path(), "up").spawn().unwrap();
    let starts = wait::until_blocking(LIMIT, || !["", &first].contains(&pid().as_str()));
    let beside = stack(folder.path(), "up");
    let next = next.wait_with_output().unwrap();
    assert!(starts && next.status.success() && !said(&next).contains("runs already"), "{}", said(&next));
    assert!(beside.status.success() && said(&beside).contains("runs already"), "{}", said(&beside));
    let left = || processes_in(folder.path()).into_iter().filter(|(id, _)| old.iter().any(|it| it.0 == *id));
    assert!(
        wait::until_blocking(LIMIT, || left().next().is_none()),
        "left: {:?}",
        left().collect::<Vec<_>>()
    );
}
