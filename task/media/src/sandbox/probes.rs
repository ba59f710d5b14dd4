//! The attempts of the canary, and the expected result of each.
#![allow(unsafe_code, reason = "the attempts are system calls that no safe program makes")]

mod memory;

use std::{
    ffi::CStr,
    fs::{self, File, OpenOptions},
    io,
    os::{
        fd::{AsRawFd, IntoRawFd},
        unix::fs::symlink,
    },
    path::{Path, PathBuf},
    ptr,
};

use libc::{c_int, c_long};

use self::memory::{
    advise, beside_a_thread, code, code_of, code_of_another, code_of_data, keep_mapping, libc_itself, map,
    move_mapping, outcome, reserve,
};
use super::{calls, enter::Resource, linked::Linked, policy::SandboxLevel};

/// The expected result of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// It works: a sandbox that stops everything is no use either.
    Works,
    /// It is stopped on every kernel.
    Stopped,
    /// Landlock stops it; without Landlock nothing does.
    StoppedByLandlock,
    /// It is stopped, except for root, whom the kernel exempts.
    StoppedUnlessRoot,
    /// The watch over loaders stops it; where the kernel has none, nothing does.
    StoppedByWatch,
    /// Nothing stops it: said, so that it is known.
    Open,
}

impl Expect {
    /// Whether the sandbox has to stop the attempt here.
    pub(crate) fn must_stop(self, level: SandboxLevel, root: bool) -> bool {
        match self {
            Self::Works | Self::Open => false,
            Self::Stopped => true,
            Self::StoppedByLandlock => level.landlock.is_some(),
            Self::StoppedUnlessRoot => !root,
            Self::StoppedByWatch => level.loader,
        }
    }
}

/// Paths of the files that the attempts use.
#[derive(Debug)]
pub(crate) struct Scene {
    /// The file that it may read.
    pub(crate) input: PathBuf,
    /// A file that the rules let it read, but the file's own mode does not.
    pub(crate) closed: PathBuf,
    /// Another job's folder.
    pub(crate) other: PathBuf,
}

/// One attempt.
pub(crate) struct Probe {
    pub(crate) name: &'static str,
    /// Its description in the table.
    pub(crate) tries: &'static str,
    pub(crate) expect: Expect,
    pub(crate) attempt: fn(&Scene) -> io::Result<()>,
    /// How the program is linked that makes it. One that is linked statically is not the canary: [`super::stub`].
    pub(crate) linked: Linked,
}

const fn probe(
    name: &'static str,
    tries: &'static str,
    expect: Expect,
    attempt: fn(&Scene) -> io::Result<()>,
) -> Probe {
    Probe { name, tries, expect, attempt, linked: Linked::Dynamically }
}

const fn statically(name: &'static str, tries: &'static str, expect: Expect) -> Probe {
    Probe {
        name,
        tries,
        expect,
        attempt: |_| Err(io::ErrorKind::Unsupported.into()),
        linked: Linked::Statically,
    }
}

use Expect::{Open, Stopped, StoppedByLandlock, StoppedByWatch, StoppedUnlessRoot, Works};

