//! The allowed system calls as data: which, with which arguments, and the canary's attempts with others.

use std::fmt::Write;

use libc::c_long;

/// Where the child puts the program's path before the exec: the lowest address that unprivileged programs may map on
/// common kernels (`vm.mmap_min_addr`), and a multiple of every page size in use.
pub(super) const EXEC_PATH: u64 = 0x1_0000;

/// A condition on one argument, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Is {
    /// A number of 32 bits.
    Int(u8, u32),
    /// The masked bits of a number of 32 bits.
    Flags(u8, u32, u32),
    Address(u8, u64),
    /// This address or a higher one.
    AtLeast(u8, u64),
}

/// The kernel's answer to a call on the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// The call is made.
    Made,
    /// "Not permitted".
    Refused,
    /// "No such call".
    Missing,
}

/// A system call of the list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) name: &'static str,
    pub(super) number: c_long,
    pub(super) answer: Answer,
    /// Alternatives; all conditions of one must hold. None allows any arguments.
    pub(super) rules: &'static [&'static [Is]],
    /// The same for people.
    pub(super) allowed: &'static str,
    /// Attempts of the canary with other arguments.
    pub(super) tried_by: &'static [&'static str],
}

/// Placeholder for the child's process id until the child knows it. No process has this id.
pub(super) const OWN_PID: u32 = 0x7fff_fff1;
/// Lowest address at which a mapping may be requested.
const LOWEST_MAPPING: u64 = 1 << 32;
/// `prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME)`: glibc names its mappings.
const PR_SET_VMA: u32 = 0x5356_4d41;
/// `TCGETS2`, which newer versions of glibc use in `isatty`.
const TCGETS2: u32 = 0x802c_542a;
/// `O_TMPFILE` without `O_DIRECTORY`, which is part of it.
const NAMELESS: u32 = (libc::O_TMPFILE & !libc::O_DIRECTORY).cast_unsigned();

const EXEC: u32 = libc::PROT_EXEC.cast_unsigned();
const READ_EXEC: u32 = (libc::PROT_READ | libc::PROT_EXEC).cast_unsigned();
const GROWS_DOWN: u32 = libc::MAP_GROWSDOWN.cast_unsigned();
const CHOSEN_PLACE: u32 = (libc::MAP_FIXED | libc::MAP_FIXED_NOREPLACE | libc::MAP_GROWSDOWN).cast_unsigned();
/// The flags with which glibc's loader maps the code of a library, without a fixed address and at one.
const LOADER: u32 = (libc::MAP_PRIVATE | libc::MAP_DENYWRITE).cast_unsigned();
const LOADER_FIXED: u32 = LOADER | libc::MAP_FIXED.cast_unsigned();

const THREAD: u32 = (libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM
    | libc::CLONE_SETTLS
    | libc::CLONE_PARENT_SETTID
    | libc::CLONE_CHILD_CLEARTID)
    .cast_unsigned();

macro_rules! any {
    ($($call:ident)*) => { [$(Call {
        name: stringify!($call),
        number: libc::$call,
        answer: Answer::Made,
        rules: &[],
        allowed: "any",
        tried_by: &[],
    }),*] };
}

macro_rules! only {
    ($call:ident, $allowed:literal, [$($rule:expr),* $(,)?], [$($probe:literal),*]) => { Call {
        name: stringify!($call),
        number: libc::$call,
        answer: Answer::Made,
        rules: &[$(&$rule),*],
        allowed: $allowed,
        tried_by: &[$($probe),*],
    } };
}

macro_rules! answered {
    ($answer:ident, $allowed:literal: $($call:ident)*) => { [$(Call {
        name: stringify!($call),
        number: libc::$call,
        answer: Answer::$answer,
        rules: &[],
        allowed: $allowed,
        tried_by: &[],
    }),*] };
}

