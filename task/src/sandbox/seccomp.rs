//! The system calls that ffmpeg and ffprobe may make. Everything else kills the process.
//!
//! The list holds what glibc's start-up and threads, x264, x265, SVT-AV1, libaom and the native AAC encoder were seen
//! to need, and their counterparts on the other architecture. Three things are worth more than the list itself:
//!
//! * No socket of any family, no new process (`clone` only for threads), no signal but to itself, nothing that
//!   reads or changes another process (`prlimit64` only reads; `fcntl` cannot name an owner to be signalled).
//! * **One exec.** The filter must be in place before ffmpeg is executed, so it has to allow `execve`. It allows it with
//!   the program's path at [`EXEC_PATH`] only, an address in the first mebibyte where the starting child puts the path.
//!   After the exec nothing is mapped there, and nothing can be: `mmap` may not ask for an address below 4 GiB, fixed or as
//!   a hint, `mremap` may not move to a chosen one, nothing may grow down, and the kernel's own choice would come near
//!   only after the whole address space, which `RLIMIT_AS` ends long before.
//! * What is refused politely instead of deadly: `clone3`, whose flags are in memory where a filter cannot look, does not
//!   "exist", so that glibc falls back to `clone`; scheduling and memory placement "are not permitted", which
//!   the encoders take as a host without the privilege.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

/// Where the starting child puts the program's path: the lowest address that unprivileged programs may map on common
/// kernels (`vm.mmap_min_addr`), and a multiple of every page size in use.
pub(super) const EXEC_PATH: u64 = 0x1_0000;
/// No mapping may be asked for below this.
const LOWEST_MAPPING: u64 = 1 << 32;
/// Stands for the child's process id until the child knows it. No process id reaches it.
const OWN_PID: u32 = 0x7fff_fff1;
/// `prctl(PR_SET_VMA)`: glibc names its mappings.
const PR_SET_VMA: u64 = 0x5356_4d41;
/// `TCGETS2` as newer versions of glibc ask it in `isatty`.
const TCGETS2: u64 = 0x802c_542a;

/// The filters of one start, and where the child's process id belongs.
#[derive(Debug, Clone)]
pub(super) struct Filters {
    /// To be installed in this order; the strictest answer wins.
    pub(super) programs: Vec<BpfProgram>,
    /// Index of the instruction in the last program that compares with the process id.
    pub(super) own_pid: usize,
}

/// Compiles the filters.
pub(super) fn filters() -> Result<Filters, BackendError> {
    let missing = program(
        [libc::SYS_clone3].map(|call| (call, vec![])).into(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS.unsigned_abs()),
    )?;
    let refused = program(
        REFUSED.map(|call| (call, vec![])).into(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM.unsigned_abs()),
    )?;
    let allowed = program(allowed()?, SeccompAction::KillProcess, SeccompAction::Allow)?;
    let own_pid = allowed.iter().position(|line| line.k == OWN_PID).ok_or(BackendError::EmptyRule)?;
    Ok(Filters { programs: vec![missing, refused, allowed], own_pid })
}

type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

fn program(
    rules: Rules,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<BpfProgram, BackendError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, otherwise, matched, arch)?.try_into()
}

/// Answered with "not permitted". Nothing that an encoder needs, but several ask.
const REFUSED: [c_long; 6] = [
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_setparam,
    libc::SYS_setpriority,
    libc::SYS_set_mempolicy,
    libc::SYS_mbind,
];

/// Allowed with any arguments, on every architecture.
#[rustfmt::skip]
const PLAIN: &[c_long] = &[
    // Files: opened (what may be opened is Landlock's and the owner's business), read, written, renamed, removed.
    libc::SYS_openat, libc::SYS_close, libc::SYS_read, libc::SYS_readv, libc::SYS_pread64, libc::SYS_write,
    libc::SYS_writev, libc::SYS_pwrite64, libc::SYS_lseek, libc::SYS_fstat, libc::SYS_newfstatat, libc::SYS_statx,
    libc::SYS_statfs, libc::SYS_fstatfs, libc::SYS_faccessat, libc::SYS_faccessat2, libc::SYS_readlinkat,
    libc::SYS_getdents64, libc::SYS_getcwd, libc::SYS_renameat, libc::SYS_renameat2, libc::SYS_unlinkat,
    libc::SYS_mkdirat, libc::SYS_ftruncate, libc::SYS_fsync, libc::SYS_fdatasync, libc::SYS_fadvise64, libc::SYS_dup,
    libc::SYS_ppoll,
    // Memory.
    libc::SYS_brk, libc::SYS_munmap, libc::SYS_mprotect, libc::SYS_madvise, libc::SYS_mlock, libc::SYS_munlock,
    libc::SYS_get_mempolicy,
    // Threads.
    libc::SYS_futex, libc::SYS_set_robust_list, libc::SYS_set_tid_address, libc::SYS_rseq, libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity, libc::SYS_sched_getscheduler, libc::SYS_sched_getparam,
    libc::SYS_sched_get_priority_max, libc::SYS_sched_get_priority_min, libc::SYS_getpriority, libc::SYS_membarrier,
    libc::SYS_getcpu, libc::SYS_clone3, // clone3: answered by another filter
    // Signals, to itself.
    libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask, libc::SYS_rt_sigreturn, libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    // Questions about itself and the machine.
    libc::SYS_getpid, libc::SYS_getppid, libc::SYS_gettid, libc::SYS_getuid, libc::SYS_geteuid, libc::SYS_getgid,
    libc::SYS_getegid, libc::SYS_getrusage, libc::SYS_uname, libc::SYS_sysinfo, libc::SYS_getrandom,
    // Time.
    libc::SYS_clock_gettime, libc::SYS_clock_getres, libc::SYS_clock_nanosleep, libc::SYS_nanosleep,
    libc::SYS_gettimeofday, libc::SYS_times,
    libc::SYS_exit, libc::SYS_exit_group,
];