/// Every attempt.
#[rustfmt::skip]
pub(crate) const PROBES: &[Probe] = &[
    probe("input", "read the input", Works, |scene| fs::read(&scene.input).map(drop)),
    probe("output", "write in the output folder", Works, |_| output()),
    probe("thread", "start a thread", Works, |_| std::thread::Builder::new().spawn(|| ()).map(drop)),

    probe("task-environ", "read the environment of the task", Stopped, |_| fs::read(of_parent("environ")).map(drop)),
    probe("task-memory", "open the memory of the task", Stopped, |_| File::open(of_parent("mem")).map(drop)),
    probe("ptrace", "trace the task", Stopped, |_| call(libc::SYS_ptrace, [libc::PTRACE_SEIZE.into(), parent(), 0, 0])),
    probe("vm-readv", "read the memory of the task by system call", Stopped, |_| vm_readv()),
    probe("signal", "signal the task", Stopped, |_| call(libc::SYS_kill, [parent(), 0, 0, 0])),
    probe("thread-signal", "signal a thread of the task", Stopped, |_| call(libc::SYS_tgkill, [parent(), parent(), 0, 0])),
    probe("signal-owner", "have the kernel signal the task", Stopped, |_| call(libc::SYS_fcntl, [1, libc::F_SETOWN.into(), parent(), 0])),
    probe("task-limits", "change the limits of the task", Stopped, |_| task_limits()),
    probe("environment", "find a variable of the task in its own environment", Stopped, |_| environment()),
    probe("descriptors", "find a descriptor of the task", Stopped, |_| descriptors()),

    probe("socket-ipv4", "make an IPv4 socket", Stopped, |_| socket(libc::AF_INET)),
    probe("socket-ipv6", "make an IPv6 socket", Stopped, |_| socket(libc::AF_INET6)),
    probe("socket-unix", "make a unix socket", Stopped, |_| socket(libc::AF_UNIX)),
    probe("socket-netlink", "make a netlink socket", Stopped, |_| socket(libc::AF_NETLINK)),
    probe("socket-vsock", "make a vsock socket", Stopped, |_| socket(libc::AF_VSOCK)),
    probe("io-uring", "set up io_uring, which could make sockets", Stopped, |_| past_permission(call(libc::SYS_io_uring_setup, [1, 0, 0, 0]))),

    probe("other-job-read", "read another job's file", StoppedByLandlock, |scene| fs::read(scene.other.join("secret")).map(drop)),
    probe("other-job-list", "list another job's folder", StoppedByLandlock, |scene| fs::read_dir(&scene.other).map(drop)),
    probe("other-job-write", "write into another job's folder", StoppedByLandlock, |scene| fs::write(scene.other.join("planted"), b"x")),
    probe("system-file", "read /etc/passwd", StoppedByLandlock, |_| fs::read("/etc/passwd").map(drop)),
    probe("input-write", "change the input", StoppedByLandlock, |scene| OpenOptions::new().append(true).open(&scene.input).map(drop)),
    probe("closed-file", "read a file whose mode forbids it", Stopped, |scene| fs::read(&scene.closed).map(drop)),
    probe("symlink", "leave a link in the output folder", Stopped, |scene| symlink(&scene.input, "link")),
    probe("hard-link", "leave a hard link in the output folder", Stopped, |scene| fs::hard_link(&scene.input, "hard")),
    probe("chmod", "change a file's mode", Stopped, |scene| set_mode(&scene.closed)),

    probe("fork", "start a process", Stopped, |_| fork()),
    probe("exec", "become a shell", Stopped, |_| exec(c"/bin/sh".as_ptr())),
    probe("exec-page", "map the page that the one allowed exec had its path in", Stopped, |_| map(calls::EXEC_PATH, libc::MAP_FIXED)),
    probe("exec-page-hint", "ask for that page by a hint", Stopped, |_| map(calls::EXEC_PATH, 0)),
    probe("exec-page-zero", "map everything up to that page", Stopped, |_| map(0, libc::MAP_FIXED)),
    probe("exec-page-grow", "map a stack that grows down", Stopped, |_| map(1 << 33, libc::MAP_GROWSDOWN)),
    probe("exec-page-move", "move a mapping to that page", Stopped, |_| move_mapping()),
    probe("exec-page-vdso", "map the kernel's own library at that page", Stopped, |_| arch_prctl(0x2003, calls::EXEC_PATH)),
    probe("exec-descriptor", "execute an open file", Stopped, |_| exec_descriptor()),
    probe("new-code", "map memory for code", Stopped, |_| code(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, libc::PROT_EXEC)),
    probe("new-code-writable", "map memory for code that can be written", Stopped, |_| code(libc::MAP_PRIVATE | libc::MAP_DENYWRITE | libc::MAP_ANONYMOUS, libc::PROT_EXEC | libc::PROT_WRITE)),
    probe("new-code-shared", "map an output for code, shared with whoever writes it", Stopped, |_| code(libc::MAP_SHARED, libc::PROT_EXEC)),
    probe("code-of-input", "map the input for code, as a loader maps a library", StoppedByWatch, |scene| code_of(&scene.input)),
    probe("code-of-output", "write a file and map it so", StoppedByWatch, |_| fs::write("library.so", [0x90; 0x1000]).and_then(|()| code_of(Path::new("library.so")))),
    probe("code-of-library", "map a library again that it was loaded with", StoppedByWatch, |_| code_of(&libc_itself()?)),
    probe("code-of-library-threads", "map another library while there are two threads", StoppedByWatch, |_| beside_a_thread(code_of_another)),
    probe("code-of-another-library", "the same with one thread", Open, |_| code_of_another()),
    statically("code-of-input-static", "the same by a program that is linked statically", Stopped),
    probe("code-of-data", "turn data into code", Stopped, |_| code_of_data()),
    probe("keep-mapping", "move a mapping and keep the old one", Stopped, |_| keep_mapping()),
    probe("share-pages", "have pages merged with other processes'", Stopped, |_| advise(libc::MADV_MERGEABLE)),
    probe("cpuid-fault", "change what the processor says of itself", Stopped, |_| arch_prctl(0x1012, 1)),
    probe("segment-base", "set the base of a segment that libc does not use", Stopped, |_| arch_prctl(0x1001, 0)),
    probe("traced-thread", "make a thread that is traced like this one", Stopped, |_| clone(libc::CLONE_PTRACE)),
    probe("sibling", "make a child of the task", Stopped, |_| call(libc::SYS_clone, [i64::from(libc::CLONE_PARENT), 0, 0, 0]).inspect(|()| leave_if_child())),
    probe("thread-namespace", "make a thread with namespaces of its own", Stopped, |_| clone(libc::CLONE_NEWNET)),
    probe("raise-limit", "set its own limits", Stopped, |_| raise_limit()),
    probe("signal-async", "have input signalled", Stopped, |_| call(libc::SYS_fcntl, [1, libc::F_SETFL.into(), libc::O_ASYNC.into(), 0])),
    probe("signal-kind", "choose the signal of a descriptor", Stopped, |_| call(libc::SYS_fcntl, [1, 10, libc::SIGKILL.into(), 0])),
    probe("lease", "take a lease on a file", Stopped, |_| call(libc::SYS_fcntl, [1, 1024, libc::F_UNLCK.into(), 0]).or_else(|_| call(libc::SYS_fcntl, [File::create("leased")?.into_raw_fd().into(), 1024, libc::F_WRLCK.into(), 0]))),
    probe("pipe-size", "enlarge the pipe to the task", Stopped, |_| call(libc::SYS_fcntl, [1, 1031, 1 << 20, 0])),
    probe("type-in-terminal", "type into a terminal", Stopped, |_| past_terminal(call(libc::SYS_ioctl, [1, 0x5412, 0, 0]))),
    probe("file-flags", "ask a device or file for something else", Stopped, |_| past_terminal(call(libc::SYS_ioctl, [1, 0x541b, 0, 0]))),
    probe("outlive-parent", "no longer die with the task", Stopped, |_| call(libc::SYS_prctl, [libc::PR_SET_PDEATHSIG.into(), 0, 0, 0])),
    probe("move-program", "move the program's own mappings", Stopped, |_| past_arguments(call(libc::SYS_prctl, [libc::PR_SET_MM.into(), 1, 0, 0]))),
    probe("speculate", "let the processor speculate", Stopped, |_| past_arguments(call(libc::SYS_prctl, [53, 0, 0, 0]))),
    probe("adopt", "inherit orphans", Stopped, |_| call(libc::SYS_prctl, [libc::PR_SET_CHILD_SUBREAPER.into(), 1, 0, 0])),
    probe("nameless-file", "make an output without a name", Stopped, |_| nameless(libc::SYS_openat)),
    probe("nameless-file-open", "the same by the older call", Stopped, |_| nameless_by_open()),
    probe("remove", "remove an output and go on writing it", Stopped, |_| File::create("gone").and_then(|_| fs::remove_file("gone"))),
    probe("rename", "put an output in another's place", Stopped, |_| File::create("one").and_then(|_| fs::rename("one", "two"))),
    probe("closed-folder", "make a folder that cannot be looked into", Stopped, |_| closed_folder()),
    probe("session", "leave its process group", Stopped, |_| call(libc::SYS_setpgid, [0, 0, 0, 0])),
    probe("namespace", "make a user namespace", Stopped, |_| call(libc::SYS_unshare, [libc::CLONE_NEWUSER.into(), 0, 0, 0])),

    probe("memory", "reserve 64 GiB", Stopped, |_| reserve()),
    probe("file-size", "make too large a file", Stopped, |_| File::create("large").and_then(|file| file.set_len(1 << 40))),
    probe("open-files", "open 1,000 files", Stopped, |scene| (0..1000).map(|_| File::open(&scene.input)).collect::<io::Result<Vec<_>>>().map(drop)),
    probe("threads", "start threads without end", StoppedUnlessRoot, |_| threads()),
    probe("core", "leave a core file", Stopped, |_| unlimited(libc::RLIMIT_CORE)),
    probe("cpu", "compute without end", Stopped, |_| unlimited(libc::RLIMIT_CPU)),
];

