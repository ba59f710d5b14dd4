//! Code for a program that is linked dynamically: its loader maps its libraries, and nothing else is mapped.
//!
//! The loader runs after the exec, so the child's own filter lets it map files for code. A second filter asks the task
//! about each of these calls ([`notify`]), and [`Watch`] answers: yes for each part of a library, once, while the child has one
//! thread.
//! The answer rests on numbers in registers and on the child's descriptors. Nobody changes either while the only thread
//! waits: threads share the descriptors, and processes cannot be made.
//!
//! So a file that was sent or written is never code. A program that was taken over can still map a library of the system
//! that it had not loaded, as long as it has one thread.
//!
//! The filter is put on the thread that forks. Thus the child has it from its beginning, and the task has the listener
//! without a descriptor that would have to be passed.

mod notify;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
};

use self::notify::{Call, Listener, Ready};
use super::linked::parts_of_code;

/// Answers one child's loader. When it is gone, each call for code fails.
#[derive(Debug)]
pub(super) struct Watch {
    listener: Listener,
    loading: Loading,
}

/// The libraries that a child may map, and those that it has.
#[derive(Debug)]
struct Loading {
    /// Canonical folders and files.
    libraries: Vec<PathBuf>,
    /// With the number of parts.
    mapped: BTreeMap<PathBuf, usize>,
}

impl Watch {
    /// Puts the filter on the calling thread, which then forks the child and should do nothing else.
    pub(super) fn begin(libraries: &[PathBuf]) -> io::Result<Self> {
        let libraries = libraries.iter().filter_map(|path| path.canonicalize().ok()).collect();
        Ok(Self { listener: Listener::new()?, loading: Loading { libraries, mapped: BTreeMap::new() } })
    }

    /// Answers until the child is dead. The child must not be reaped before.
    pub(super) fn serve(mut self, leader: i32) -> io::Result<()> {
        let end = notify::end_of(leader)?;
        while self.listener.wait(Some(&end))? == Ready::Call {
            // The child may have died meanwhile.
            let Ok(call) = self.listener.receive() else { continue };
            let granted = self.loading.grants(&call, leader);
            if !granted {
                // What a forbidden call ends with. This one fails, whatever the child makes of the signal.
                notify::accuse(leader);
            }
            self.listener.answer(&call, granted).ok();
        }
        Ok(())
    }
}

impl Loading {
    fn grants(&mut self, call: &Call, leader: i32) -> bool {
        let child = PathBuf::from(format!("/proc/{leader}"));
        let file = fs::read_link(child.join(format!("fd/{}", call.descriptor())));
        let threads = fs::read_dir(child.join("task")).map(Iterator::count);
        let (Ok(file), Ok(threads)) = (file, threads) else { return false };
        self.maps(&file, threads, parts_of_code)
    }

    fn maps(&mut self, file: &Path, threads: usize, parts: impl Fn(&Path) -> usize) -> bool {
        if threads != 1 || !self.libraries.iter().any(|library| file.starts_with(library)) {
            return false;
        }
        let mapped = self.mapped.entry(file.to_owned()).or_default();
        *mapped += 1;
        *mapped <= parts(file)
    }
}

/// Whether the kernel asks about calls and takes the answers: not before Linux 5.5, and not where whoever runs the
/// container listens already. A thread of this process plays the child.
pub(super) fn is_there() -> bool {
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        let child = thread::Builder::new().spawn_scoped(scope, move || {
            let listener = Listener::new();
            let listens = listener.is_ok();
            tell.send(listener).is_ok() && listens && notify::map_own_code().is_ok()
        });
        let Ok(child) = child else { return false };
        let Ok(Ok(listener)) = told.recv() else { return false };
        let asked = listener.wait(None).and_then(|_| listener.receive());
        let answered = asked.and_then(|call| listener.answer(&call, true)).is_ok();
        // A call that nobody answers any more fails.
        drop(listener);
        child.join().unwrap_or(false) && answered && notify::end_of(std::process::id().cast_signed()).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_mapped_once_and_by_one_thread_and_nothing_else_is() {
        let libraries = ["/usr/lib", "/opt/ffmpeg/lib"].map(PathBuf::from).to_vec();
        let mut loading = Loading { libraries, mapped: BTreeMap::new() };
        let parts = |file: &Path| if file.ends_with("libavcodec.so.61") { 2 } else { 1 };
        let mut maps = |file: &str, threads| loading.maps(Path::new(file), threads, parts);
        assert!(maps("/usr/lib/libc.so.6", 1));
        assert!(!maps("/usr/lib/libc.so.6", 1), "a library that it has");
        assert!(maps("/opt/ffmpeg/lib/libavcodec.so.61", 1));
        assert!(maps("/opt/ffmpeg/lib/libavcodec.so.61", 1), "its other part");
        assert!(!maps("/opt/ffmpeg/lib/libavcodec.so.61", 1));
        assert!(!maps("/usr/lib/libm.so.6", 2), "another thread could exchange the descriptor");
        assert!(!maps("/usr/lib/libm.so.6", 0), "a child that cannot be looked at");
        assert!(maps("/usr/lib/libm.so.6", 1));
        for other in
            ["/tmp/job/out/libx.so", "/tmp/job/in/source", "/usr/libx.so", "/memfd:code (deleted)", ""]
        {
            assert!(!maps(other, 1), "{other}");
        }
    }

    #[test]
    fn this_kernel_asks() {
        assert!(is_there());
    }
}
