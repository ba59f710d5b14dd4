//! What the child does between fork and exec, and the questions to the kernel for that.
//!
//! After a fork in a program with threads a child may use only
//! functions that are safe in a signal handler: another thread may have held the allocator's lock at the fork. So
//! [`Entry`] owns everything that is needed, and [`Entry::enter`] only makes system calls: no allocation, no lock, no
//! formatting, no destructor that frees.
#![allow(unsafe_code, reason = "system calls that std and the crates in use do not offer")]

use std::{
    ffi::CString,
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    ptr,
};

use libc::{c_char, c_int, c_ulong, c_void};

use super::{calls, limits::Rlimits, seccomp};

/// Kernel interface version 3 of capabilities: two words of 32 bits in each set.
const CAPABILITY_VERSION: u32 = 0x2008_0522;
/// Upper bound of capability numbers; the kernel ends the loop earlier.
const CAPABILITIES: c_ulong = 63;
/// The default stack size of a thread.
const STACK_BYTES: u64 = 8 << 20;
/// Open files: ffmpeg needs an input, and an output or two for each rung.
const OPEN_FILES: u64 = 256;

/// The step that failed. Encoded in the error number, which is all that a child can report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub(super) enum Step {
    Parent = 1,
    Session,
    Descriptors,
    PathPage,
    Limits,
    Capabilities,
    NoNewPrivileges,
    Landlock,
    Seccomp,
    Exec,
    Loader,
}

/// Error numbers are below this.
const STEP: i32 = 10_000;

impl Step {
    const ALL: [Self; 11] = [
        Self::Parent,
        Self::Session,
        Self::Descriptors,
        Self::PathPage,
        Self::Limits,
        Self::Capabilities,
        Self::NoNewPrivileges,
        Self::Landlock,
        Self::Seccomp,
        Self::Exec,
        Self::Loader,
    ];

    fn failed(self) -> io::Error {
        self.failed_with(&io::Error::last_os_error())
    }

    pub(super) fn failed_with(self, error: &io::Error) -> io::Error {
        io::Error::from_raw_os_error(self as i32 * STEP + error.raw_os_error().unwrap_or(0))
    }

    /// Reads the step from an error that came from a child.
    pub(super) fn of(error: &io::Error) -> Option<(Self, io::Error)> {
        let code = error.raw_os_error()?;
        let step = Self::ALL.into_iter().find(|step| *step as i32 == code / STEP)?;
        Some((step, io::Error::from_raw_os_error(code % STEP)))
    }
}

/// Everything that a child needs, prepared before the fork.
pub(super) struct Entry {
    pub(super) parent: i32,
    pub(super) group: bool,
    pub(super) close: bool,
    pub(super) limits: Option<[(Resource, u64); 7]>,
    pub(super) drop_capabilities: bool,
    pub(super) landlock: Option<OwnedFd>,
    pub(super) filters: Option<seccomp::Filters>,
    pub(super) program: Strings,
}

/// Path, arguments and environment as `execve` takes them.
pub(super) struct Strings {
    path: CString,
    arguments: Vec<*const c_char>,
    environment: Option<Vec<*const c_char>>,
    _owned: Vec<CString>,
}

// SAFETY: the pointers point into the heap buffers of `_owned`, which move with it and are never changed.
unsafe impl Send for Strings {}
// SAFETY: as above; shared access only reads.
unsafe impl Sync for Strings {}

impl Strings {
    /// `arguments` with the program's name first; without an environment the child keeps its parent's (tests only).
    pub(super) fn new(path: CString, arguments: Vec<CString>, environment: Option<Vec<CString>>) -> Self {
        let pointers = |strings: &[CString]| -> Vec<*const c_char> {
            strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
        };
        let (argument_pointers, environment_pointers) =
            (pointers(&arguments), environment.as_deref().map(pointers));
        let owned = arguments.into_iter().chain(environment.into_iter().flatten()).collect();
        Self { path, arguments: argument_pointers, environment: environment_pointers, _owned: owned }
    }
}

