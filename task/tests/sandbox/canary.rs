//! `sandbox-check` on this machine and on one without Landlock: nothing gets out, and with any layer taken away something
//! does.

use std::{
    collections::BTreeSet,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{Kernel, age, old_kernel};

/// The program, where also an unprivileged user can execute it.
fn program(folder: &Path) -> PathBuf {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    let copy = folder.join("program");
    // By another program: what this one has open for writing, a child forked by another thread has open for a moment, too,
    // and then the copy cannot be executed.
    assert!(Command::new("cp").arg(crate::support::PROGRAM).arg(&copy).status().unwrap().success());
    copy
}

fn am_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// Who runs the check. The task is not root's; where the tests are, they become nobody for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum User {
    Nobody,
    Same,
}

/// Runs the check and returns its exit status with the JSON that it printed.
fn check(kernel: Kernel, user: User, args: &[&str]) -> (i32, serde_json::Value) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(program(folder.path()));
    command.arg("sandbox-check").arg("--json").args(args);
    command.env("TRANSCODE_SECRET", "what the canary must not find").current_dir("/");
    if user == User::Nobody && am_root() {
        command.uid(65534).gid(65534);
    }
    if kernel == Kernel::Old {
        let filter = old_kernel();
        // SAFETY: installing a filter that exists already is two system calls.
        unsafe { command.pre_exec(move || age(&filter)) };
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let report = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap(), report)
}

fn breaches(report: &serde_json::Value) -> BTreeSet<&str> {
    let rows = report["rows"].as_array().unwrap().iter();
    rows.filter(|row| row["breach"] == true).map(|row| row["name"].as_str().unwrap()).collect()
}

/// With this layer gone, these attempts and no others break out, and the exit status says so.
fn without(kernel: Kernel, user: User, layer: &str, expected: &[&str]) {
    let (status, report) = check(kernel, user, &["--without", layer]);
    assert_eq!(breaches(&report), expected.iter().copied().collect(), "{kernel:?} without {layer}");
    assert_eq!(status == 0, expected.is_empty(), "{kernel:?} without {layer}");
}

#[test]
fn nothing_gets_out() {
    for kernel in Kernel::BOTH {
        for user in [User::Nobody, User::Same] {
            let (status, report) = check(kernel, user, &[]);
            assert_eq!(breaches(&report), BTreeSet::new(), "{kernel:?} {user:?} {report:#}");
            assert_eq!(status, 0);
            assert_eq!(report["level"]["landlock"].is_u64(), kernel.has_landlock(), "{kernel:?}");
            assert_eq!(report["level"]["seccomp"], true);
            assert_eq!(report["level"]["loader"], true);
        }
    }
}

#[test]
fn what_nothing_stops_without_landlock_is_said_to_be_open() {
    let (_, report) = check(Kernel::Old, User::Nobody, &[]);
    let rows = report["rows"].as_array().unwrap().iter();
    let open: Vec<_> =
        rows.filter(|row| row["expected"] == "open").map(|row| row["name"].as_str().unwrap()).collect();
    let files = ["other-job-read", "other-job-list", "other-job-write", "system-file", "input-write"];
    assert_eq!(open, [files.as_slice(), &["code-of-another-library"]].concat());
}

#[test]
fn without_landlock_files_are_open() {
    let files = ["other-job-read", "other-job-list", "other-job-write", "system-file", "input-write"];
    let expected = if Kernel::Here.has_landlock() { files.as_slice() } else { &[] };
    without(Kernel::Here, User::Nobody, "landlock", expected);
}

/// What a program maps for code that is not its loader.
const CODE: [&str; 4] = ["code-of-input", "code-of-library", "code-of-library-threads", "code-of-output"];

#[test]
fn without_the_watch_over_the_loader_any_file_is_code() {
    for kernel in Kernel::BOTH {
        without(kernel, User::Nobody, "loader", &CODE);
    }
}