/// Whether an alternative is there for a loader only, which maps the code of libraries.
pub(super) fn maps_code(all: &[Is]) -> bool {
    all.contains(&Is::Int(2, READ_EXEC))
}

/// Every call of the list.
pub(super) static CALLS: std::sync::LazyLock<Vec<Call>> = std::sync::LazyLock::new(|| {
    let mut calls = [ANY.as_slice(), ANY_HERE, &REFUSED, &MISSING, ONLY, ONLY_HERE].concat();
    for call in &mut calls {
        call.name = call.name.trim_start_matches("SYS_");
    }
    calls
});

/// Calls with any arguments, on every architecture. Landlock and file modes limit which files can be opened; the
/// others read, write and wait, or concern this process alone.
#[rustfmt::skip]
const ANY: [Call; 66] = any![
    SYS_close SYS_read SYS_readv SYS_pread64 SYS_write SYS_writev SYS_pwrite64 SYS_lseek SYS_fstat SYS_newfstatat SYS_statx
    SYS_statfs SYS_fstatfs SYS_faccessat SYS_faccessat2 SYS_readlinkat SYS_getdents64 SYS_getcwd SYS_ftruncate SYS_fsync
    SYS_fdatasync SYS_fadvise64 SYS_dup SYS_ppoll
    SYS_brk SYS_munmap SYS_mlock SYS_munlock SYS_get_mempolicy
    SYS_futex SYS_set_robust_list SYS_set_tid_address SYS_rseq SYS_sched_yield SYS_sched_getaffinity
    SYS_sched_getscheduler SYS_sched_getparam SYS_sched_get_priority_max SYS_sched_get_priority_min SYS_getpriority
    SYS_membarrier SYS_getcpu
    SYS_rt_sigaction SYS_rt_sigprocmask SYS_rt_sigreturn SYS_sigaltstack SYS_restart_syscall
    SYS_getpid SYS_getppid SYS_gettid SYS_getuid SYS_geteuid SYS_getgid SYS_getegid SYS_getrusage SYS_uname SYS_sysinfo
    SYS_getrandom
    SYS_clock_gettime SYS_clock_getres SYS_clock_nanosleep SYS_nanosleep SYS_gettimeofday SYS_times
    SYS_exit SYS_exit_group
];

/// Calls that exist on x86-64 only; elsewhere their newer forms above are all there is.
#[cfg(target_arch = "x86_64")]
const ANY_HERE: &[Call] = &any![SYS_stat SYS_lstat SYS_access SYS_readlink SYS_poll SYS_time];
#[cfg(not(target_arch = "x86_64"))]
const ANY_HERE: &[Call] = &[];

/// Calls that no encoder needs, but some make.
const REFUSED: [Call; 6] = answered![Refused, "none: answered with \"not permitted\"":
    SYS_sched_setaffinity SYS_sched_setscheduler SYS_sched_setparam SYS_setpriority SYS_set_mempolicy SYS_mbind];

/// Its flags are in memory, which a filter cannot read.
const MISSING: [Call; 1] =
    answered![Missing, "none: answered with \"no such call\", so that glibc takes `clone`": SYS_clone3];