fn output() -> io::Result<()> {
    fs::write("file", b"segment")?;
    if fs::read("file")? == b"segment" { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

fn parent() -> i64 {
    std::os::unix::process::parent_id().into()
}

fn of_parent(file: &str) -> PathBuf {
    Path::new("/proc").join(parent().to_string()).join(file)
}

/// A system call whose pointers, if it has any, are null.
fn call(number: c_long, [a, b, c, d]: [i64; 4]) -> io::Result<()> {
    // SAFETY: no memory of this process is passed.
    outcome(unsafe { libc::syscall(number, a, b, c, d) })
}

fn socket(family: c_int) -> io::Result<()> {
    let kind = if family == libc::AF_NETLINK { libc::SOCK_RAW } else { libc::SOCK_STREAM };
    // SAFETY: no pointers. Nothing is connected: to have the socket is the breach.
    outcome(unsafe { libc::socket(family, kind, 0) })
}

fn vm_readv() -> io::Result<()> {
    let mut word = 0_u64;
    let here = libc::iovec { iov_base: (&raw mut word).cast(), iov_len: 8 };
    // The vector of the other process may point anywhere.
    let there = libc::iovec { iov_base: ptr::without_provenance_mut(0x1000), iov_len: 8 };
    let pid = c_int::try_from(parent()).unwrap_or(0);
    // SAFETY: both vectors are readable, and the local one points to a writable word.
    let done = unsafe { libc::process_vm_readv(pid, &raw const here, 1, &raw const there, 1, 0) };
    past_permission(outcome(i64::try_from(done).unwrap_or(-1)))
}

/// The kernel checks permission before it reads the memory, so a fault there is a breach as well.
fn past_permission(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.raw_os_error() == Some(libc::EFAULT) => Ok(()),
        other => other,
    }
}

fn task_limits() -> io::Result<()> {
    let pid = libc::pid_t::try_from(parent()).unwrap_or(0);
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is writable, then readable. The limit that is set is the one that was read.
    outcome(unsafe { libc::prlimit(pid, libc::RLIMIT_CORE, ptr::null(), &raw mut limit) })?;
    // SAFETY: as above.
    outcome(unsafe { libc::prlimit(pid, libc::RLIMIT_CORE, &raw const limit, ptr::null_mut()) })
}

fn environment() -> io::Result<()> {
    let known = ["LC_ALL", "HOME", "MALLOC_ARENA_MAX"];
    let foreign = std::env::vars_os().any(|(name, _)| !known.iter().any(|known| name == *known));
    found(foreign || std::env::var_os("HOME").is_some_and(|home| home != "/nonexistent"))
}

fn descriptors() -> io::Result<()> {
    // SAFETY: no pointers.
    found((3..1024).any(|descriptor| unsafe { libc::fcntl(descriptor, libc::F_GETFD) } >= 0))
}

/// The result of a search for something that should not be there.
fn found(yes: bool) -> io::Result<()> {
    if yes { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ENOENT)) }
}