/// What only seccomp stops.
const CALLS: [&str; 44] = [
    "adopt",
    "chmod",
    "closed-folder",
    "code-of-data",
    "code-of-input-static",
    "cpuid-fault",
    "exec-descriptor",
    "exec-page",
    "exec-page-grow",
    "exec-page-hint",
    "exec-page-move",
    "exec-page-vdso",
    "file-flags",
    "fork",
    "keep-mapping",
    "lease",
    "move-program",
    "nameless-file",
    "nameless-file-open",
    "namespace",
    "new-code",
    "new-code-shared",
    "new-code-writable",
    "outlive-parent",
    "pipe-size",
    "raise-limit",
    "remove",
    "rename",
    "segment-base",
    "share-pages",
    "sibling",
    "signal-async",
    "signal-kind",
    "signal-owner",
    "socket-ipv4",
    "socket-ipv6",
    "socket-netlink",
    "socket-unix",
    "socket-vsock",
    "speculate",
    "task-limits",
    "thread-namespace",
    "traced-thread",
    "type-in-terminal",
];

#[test]
fn without_seccomp_there_are_sockets_and_processes() {
    for kernel in Kernel::BOTH {
        let (status, report) = check(kernel, User::Nobody, &["--without", "seccomp"]);
        assert_eq!(status, 11);
        let seen = breaches(&report);
        // Not every kernel lets unprivileged users make these.
        let mut expected: BTreeSet<_> = CALLS
            .into_iter()
            .chain(CODE)
            .filter(|name| !OPTIONAL.contains(name) || seen.contains(name))
            .collect();
        if !kernel.has_landlock() {
            expected.extend(["exec", "hard-link", "signal", "symlink", "thread-signal"]);
        }
        expected.extend(OPTIONAL.into_iter().filter(|name| seen.contains(name)));
        if kernel == Kernel::Old {
            // There it is the kernel that has none.
            expected.remove("namespace");
        }
        assert_eq!(seen, expected, "{kernel:?}");
    }
}

/// Depend on the kernel's configuration, not on the sandbox.
const OPTIONAL: [&str; 9] = [
    "cpuid-fault",
    "io-uring",
    "keep-mapping",
    "namespace",
    "share-pages",
    "socket-ipv6",
    "socket-netlink",
    "socket-vsock",
    "thread-namespace",
];

#[test]
fn without_the_closed_parent_its_environment_is_read_where_landlock_does_not_stop_that() {
    without(Kernel::Old, User::Nobody, "dumpable", &["task-environ", "task-memory"]);
    let expected: &[&str] = if Kernel::Here.has_landlock() { &[] } else { &["task-environ", "task-memory"] };
    without(Kernel::Here, User::Nobody, "dumpable", expected);
}

#[test]
fn without_the_cleared_environment_the_secret_is_found() {
    for kernel in Kernel::BOTH {
        without(kernel, User::Nobody, "environment", &["environment"]);
    }
}

#[test]
fn without_closing_a_descriptor_is_found() {
    for kernel in Kernel::BOTH {
        without(kernel, User::Nobody, "descriptors", &["descriptors"]);
    }
}

#[test]
fn without_limits_nothing_ends() {
    let limits = ["core", "cpu", "file-size", "memory", "open-files", "threads"];
    for kernel in Kernel::BOTH {
        let (_, report) = check(kernel, User::Nobody, &["--without", "limits"]);
        let mut seen = breaches(&report);
        // The host's own limits may be just as low.
        for inherited in ["core", "open-files", "threads"] {
            seen.insert(inherited);
        }
        assert_eq!(seen, limits.into(), "{kernel:?}");
    }
}

#[test]
fn without_dropping_capabilities_root_reads_what_the_mode_forbids() {
    for kernel in Kernel::BOTH {
        // An unprivileged task has none to lose.
        without(kernel, User::Nobody, "capabilities", &[]);
        // With its capabilities root reads every process, unless Landlock stops that.
        let expected: &[&str] = match (am_root(), kernel.has_landlock()) {
            (true, true) => &["closed-file"],
            (true, false) => &["closed-file", "task-environ", "task-memory"],
            (false, _) => &[],
        };
        without(kernel, User::Same, "capabilities", expected);
    }
}

#[test]
fn the_check_refuses_where_the_policy_is_not_met() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(program(folder.path()));
    command.args(["sandbox-check", "--sandbox", "require"]);
    let filter = old_kernel();
    // SAFETY: as above.
    unsafe { command.pre_exec(move || age(&filter)) };
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(11));
    assert!(String::from_utf8_lossy(&output.stderr).contains("SANDBOX_UNAVAILABLE"));
}
