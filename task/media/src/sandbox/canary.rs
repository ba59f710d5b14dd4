//! A program that runs instead of ffmpeg: it tries what a file that took over ffmpeg would try, or misbehaves as a
//! broken ffmpeg would.
//!
//! It is a hidden mode of the task's own program, so that `sandbox-check` needs nothing else on the host. `main` must
//! enter it first: a runtime would make sockets, for which the sandbox kills it.
#![allow(unsafe_code, reason = "raising signals and forking are what it is for")]

use std::{
    ffi::OsString,
    fs,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use super::probes::{PROBES, Scene};

/// The first argument that makes a program of this library play the canary.
pub const CANARY: &str = "__sandbox-canary";

/// The exit status of a refused attempt. A successful one exits with 0.
pub(crate) const REFUSED: u8 = 3;
/// The exit status of a canary with an unknown argument.
const MISUSED: u8 = 64;

/// Plays the canary; `args` are those after [`CANARY`].
///
/// The first thing in `main`, before [`super::harden_parent`], which the canary may not do.
pub fn canary_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter();
    let what = args.next().unwrap_or_default();
    if let Some(probe) = PROBES.iter().find(|probe| what == probe.name) {
        let mut path = || PathBuf::from(args.next().unwrap_or_default());
        let scene = Scene { input: path(), closed: path(), other: path() };
        return match (probe.attempt)(&scene) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                say(&error.to_string());
                ExitCode::from(REFUSED)
            }
        };
    }
    let act = ACTS.iter().find(|(name, _)| what == *name);
    let Some((_, act)) = act else {
        say("the canary does not know what to try");
        return ExitCode::from(MISUSED);
    };
    match act() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // The words of the C library, as ffmpeg prints them.
            say(&error.raw_os_error().map_or_else(|| error.to_string(), said));
            ExitCode::from(1)
        }
    }
}

/// An act. Returns the exit status, if it returns.
type Act = fn() -> io::Result<u8>;

/// Ways to misbehave.
const ACTS: &[(&str, Act)] = &[
    ("fail", || Ok(7)),
    ("hang", || {
        loop {
            std::thread::sleep(Duration::from_mins(1));
        }
    }),
    ("repeat", repeat),
    ("spin", || {
        loop {
            std::hint::spin_loop();
        }
    }),
    ("segv", || raise(libc::SIGSEGV)),
    ("abort", || raise(libc::SIGABRT)),
    ("kill", || raise(libc::SIGKILL)),
    ("outlive", outlive),
    ("endless", endless),
    ("large", || endless_file("large.mp4")),
    ("full", || endless_file("/dev/full")),
    ("memory-bomb", memory_bomb),
    ("flood", || flood(io::stdout(), b'\n')),
    ("flood-line", || flood(io::stdout(), b' ')),
    ("flood-errors", || flood(io::stderr(), b'\x1b')),
    ("report", report),
];

fn say(words: &str) {
    writeln!(io::stderr(), "{words}").ok();
}

fn said(error: i32) -> String {
    let words = io::Error::from_raw_os_error(error).to_string();
    words.split(" (os error").next().unwrap_or_default().to_owned()
}

/// Reports the same progress again and again, as a stuck ffmpeg does.
fn repeat() -> io::Result<u8> {
    loop {
        writeln!(io::stdout(), "frame=1\nfps=0.0\nout_time_us=40000\nspeed=0x\nprogress=continue")?;
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Reports three frames and ends well.
fn report() -> io::Result<u8> {
    for frame in 1..=3 {
        writeln!(io::stdout(), "frame={frame}\nprogress=continue")?;
    }
    Ok(0)
}

/// Sends itself a signal whose default is death.
fn raise(signal: i32) -> io::Result<u8> {
    // SAFETY: no pointers; the default action of the signal is restored first.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::gettid(), signal);
    }
    Err(io::Error::last_os_error())
}

/// Leaves a process behind that holds the pipes open, writes its number to a file, and ends well.
fn outlive() -> io::Result<u8> {
    // SAFETY: this process has one thread, and the new one only sleeps.
    let child = unsafe { libc::fork() };
    match child {
        -1 => Err(io::Error::last_os_error()),
        0 => loop {
            std::thread::sleep(Duration::from_mins(1));
        },
        child => fs::write("pid", child.to_string()).map(|()| 0),
    }
}

/// Writes small files without end.
fn endless() -> io::Result<u8> {
    for number in 0_u64.. {
        fs::write(format!("segment-{number}.m4s"), vec![0; 64 * 1024])?;
        writeln!(io::stdout(), "frame={number}")?;
    }
    Ok(0)
}

fn endless_file(path: &str) -> io::Result<u8> {
    let mut file = fs::File::options().create(true).write(true).truncate(false).open(path)?;
    loop {
        file.write_all(&[0; 4096])?;
    }
}

fn memory_bomb() -> io::Result<u8> {
    let mut taken: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut part = Vec::new();
        part.try_reserve_exact(64 << 20).map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))?;
        // Written, so that the memory is used and not only reserved.
        part.resize(64 << 20, 1);
        taken.push(part);
    }
}

fn flood(mut stream: impl Write, end: u8) -> io::Result<u8> {
    let mut text = vec![b'x'; 4095];
    text.push(end);
    loop {
        stream.write_all(&text)?;
    }
}