#[rustfmt::skip]
const ONLY: &[Call] = &[
    only!(SYS_execve, "the path at the one address that only the starting child can fill",
        [[Is::Address(0, EXEC_PATH)]], ["exec"]),
    only!(SYS_openat, "not `O_TMPFILE`", [[Is::Flags(2, NAMELESS, 0)]], ["nameless-file"]),
    only!(SYS_mmap,
        "a place of the kernel's choice or one above 4 GiB, not `MAP_GROWSDOWN`, not `PROT_EXEC`; or, for a \
         program that is linked dynamically, as its loader maps libraries: `PROT_READ|PROT_EXEC` with `MAP_PRIVATE|MAP_DENYWRITE`, with or \
         without `MAP_FIXED`, of a library, once, while there is one thread",
        [
            [Is::Address(0, 0), Is::Flags(3, CHOSEN_PLACE, 0), Is::Flags(2, EXEC, 0)],
            [Is::AtLeast(0, LOWEST_MAPPING), Is::Flags(3, GROWS_DOWN, 0), Is::Flags(2, EXEC, 0)],
            [Is::Address(0, 0), Is::Int(3, LOADER), Is::Int(2, READ_EXEC)],
            [Is::AtLeast(0, LOWEST_MAPPING), Is::Int(3, LOADER_FIXED), Is::Int(2, READ_EXEC)],
        ],
        ["exec-page", "exec-page-hint", "exec-page-zero", "exec-page-grow", "new-code", "new-code-shared", "new-code-writable",
            "code-of-input", "code-of-output", "code-of-library", "code-of-library-threads", "code-of-input-static"]),
    only!(SYS_mprotect, "no bit but `PROT_READ` and `PROT_WRITE`",
        [[Is::Flags(2, !(libc::PROT_READ | libc::PROT_WRITE).cast_unsigned(), 0)]], ["code-of-data"]),
    only!(SYS_mremap, "no flag but `MREMAP_MAYMOVE`",
        [[Is::Flags(3, !libc::MREMAP_MAYMOVE.cast_unsigned(), 0)]], ["exec-page-move", "keep-mapping"]),
    only!(SYS_madvise, "`NORMAL`, `RANDOM`, `SEQUENTIAL`, `WILLNEED`, `DONTNEED`, `FREE`, `HUGEPAGE`, `NOHUGEPAGE`",
        [
            [Is::Int(2, libc::MADV_NORMAL.cast_unsigned())], [Is::Int(2, libc::MADV_RANDOM.cast_unsigned())],
            [Is::Int(2, libc::MADV_SEQUENTIAL.cast_unsigned())], [Is::Int(2, libc::MADV_WILLNEED.cast_unsigned())],
            [Is::Int(2, libc::MADV_DONTNEED.cast_unsigned())], [Is::Int(2, libc::MADV_FREE.cast_unsigned())],
            [Is::Int(2, libc::MADV_HUGEPAGE.cast_unsigned())], [Is::Int(2, libc::MADV_NOHUGEPAGE.cast_unsigned())],
        ], ["share-pages"]),
    only!(SYS_clone, "exactly the flags with which glibc and musl make a thread",
        [[Is::Flags(0, !libc::CLONE_DETACHED.cast_unsigned(), THREAD)]],
        ["fork", "traced-thread", "sibling", "thread-namespace"]),
    only!(SYS_tgkill, "the own process", [[Is::Int(0, OWN_PID)]], ["thread-signal"]),
    only!(SYS_prlimit64, "the own limits, read and not set",
        [[Is::Int(0, 0), Is::Address(2, 0)]], ["task-limits", "raise-limit"]),
    only!(SYS_fcntl,
        "`F_DUPFD`, `F_DUPFD_CLOEXEC`, `F_GETFD`, `F_SETFD`, `F_GETFL`, `F_GETLK`, `F_SETLK`, `F_SETLKW`, and `F_SETFL` without \
         `O_ASYNC`",
        [
            [Is::Int(1, libc::F_DUPFD.cast_unsigned())], [Is::Int(1, libc::F_DUPFD_CLOEXEC.cast_unsigned())],
            [Is::Int(1, libc::F_GETFD.cast_unsigned())], [Is::Int(1, libc::F_SETFD.cast_unsigned())],
            [Is::Int(1, libc::F_GETFL.cast_unsigned())],
            [Is::Int(1, libc::F_SETFL.cast_unsigned()), Is::Flags(2, libc::O_ASYNC.cast_unsigned(), 0)],
            [Is::Int(1, libc::F_GETLK.cast_unsigned())], [Is::Int(1, libc::F_SETLK.cast_unsigned())],
            [Is::Int(1, libc::F_SETLKW.cast_unsigned())],
        ], ["signal-owner", "signal-async", "signal-kind", "lease", "pipe-size"]),
    only!(SYS_ioctl, "`TCGETS`, `TCGETS2`, `TIOCGWINSZ`, `FIONBIO`",
        [
            [Is::Int(1, 0x5401)], [Is::Int(1, TCGETS2)], [Is::Int(1, 0x5413)], [Is::Int(1, 0x5421)],
        ], ["type-in-terminal", "file-flags"]),
    only!(SYS_prctl, "`PR_SET_NAME`, `PR_GET_NAME`, `PR_CAPBSET_READ`, and `PR_SET_VMA` to name a mapping",
        [
            [Is::Int(0, libc::PR_SET_NAME.cast_unsigned())], [Is::Int(0, libc::PR_GET_NAME.cast_unsigned())],
            // libcap, which many builds of ffmpeg load, asks for the highest capability.
            [Is::Int(0, libc::PR_CAPBSET_READ.cast_unsigned())],
            [Is::Int(0, PR_SET_VMA), Is::Int(1, 0)],
        ], ["outlive-parent", "move-program", "speculate", "adopt"]),
];

