//! `make up` and `make down`: the stack outlives its command, does its work, and leaves nothing behind.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use transcode_tests::{paths, wait};

const LIMIT: Duration = Duration::from_mins(2);

fn stack(folder: &Path, step: &str) -> Output {
    Command::new(paths::binary("stack").unwrap()).arg("--folder").arg(folder).arg(step).output().unwrap()
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

/// Command lines of processes that work in `folder` or below it.
fn processes_in(folder: &Path) -> Vec<String> {
    let inside = |entry: &fs::DirEntry| {
        fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder))
    };
    let entries = fs::read_dir("/proc").unwrap().flatten().filter(inside);
    entries.map(|entry| fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default()).collect()
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
    assert_eq!(processes_in(folder.path()), [""; 0], "processes are left");
    assert_eq!(files_in(folder.path()), ["lock"], "files are left");
    assert!(said(&stack(folder.path(), "down")).contains("No stack runs"));
}

#[test]
fn a_killed_server_takes_its_processes_along_and_the_next_one_starts() {
    let folder = tempfile::tempdir().unwrap();
    let _down = Down(folder.path());
    let up = stack(folder.path(), "up");
    assert!(up.status.success(), "{}", said(&up));
    let pid = fs::read_to_string(folder.path().join("pid")).unwrap();
    assert!(!processes_in(folder.path()).is_empty());
    assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
    assert!(wait::until_blocking(LIMIT, || processes_in(folder.path()).is_empty()), "processes are left");

    let up = stack(folder.path(), "up");
    assert!(up.status.success() && !said(&up).contains("runs already"), "{}", said(&up));
}
