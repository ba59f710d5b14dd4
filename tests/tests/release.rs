//! `scripts/release`: what its archives are called, hold and hash to. Cargo is played by a script that links a program of
//! one instruction: building the real ones for two architectures takes longer than all other tests.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use transcode_tests::paths;

/// What `scripts/release programs` reads.
const FILES: [&str; 9] = [
    "scripts/release",
    "Cargo.toml",
    "rust-toolchain.toml",
    "config/controller.toml",
    "deploy/template.yaml",
    "deploy/events.yaml",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "CHANGELOG.md",
];

/// `cargo zigbuild --target T --profile P --bin B`; `LINK` says how it links.
const CARGO: &str = r#"#!/bin/bash
grep -q "channel = \"$RUSTUP_TOOLCHAIN\"" rust-toolchain.toml || exit 1
while [ $# -gt 0 ]; do case $1 in --target) t=$2 ;; --bin) b=$2 ;; --profile) p=$2 ;; esac; shift; done
mkdir -p "target/$t/$p"
case $(uname -m) in
x86_64) exit='mov $60, %%eax; xor %%edi, %%edi; syscall' ;;
*) exit='mov x8, #93; mov x0, #0; svc #0' ;;
esac
printf "void _start(void){__asm__(\"$exit\");}" | cc $LINK -nostdlib -x c - -o "target/$t/$p/$b"
"#;

/// A checkout of its own, committed, with the tools that it looks for.
fn checkout(folder: &Path) -> PathBuf {
    let (made, tools) = (folder.join("checkout"), folder.join("tools"));
    for file in FILES {
        let to = made.join(file);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(paths::checkout().join(file), to).unwrap();
    }
    fs::write(made.join(".gitignore"), "/target\n/dist\n").unwrap();
    fs::create_dir(&tools).unwrap();
    for (name, text) in [("cargo", CARGO), ("rustup", "#!/bin/sh\n")] {
        fs::write(tools.join(name), text).unwrap();
        fs::set_permissions(tools.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let commit = "git init -q && git add . && git -c user.name=a -c user.email=a@b commit -qm release";
    assert!(Command::new("sh").args(["-c", commit]).current_dir(&made).status().unwrap().success());
    made
}

fn release(checkout: &Path, link: &str) -> Output {
    let tools = checkout.parent().unwrap().join("tools").display().to_string();
    Command::new(checkout.join("scripts/release"))
        .arg("programs")
        .env("PATH", format!("{tools}:{}", std::env::var("PATH").unwrap()))
        .env("ARCHITECTURES", std::env::consts::ARCH)
        .env("LINK", link)
        .env("RUSTUP_TOOLCHAIN", "another")
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .unwrap()
}

#[test]
fn a_release_has_versioned_names_checksums_that_hold_and_the_same_bytes_again() {
    let folder = tempfile::tempdir().unwrap();
    let checkout = checkout(folder.path());
    let sums = || {
        let output = release(&checkout, "-static");
        assert!(output.status.success(), "{output:?}");
        fs::read_to_string(checkout.join("dist/SHA256SUMS")).unwrap()
    };
    let first = sums();
    let mut check = Command::new("sha256sum");
    check.args(["--check", "--strict", "SHA256SUMS"]).current_dir(checkout.join("dist"));
    assert!(check.output().unwrap().status.success());
    let version = env!("CARGO_PKG_VERSION");
    let stem = format!("transcode-{version}-linux-{}", std::env::consts::ARCH);
    let names: Vec<&str> = first.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    let expected =
        [format!("events-{version}.yaml"), format!("template-{version}.yaml"), format!("{stem}.tar.gz")];
    assert_eq!(names, expected);
    let list = Command::new("tar").arg("-tzf").arg(checkout.join("dist").join(names[2])).output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    for file in ["transcode-controller", "transcode-task", "controller.toml", "template.yaml", "LICENSE-MIT"]
    {
        assert!(list.lines().any(|line| line == format!("{stem}/{file}")), "{file}: {list}");
    }
    // Other times of the files, the same commit.
    fs::copy(paths::checkout().join("CHANGELOG.md"), checkout.join("CHANGELOG.md")).unwrap();
    assert_eq!(sums(), first);
    fs::write(checkout.join("CHANGELOG.md"), "not committed").unwrap();
    assert!(sums().contains(&format!("{version}-modified")), "what is not committed is told by the name");
}

#[test]
fn a_program_that_needs_a_library_or_a_loader_is_not_released() {
    let folder = tempfile::tempdir().unwrap();
    let checkout = checkout(folder.path());
    let output = release(&checkout, "-pie -Wl,--dynamic-linker=/lib/loader");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("is not static"), "{output:?}");
}