#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const ONLY_HERE: &[Call] = &[
    only!(SYS_open, "not `O_TMPFILE`", [[Is::Flags(1, NAMELESS, 0)]], ["nameless-file-open"]),
    // Set by libc's start-up, which also asks about shadow stacks (interfaces of Linux before and since 6.6).
    only!(SYS_arch_prctl, "`ARCH_SET_FS`, `ARCH_CET_STATUS`, `ARCH_SHSTK_STATUS`",
        [[Is::Int(0, 0x1002)], [Is::Int(0, 0x3001)], [Is::Int(0, 0x5005)]], ["exec-page-vdso", "cpuid-fault", "segment-base"]),
];
#[cfg(not(target_arch = "x86_64"))]
const ONLY_HERE: &[Call] = &[];

/// The table of `SECURITY.md`: every call, with which arguments, and the attempts with others.
#[doc(hidden)]
pub fn allowed_calls() -> String {
    let mut table =
        String::from("| call | allowed arguments | attempts with others |\n| --- | --- | --- |\n");
    for call in CALLS.iter().filter(|call| call.allowed != "any") {
        let tried: Vec<_> = call.tried_by.iter().map(|probe| format!("`{probe}`")).collect();
        // A bar would end the cell.
        let allowed = call.allowed.replace('|', "\\|");
        let _ = writeln!(table, "| `{}` | {allowed} | {} |", call.name, tried.join(", "));
    }
    let any: Vec<_> =
        CALLS.iter().filter(|call| call.allowed == "any").map(|call| format!("`{}`", call.name)).collect();
    let _ = writeln!(table, "| {} | any | |", any.join(", "));
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::probes::{Expect, PROBES};

    #[test]
    fn whatever_is_allowed_with_some_arguments_is_tried_with_others() {
        for call in CALLS.iter().filter(|call| !call.rules.is_empty()) {
            assert!(!call.tried_by.is_empty(), "{} is not tried with other arguments", call.name);
            for name in call.tried_by {
                let probe = PROBES.iter().find(|probe| probe.name == *name);
                let probe = probe.unwrap_or_else(|| panic!("{}: there is no attempt {name}", call.name));
                let stopped = matches!(probe.expect, Expect::Stopped | Expect::StoppedByWatch);
                assert!(stopped, "{name} is stopped with and without Landlock");
            }
        }
    }

    #[test]
    fn each_call_is_listed_once_and_none_that_makes_files_or_processes_is_without_conditions() {
        let mut names: Vec<_> = CALLS.iter().map(|call| call.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
        for never in
            ["socket", "execveat", "fork", "vfork", "unlinkat", "renameat2", "memfd_create", "pkey_mprotect"]
        {
            assert!(!names.contains(&never), "{never}");
        }
    }
}
