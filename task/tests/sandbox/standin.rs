//! Programs in C that stand in for ffmpeg: what they are given, and what the pipeline lets them take.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use transcode_media::{
    process::{Tool, Tools},
    sandbox::{Layer, Sandbox, SandboxPolicy},
};

use crate::{
    corpus::clip,
    program::PROFILE,
    support::{Kernel, PROGRAM, call, run},
};

/// Compiles a program. `how`: options of the compiler.
fn compiled(folder: &Path, name: &str, text: &str, how: &[&str]) -> PathBuf {
    let (source, program) = (folder.join(format!("{name}.c")), folder.join(name));
    std::fs::write(&source, text).unwrap();
    let mut compiler = Command::new("cc");
    assert!(compiler.args(how).arg(&source).arg("-o").arg(&program).status().unwrap().success());
    program
}

/// What a program says in the sandbox, with some layers left out.
async fn said(program: &Path, without: &[Layer]) -> String {
    let sandbox = Sandbox::without(SandboxPolicy::Prefer, without.iter().copied().collect());
    let finished = run(&Tools::stand_in(program, sandbox.unwrap()), call(Tool::Ffmpeg, &[])).await;
    String::from_utf8(finished.unwrap().stdout).unwrap()
}

/// Asks the C library for a character set that is not part of it, as ffmpeg does for the names in a transport stream.
const ICONV: &str = r#"
#include <iconv.h>
#include <stdio.h>
int main(void) { puts(iconv_open("UTF-8", "ISO-8859-15") == (iconv_t)-1 ? "goes on without" : "loaded"); return 0; }
"#;

#[test]
fn a_static_glibc_goes_on_without_the_hosts_modules() {
    let folder = tempfile::tempdir().unwrap();
    let program = compiled(folder.path(), "iconv", ICONV, &["-static"]);
    for kernel in Kernel::BOTH {
        kernel.run(async || {
            assert_eq!(said(&program, &[]).await, "goes on without\n", "{kernel:?}");
            let loaded = said(&program, &[Layer::Seccomp]).await;
            assert_eq!(loaded, "loaded\n", "{kernel:?}: there is nothing to load");
        });
    }
}

const ENVIRONMENT: &str = r"
#include <stdio.h>
extern char **environ;
int main(void) { for (char **it = environ; *it; it++) puts(*it); return 0; }
";

#[test]
fn the_environment_is_three_variables_whatever_that_of_the_task_is() {
    let folder = tempfile::tempdir().unwrap();
    let program = compiled(folder.path(), "environment", ENVIRONMENT, &[]);
    for kernel in Kernel::BOTH {
        kernel.run(async || {
            let given = "LC_ALL=C\nHOME=/nonexistent\nMALLOC_ARENA_MAX=2\n";
            assert_eq!(said(&program, &[]).await, given, "{kernel:?}");
            assert!(said(&program, &[Layer::Environment]).await.contains("\nPATH="), "{kernel:?}");
        });
    }
}

/// Does what ffmpeg is asked but for the encoder's run, which makes files of 16 MiB until they are 4 GiB: holes, so that
/// no disk is filled.
const GREEDY: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
int main(int count, char **words) {
    int encodes = 0;
    for (int at = 1; at < count; at++) encodes |= !strcmp(words[at], "v0.mp4");
    for (int file = 0; encodes && file < 256; file++) {
        char name[32];
        snprintf(name, sizeof name, "more%d", file);
        if (ftruncate(open(name, O_CREAT | O_WRONLY, 0600), 16 << 20)) return 8;
        printf("frame=%d\n", file);
        fflush(stdout);
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, 0);
    }
    return encodes ? 7 : 0;
}
"#;

#[test]
fn the_encoder_may_write_twice_what_the_plan_expects_and_a_little_more() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let greedy = compiled(folder.path(), "greedy", GREEDY, &[]);
    clip(&at("clip.mp4"), &[]);
    std::fs::write(at("profile.toml"), PROFILE).unwrap();
    let mut command = Command::new(PROGRAM);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("TRANSCODE_FFMPEG", &greedy);
    command.arg("--input").arg(at("clip.mp4")).arg("--output").arg(at("out"));
    let output = command.arg("--profile").arg(at("profile.toml")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("OUTPUT_TOO_LARGE: "), "{said}");
    // A second of 200 kbit/s of video, and of 64 kbit/s of audio with its index; twice that, and 64 MiB.
    let limit =
        said.lines().find_map(|line| line.trim_start().strip_prefix("transcode-task:   limit_bytes: "));
    let limit: u64 = limit.unwrap_or_else(|| panic!("{said}")).parse().unwrap();
    let beyond = limit - (64 << 20);
    assert!((80_000..90_000).contains(&beyond), "{limit}");
    assert_eq!(std::fs::read_dir(at("out")).unwrap().count(), 0);
}