/// Calls that exist on x86-64 only; elsewhere their newer forms above are all there is.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const PLAIN_HERE: &[c_long] = &[
    libc::SYS_arch_prctl, libc::SYS_open, libc::SYS_stat, libc::SYS_lstat, libc::SYS_access, libc::SYS_readlink,
    libc::SYS_rename, libc::SYS_unlink, libc::SYS_mkdir, libc::SYS_rmdir, libc::SYS_poll, libc::SYS_time,
];
#[cfg(not(target_arch = "x86_64"))]
const PLAIN_HERE: &[c_long] = &[];

fn allowed() -> Result<Rules, BackendError> {
    let mut rules: Rules =
        PLAIN.iter().chain(PLAIN_HERE).chain(&REFUSED).map(|&call| (call, vec![])).collect();
    rules.insert(libc::SYS_execve, vec![all([equal(0, EXEC_PATH)])?]);

    let anywhere = libc::MAP_FIXED | libc::MAP_FIXED_NOREPLACE | libc::MAP_GROWSDOWN;
    rules.insert(
        libc::SYS_mmap,
        vec![
            all([equal(0, 0), masked(3, anywhere, 0)])?,
            all([at_least(0, LOWEST_MAPPING), masked(3, libc::MAP_GROWSDOWN, 0)])?,
        ],
    );
    rules.insert(libc::SYS_mremap, vec![all([masked(3, libc::MREMAP_FIXED, 0)])?]);

    // A thread and nothing else: no new process, no new namespace.
    let thread = libc::CLONE_THREAD | libc::CLONE_VM | libc::CLONE_SIGHAND;
    let namespaces = libc::CLONE_NEWNS
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUSER
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWCGROUP;
    rules.insert(libc::SYS_clone, vec![all([masked(0, thread | namespaces, thread)])?]);

    // abort() signals the own process; nobody else is to be signalled.
    rules.insert(libc::SYS_tgkill, vec![all([equal(0, u64::from(OWN_PID))])?]);
    // Reading limits, not setting them, which would work on the task's own process.
    rules.insert(libc::SYS_prlimit64, vec![all([equal(2, 0)])?]);
    rules.insert(libc::SYS_fcntl, any(1, &FCNTL)?);
    rules.insert(libc::SYS_ioctl, any(1, &[libc::TCGETS, TCGETS2, libc::TIOCGWINSZ, libc::FIONBIO])?);
    rules.insert(libc::SYS_prctl, any(0, &PRCTL)?);
    Ok(rules)
}

/// Flags, duplicates and locks of descriptors; not `F_SETOWN` and `F_SETSIG`, which send a chosen signal to a chosen process.
const FCNTL: [u64; 9] = [
    libc::F_DUPFD as u64,
    libc::F_DUPFD_CLOEXEC as u64,
    libc::F_GETFD as u64,
    libc::F_SETFD as u64,
    libc::F_GETFL as u64,
    libc::F_SETFL as u64,
    libc::F_GETLK as u64,
    libc::F_SETLK as u64,
    libc::F_SETLKW as u64,
];
/// Names of threads and mappings; libcap, which comes with many builds of ffmpeg, asks for the highest capability when it
/// is loaded.
const PRCTL: [u64; 4] =
    [libc::PR_SET_NAME as u64, libc::PR_GET_NAME as u64, PR_SET_VMA, libc::PR_CAPBSET_READ as u64];

/// One rule: every condition holds.
fn all<const N: usize>(
    conditions: [Result<SeccompCondition, BackendError>; N],
) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(conditions.into_iter().collect::<Result<_, _>>()?)
}

/// One rule for each value: the argument is one of them.
fn any(argument: u8, values: &[u64]) -> Result<Vec<SeccompRule>, BackendError> {
    values.iter().map(|&value| all([dword(argument, SeccompCmpOp::Eq, value)])).collect()
}

fn equal(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    if value == u64::from(OWN_PID) {
        return dword(argument, SeccompCmpOp::Eq, value);
    }
    SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, value)
}

fn at_least(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Ge, value)
}

fn masked(argument: u8, mask: i32, value: i32) -> Result<SeccompCondition, BackendError> {
    let (mask, value) = (u64::from(mask.cast_unsigned()), u64::from(value.cast_unsigned()));
    dword(argument, SeccompCmpOp::MaskedEq(mask), value)
}

/// The kernel looks at the lower half only where it takes an `int`, and so does the filter.
fn dword(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
}