fn set_mode(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o000))
}

fn fork() -> io::Result<()> {
    // SAFETY: this process has one thread, and the new one ends at once.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: ends the process without running anything.
        unsafe { libc::_exit(0) };
    }
    outcome(child)
}

fn exec(path: *const libc::c_char) -> io::Result<()> {
    let end: &CStr = c"exit 0";
    let arguments = [c"sh".as_ptr(), c"-c".as_ptr(), end.as_ptr(), ptr::null()];
    // SAFETY: all are strings, and the vector ends with a null pointer. A shell that starts exits with 0: a breach.
    outcome(unsafe { libc::execv(path, arguments.as_ptr()) })
}

/// On other architectures the call does not exist, and the attempt does nothing.
#[cfg(target_arch = "x86_64")]
fn arch_prctl(what: i64, value: u64) -> io::Result<()> {
    // A refusal because of the machine, or because the address is in use, does not come from the sandbox.
    past_arguments(call(libc::SYS_arch_prctl, [what, value.cast_signed(), 0, 0]))
}
#[cfg(not(target_arch = "x86_64"))]
fn arch_prctl(_: i64, _: u64) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

/// Makes a thread with a flag that threads do not have. It has no stack of its own and must not run.
fn clone(more: c_int) -> io::Result<()> {
    let flags = libc::CLONE_VM | libc::CLONE_SIGHAND | libc::CLONE_THREAD | more;
    // With a null stack it uses this thread's: the kernel gives it the part below, and the attempt ends at once.
    past_permission(call(libc::SYS_clone, [i64::from(flags), 0, 0, 0])).inspect(|()| leave_if_child())
}