impl Entry {
    /// Puts on the layers and becomes the program. Returns only with an error.
    pub(super) fn enter(&mut self) -> io::Error {
        match self.try_enter() {
            Err(error) => error,
            Ok(never) => match never {},
        }
    }

    fn try_enter(&mut self) -> io::Result<std::convert::Infallible> {
        self.bind_to_parent()?;
        if self.close {
            close_on_exec()?;
        }
        // Before the limits: this process is still a copy of the parent, whose address space may be larger than the
        // limit.
        let path = self.path_page()?;
        for &(resource, value) in self.limits.iter().flatten() {
            limit(resource, value)?;
        }
        if self.drop_capabilities {
            drop_capabilities()?;
        }
        // SAFETY: no pointers.
        check(Step::NoNewPrivileges, unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
        if let Some(ruleset) = &self.landlock {
            // SAFETY: no pointers; the descriptor is open as long as `self`.
            let done = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) };
            check(Step::Landlock, done)?;
        }
        self.filter()?;
        let environment = match &self.program.environment {
            Some(pointers) => pointers.as_ptr(),
            // SAFETY: the parent's environment was copied by the fork, and this process has one thread.
            None => unsafe { environ },
        };
        // SAFETY: the path is a string with its end in a mapped page; both vectors end with a null pointer and point to
        // strings that live as long as `self`.
        unsafe { libc::execve(path, self.program.arguments.as_ptr(), environment) };
        Err(Step::Exec.failed())
    }

    /// Begins a session of its own, and dies with the parent. The third call notices a parent that died before the
    /// second.
    fn bind_to_parent(&self) -> io::Result<()> {
        if self.group {
            // SAFETY: no arguments.
            check(Step::Session, unsafe { libc::setsid() })?;
        }
        // SAFETY: no pointers.
        check(Step::Parent, unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) })?;
        // SAFETY: no arguments.
        check(Step::Parent, if unsafe { libc::getppid() } == self.parent { 0 } else { -1 })
    }

    /// Puts the path at the address that the filter allows for `execve`.
    fn path_page(&self) -> io::Result<*const c_char> {
        let path = self.program.path.as_bytes_with_nul();
        let at = usize::try_from(calls::EXEC_PATH).unwrap_or(0);
        // SAFETY: a new private mapping that replaces none (NOREPLACE), large enough for the path.
        let page = unsafe {
            libc::mmap(
                ptr::without_provenance_mut::<c_void>(at),
                path.len(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE,
                -1,
                0,
            )
        };
        if page == libc::MAP_FAILED || page.addr() != at {
            return Err(Step::PathPage.failed());
        }
        // SAFETY: the page was mapped writable with at least this length, and nothing else points to it.
        unsafe { ptr::copy_nonoverlapping(path.as_ptr(), page.cast::<u8>(), path.len()) };
        Ok(page.cast::<c_char>().cast_const())
    }

    fn filter(&mut self) -> io::Result<()> {
        let Some(filters) = &mut self.filters else { return Ok(()) };
        // The last filter compares with the process id, which is known only now.
        if let Some(line) = filters.programs.last_mut().and_then(|last| last.get_mut(filters.own_pid)) {
            line.k = std::process::id();
        }
        for program in &filters.programs {
            if seccompiler::apply_filter(program).is_err() {
                return Err(Step::Seccomp.failed());
            }
        }
        Ok(())
    }
}

unsafe extern "C" {
    static environ: *const *const c_char;
}

