//! The kernel's interface: seccomp's user notification, for one kind of call.
#![allow(unsafe_code, reason = "no crate in use has this interface")]

use std::{
    fs::File,
    io, mem,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    ptr,
};

use libc::{c_int, pollfd, seccomp_notif, seccomp_notif_resp, sock_filter};

/// Longest wait for a child that is known to call.
const PATIENCE_MS: c_int = 5000;

/// Receives the calls of the thread that made it, and of that thread's children.
#[derive(Debug)]
pub(super) struct Listener(OwnedFd);

/// A call that waits for its answer.
pub(super) struct Call(seccomp_notif);

impl Call {
    /// The descriptor of the file that is to be mapped. The kernel reads the lower half of the argument.
    pub(super) fn descriptor(&self) -> u64 {
        self.0.data.args[4] & 0xffff_ffff
    }
}

/// The reason of the end of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ready {
    /// A call waits.
    Call,
    /// The child is dead.
    End,
}

impl Listener {
    /// Puts the filter on the calling thread. Its children inherit it, the listener is closed at their exec.
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: no pointers. It concerns this thread only, which may then filter itself without privileges.
        outcome(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
        let mut steps = filter();
        let program = libc::sock_fprog { len: 6, filter: steps.as_mut_ptr() };
        // SAFETY: the program has this length and is readable. The descriptor is new and belongs to nobody else.
        unsafe {
            let (mode, flag) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER);
            descriptor(libc::syscall(libc::SYS_seccomp, mode, flag, &raw const program)).map(Self)
        }
    }

    /// Waits for a call or for the end of the child. Without a child, not for long.
    pub(super) fn wait(&self, end: Option<&OwnedFd>) -> io::Result<Ready> {
        let watched = |descriptor: c_int| pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
        // A negative descriptor is skipped.
        let mut both = [watched(self.0.as_raw_fd()), watched(end.map_or(-1, AsRawFd::as_raw_fd))];
        let patience = if end.is_some() { -1 } else { PATIENCE_MS };
        loop {
            // SAFETY: the array has two writable elements.
            let ready = unsafe { libc::poll(both.as_mut_ptr(), 2, patience) };
            match outcome(ready) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(_) if both[1].revents != 0 => return Ok(Ready::End),
                Ok(_) if both[0].revents == libc::POLLIN => return Ok(Ready::Call),
                Ok(_) => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
    }

    /// Takes the next call.
    pub(super) fn receive(&self) -> io::Result<Call> {
        // SAFETY: all zeros are a valid value, which the kernel asks for, and the pointer to it is writable.
        unsafe {
            let mut call: seccomp_notif = mem::zeroed();
            outcome(libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut call))?;
            Ok(Call(call))
        }
    }

    /// Lets the call be made, or fail as not permitted.
    pub(super) fn answer(&self, call: &Call, granted: bool) -> io::Result<()> {
        let flags = if granted { libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE } else { 0 };
        let answer = seccomp_notif_resp {
            id: call.0.id,
            val: 0,
            error: if granted { 0 } else { -libc::EPERM },
            flags: u32::try_from(flags).unwrap_or(0),
        };
        // SAFETY: the pointer is to a readable answer.
        outcome(unsafe {
            libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw const answer)
        })?;
        Ok(())
    }
}

/// Asks about each `mmap` with `PROT_EXEC`. Those that are not a loader's the child's own filter kills, and death comes
/// first.
fn filter() -> [sock_filter; 6] {
    // Offsets in the kernel's `seccomp_data`: the call's number, the lower half of the third argument.
    const NUMBER: u32 = 0;
    const PROTECTION: u32 = 16 + 2 * 8;
    // `BPF_LD|BPF_W|BPF_ABS` and so on.
    const LOAD: u16 = 0x20;
    const IF_EQUAL: u16 = 0x15;
    const IF_SET: u16 = 0x45;
    const END: u16 = 0x06;
    let step = |code, k, jt, jf| sock_filter { code, jt, jf, k };
    [
        step(LOAD, NUMBER, 0, 0),
        step(IF_EQUAL, u32::try_from(libc::SYS_mmap).unwrap_or(u32::MAX), 0, 3),
        step(LOAD, PROTECTION, 0, 0),
        step(IF_SET, libc::PROT_EXEC.cast_unsigned(), 0, 1),
        step(END, libc::SECCOMP_RET_USER_NOTIF, 0, 0),
        step(END, libc::SECCOMP_RET_ALLOW, 0, 0),
    ]
}

/// A descriptor that becomes ready when the process is dead.
pub(super) fn end_of(process: i32) -> io::Result<OwnedFd> {
    // SAFETY: no pointers. The descriptor is new and belongs to nobody else.
    unsafe { descriptor(libc::syscall(libc::SYS_pidfd_open, process, 0)) }
}

/// Sends a process the signal of a forbidden call. It must not be reaped yet, so that the number is its own.
pub(super) fn accuse(process: i32) {
    // SAFETY: no pointers.
    unsafe { libc::kill(process, libc::SIGSYS) };
}

/// Maps a page of this very program for code.
pub(super) fn map_own_code() -> io::Result<()> {
    let own = File::open("/proc/self/exe")?;
    let (protection, flags) = (libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE);
    // SAFETY: a new mapping that nothing uses, and that is removed at once.
    unsafe {
        let page = libc::mmap(ptr::null_mut(), 1, protection, flags, own.as_raw_fd(), 0);
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        outcome(libc::munmap(page, 1)).map(drop)
    }
}

/// # Safety
///
/// The number, if it is not negative, is that of a descriptor that belongs to nobody.
unsafe fn descriptor(number: libc::c_long) -> io::Result<OwnedFd> {
    let number = outcome(c_int::try_from(number).unwrap_or(-1))?;
    // SAFETY: as above.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn outcome(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