/// Ends the child, and this process, which reports the breach by that.
fn leave_if_child() {
    // SAFETY: ends the process without running anything.
    unsafe { libc::_exit(0) };
}

fn raise_limit() -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is readable.
    outcome(unsafe { libc::prlimit(0, libc::RLIMIT_CORE, &raw const limit, ptr::null_mut()) })
}

/// The kernel looked at the descriptor or the pointer, so the filter let the call pass.
fn past_terminal(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => Ok(()),
        other => past_permission(other),
    }
}

/// The kernel looked at the arguments: the filter let the call pass.
fn past_arguments(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => Err(error),
        _ => Ok(()),
    }
}

fn nameless(call_number: c_long) -> io::Result<()> {
    let flags = libc::O_TMPFILE | libc::O_RDWR;
    // SAFETY: the path is a string with its end.
    outcome(unsafe { libc::syscall(call_number, libc::AT_FDCWD, c".".as_ptr(), flags, 0o600) })
}

#[cfg(target_arch = "x86_64")]
fn nameless_by_open() -> io::Result<()> {
    let flags = libc::O_TMPFILE | libc::O_RDWR;
    // SAFETY: the path is a string with its end.
    outcome(unsafe { libc::syscall(libc::SYS_open, c".".as_ptr(), flags, 0o600) })
}
#[cfg(not(target_arch = "x86_64"))]
fn nameless_by_open() -> io::Result<()> {
    nameless(libc::SYS_openat)
}

fn closed_folder() -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o000).create("closed")
}

/// A shell, or, where that cannot even be opened, this very program, which ends with 0 as well: a breach.
fn exec_descriptor() -> io::Result<()> {
    let (program, option, rest) = match File::open("/bin/sh") {
        Ok(shell) => (shell, c"-c", c"exit 0".as_ptr()),
        Err(_) => (
            File::open("/proc/self/exe").or_else(|_| File::open(std::env::current_exe()?))?,
            c"--version",
            ptr::null(),
        ),
    };
    let arguments = [c"sh".as_ptr(), option.as_ptr(), rest, ptr::null()];
    let none = [ptr::null::<libc::c_char>()];
    // SAFETY: all are strings, and both vectors end with a null pointer.
    outcome(unsafe {
        let (path, flags) = (c"".as_ptr(), libc::AT_EMPTY_PATH);
        libc::syscall(libc::SYS_execveat, program.as_raw_fd(), path, arguments.as_ptr(), none.as_ptr(), flags)
    })
}

fn soft_limit(resource: Resource) -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is writable; the kernel checks the resource's number.
    outcome(unsafe { libc::getrlimit(resource, &raw mut limit) })?;
    Ok(limit.rlim_cur)
}

fn unlimited(resource: Resource) -> io::Result<()> {
    // A limit of some days is no limit.
    found(soft_limit(resource)? > 1 << 20)
}

fn threads() -> io::Result<()> {
    const MANY: u64 = 8000;
    let limit = soft_limit(libc::RLIMIT_NPROC)?;
    if limit > MANY {
        return Ok(());
    }
    for _ in 0..=limit {
        // Small stacks, so that the limit of the address space is not reached first.
        std::thread::Builder::new().stack_size(16 * 1024).spawn(|| {
            loop {
                std::thread::park();
            }
        })?;
    }
    Ok(())
}
