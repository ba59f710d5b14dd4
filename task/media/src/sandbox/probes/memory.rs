//! Attempts at memory: at the page of the one allowed exec, at code, at more than there may be.

use std::{
    ffi::{CStr, OsStr},
    fs::{self, File},
    io, mem,
    os::{fd::AsRawFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
    ptr,
    sync::mpsc,
    thread,
};

use libc::{c_int, c_void};

use super::super::calls;

pub(super) fn map(at: u64, flags: c_int) -> io::Result<()> {
    let at = usize::try_from(at).unwrap_or(0);
    let length = if at == 0 { 0x2_0000 } else { 0x1000 };
    // SAFETY: the pages named are not in use by this process; a mapping there replaces nothing.
    let page = unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | flags;
        libc::mmap(ptr::without_provenance_mut(at), length, libc::PROT_READ, flags, -1, 0)
    };
    if page == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
}

pub(super) fn move_mapping() -> io::Result<()> {
    let at = usize::try_from(calls::EXEC_PATH).unwrap_or(0);
    // SAFETY: a mapping of this function's own is moved to a page that is not in use.
    let moved = unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let page = libc::mmap(ptr::null_mut(), 0x1000, libc::PROT_READ, flags, -1, 0);
        let to: *mut c_void = ptr::without_provenance_mut(at);
        libc::mremap(page, 0x1000, 0x1000, libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED, to)
    };
    if moved == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A page of this function's own: its address and whether it could be mapped.
fn page() -> io::Result<*mut c_void> {
    // SAFETY: a new mapping that nothing uses.
    let page = unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        libc::mmap(ptr::null_mut(), 0x1000, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
    };
    if page == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(page) }
}

/// Maps a page that can be executed: of a file that this process wrote, or of none.
pub(super) fn code(flags: c_int, protection: c_int) -> io::Result<()> {
    fs::write("code", [0x90; 0x1000])?;
    let file = File::open("code")?;
    let descriptor = if flags & libc::MAP_ANONYMOUS == 0 { file.as_raw_fd() } else { -1 };
    map_code(flags, protection, descriptor)
}

pub(super) fn code_of(file: &Path) -> io::Result<()> {
    map_code(libc::MAP_PRIVATE | libc::MAP_DENYWRITE, libc::PROT_EXEC, File::open(file)?.as_raw_fd())
}

/// The file that this program's C library was loaded from.
pub(super) fn libc_itself() -> io::Result<PathBuf> {
    // SAFETY: all zeros are a valid value, which is writable; the name, where there is one, is a string that stays.
    let name = unsafe {
        let mut found: libc::Dl_info = mem::zeroed();
        let of = (libc::getpid as *const ()).cast();
        let known = libc::dladdr(of, &raw mut found) != 0 && !found.dli_fname.is_null();
        known.then(|| CStr::from_ptr(found.dli_fname))
    };
    name.map(|name| OsStr::from_bytes(name.to_bytes()).into()).ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// A library beside the C library that nothing loads any more, since the C library has what was in it.
pub(super) fn code_of_another() -> io::Result<()> {
    code_of(&libc_itself()?.with_file_name("libutil.so.1"))
}

/// Tries something while another thread waits.
pub(super) fn beside_a_thread(attempt: fn() -> io::Result<()>) -> io::Result<()> {
    let (tell, told) = mpsc::channel::<()>();
    let waits = thread::Builder::new().spawn(move || told.recv().ok())?;
    let result = attempt();
    drop(tell);
    waits.join().ok();
    result
}

fn map_code(flags: c_int, protection: c_int, descriptor: c_int) -> io::Result<()> {
    // SAFETY: a new mapping that nothing uses and nobody executes.
    let page =
        unsafe { libc::mmap(ptr::null_mut(), 0x1000, libc::PROT_READ | protection, flags, descriptor, 0) };
    if page == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
}

pub(super) fn code_of_data() -> io::Result<()> {
    // SAFETY: the page is this function's own.
    outcome(unsafe { libc::mprotect(page()?, 0x1000, libc::PROT_READ | libc::PROT_EXEC) })
}

pub(super) fn keep_mapping() -> io::Result<()> {
    // SAFETY: the page is this function's own.
    let moved =
        unsafe { libc::mremap(page()?, 0x1000, 0x1000, libc::MREMAP_MAYMOVE | libc::MREMAP_DONTUNMAP) };
    if moved == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
}

pub(super) fn advise(advice: c_int) -> io::Result<()> {
    // SAFETY: the page is this function's own.
    outcome(unsafe { libc::madvise(page()?, 0x1000, advice) })
}

pub(super) fn reserve() -> io::Result<()> {
    // SAFETY: a new mapping that nothing uses.
    let page = unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        libc::mmap(ptr::null_mut(), 64 << 30, libc::PROT_NONE, flags, -1, 0)
    };
    if page == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The result of a system call: its error where it returned a negative number.
pub(super) fn outcome(result: impl Into<i64>) -> io::Result<()> {
    if result.into() < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