/// Marks everything but the standard streams to be closed at the exec, also descriptors that other threads have just
/// opened. It does not close them now: std's own pipe, which carries an error back to the parent, is among them.
fn close_on_exec() -> io::Result<()> {
    // SAFETY: no pointers.
    let done = unsafe { libc::syscall(libc::SYS_close_range, 3, c_int::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if done == 0 {
        return Ok(());
    }
    // Linux before 5.11 does not know the flag.
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is writable.
    check(Step::Descriptors, unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    for descriptor in 3..c_int::try_from(limit.rlim_cur).unwrap_or(c_int::MAX).min(1 << 20) {
        // SAFETY: no pointers; a descriptor that is not open is an error that does not matter.
        unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    Ok(())
}

/// The C library's type for the number of a resource.
#[cfg(target_env = "musl")]
pub(super) type Resource = c_int;
#[cfg(not(target_env = "musl"))]
pub(super) type Resource = libc::__rlimit_resource_t;

fn limit(resource: Resource, value: u64) -> io::Result<()> {
    // Hard limits can only be lowered, so the lower of the two counts.
    let mut current = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is writable; the kernel checks the resource's number.
    check(Step::Limits, unsafe { libc::getrlimit(resource, &raw mut current) })?;
    let value = value.min(current.rlim_max);
    let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: the structure is readable.
    check(Step::Limits, unsafe { libc::setrlimit(resource, &raw const limit) })
}

/// The limits of one run by resource. The kernel counts threads over all processes of the user, so the existing ones
/// (`threads_now`) are added.
pub(super) fn limits(limits: &Rlimits, threads_now: u64) -> [(Resource, u64); 7] {
    [
        (libc::RLIMIT_AS, limits.memory_bytes),
        (libc::RLIMIT_CPU, limits.cpu_seconds),
        (libc::RLIMIT_FSIZE, limits.file_bytes),
        (libc::RLIMIT_NOFILE, OPEN_FILES),
        (libc::RLIMIT_NPROC, threads_now.saturating_add(limits.threads)),
        (libc::RLIMIT_CORE, 0),
        (libc::RLIMIT_STACK, STACK_BYTES),
    ]
}

/// Empties every set of capabilities. With no new privileges an exec does not restore them, not even for root.
fn drop_capabilities() -> io::Result<()> {
    for capability in 0..=CAPABILITIES {
        // SAFETY: no pointers. Without CAP_SETPCAP this is refused, and without capabilities it does not matter.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } != 0 {
            break;
        }
    }
    // SAFETY: no pointers. A kernel without ambient capabilities has none to clear.
    unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    let header = [CAPABILITY_VERSION, 0];
    let none = [0_u32; 6];
    // SAFETY: both arrays have the sizes that version 3 of the interface reads.
    check(Step::Capabilities, unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) })
}

fn check(step: Step, result: impl Into<i64>) -> io::Result<()> {
    if result.into() < 0 { Err(step.failed()) } else { Ok(()) }
}

/// The version of Landlock's interface; none if the kernel lacks it or has it switched off.
pub(super) fn landlock_version() -> Option<u32> {
    const ASK_VERSION: c_int = 1;
    // SAFETY: with this flag the kernel takes a null pointer and the size 0.
    let version = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, ptr::null::<c_void>(), 0_usize, ASK_VERSION)
    };
    u32::try_from(version).ok().filter(|version| *version > 0)
}

/// Whether seccomp can kill a process for a forbidden call.
pub(super) fn seccomp_is_there() -> bool {
    let action = libc::SECCOMP_RET_KILL_PROCESS;
    // SAFETY: the pointer is to a readable word.
    let answer =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) };
    answer == 0
}

/// See [`super::harden_parent`].
pub(super) fn harden() -> io::Result<()> {
    // SAFETY: no pointers.
    let done = unsafe {
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) | libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reverts the part of [`harden`] that a test looks for.
pub(crate) fn expose() -> io::Result<()> {
    // SAFETY: no pointers.
    let done = unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether the process is root's.
pub(crate) fn is_root() -> bool {
    // SAFETY: no arguments.
    unsafe { libc::geteuid() == 0 }
}

/// A copy of a descriptor that stays open across an exec.
pub(crate) fn inheritable(file: &std::fs::File) -> io::Result<OwnedFd> {
    // SAFETY: no pointers; the new descriptor belongs to nobody else.
    unsafe {
        let copy = libc::dup(file.as_raw_fd());
        if copy < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(copy)) }
    }
}
