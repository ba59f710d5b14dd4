//! The guard: a small shell that outlives this program by a moment.
//!
//! When this program is killed, the kernel kills the first process of each container (see [`super::process`]), but
//! none that those have started. So a shell waits at the end of a pipe whose other end only this program has. When
//! that closes, however this program ended, the shell kills the remaining processes in the sessions of the
//! containers.

use std::{
    io::{self, Write},
    os::{
        fd::{AsRawFd, BorrowedFd},
        unix::process::CommandExt,
    },
    process::{Child, ChildStdin, Command, Stdio},
    sync::Mutex,
};

use super::shared::lock;

/// Reads the lines of [`Guard`] and its children, one for each start and end of a session. At the end of input it
/// kills every process of the remaining sessions, and looks again until there was none twice: a process can fork
/// after its child's place in the table was passed, and then be ended by the kernel before its own is reached. Uses
/// only the shell's own commands.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
sessions=
newest=
while read -r what session; do
    case $what in
    next) newest=; continue ;;
    add) newest=$session; sessions="$sessions $session"; continue ;;
    undo) [ -e "/proc/$newest" ] && continue; session=$newest ;;
    esac
    rest=
    for one in $sessions; do [ "$one" = "$session" ] || rest="$rest $one"; done
    sessions=$rest
done
[ -n "$sessions" ] || exit 0
set -f
pass=0 quiet=0
while [ $pass -lt 50 ] && [ $quiet -lt 2 ]; do
    pass=$((pass + 1)) quiet=$((quiet + 1))
    set +f; files=$(echo /proc/[0-9]*/stat); set -f
    for file in $files; do
        read -r line < "$file" || continue
        pid=${line%% *}
        # After the name, which is in parentheses: state, parent, group, session.
        set -- ${line##*) }
        case $1 in Z | X) continue ;; esac
        case " $sessions " in *" $4 "*) kill -s KILL "$pid" && quiet=0 ;; esac
    done
done
"#;

/// Handle of the guard; its drop is what the guard waits for.
#[derive(Debug)]
pub(crate) struct Guard {
    shell: Child,
    orders: Mutex<Option<ChildStdin>>,
}

impl Guard {
    pub(crate) fn start() -> io::Result<Self> {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            // A reader of this program's output waits until no process holds it open.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            .env_clear()
            // Ctrl-C and a kill of this program's group must not reach the guard.
            .process_group(0)
            .spawn()?;
        let orders = Mutex::new(shell.stdin.take());
        Ok(Self { shell, orders })
    }

    /// Starts a process that leads a session. It registers itself before its program begins: if this program did it,
    /// it could be killed just before.
    pub(crate) fn spawn(&self, mut command: Command) -> io::Result<tokio::process::Child> {
        self.order("next");
        self.have_it_register(&mut command);
        // If the caller is cancelled, the child is dropped and killed.
        let child = tokio::process::Command::from(command).kill_on_drop(true).spawn();
        if child.is_err() {
            // Its id may be given to a stranger one day. If it runs nevertheless, because only the runtime's part
            // failed (it is being dropped), the shell ignores this.
            self.order("undo");
        }
        child
    }

    #[allow(
        unsafe_code,
        reason = "pre_exec is unsafe: between fork and exec only async-signal-safe calls are allowed"
    )]
    fn have_it_register(&self, command: &mut Command) {
        let Some(pipe) = lock(&self.orders).as_ref().map(AsRawFd::as_raw_fd) else { return };
        // SAFETY: getpid and write are plain system calls, and the line is put together on the stack. The descriptor
        // is open: the guard is borrowed until the process has started, and closes it only when a write fails.
        unsafe {
            command.pre_exec(move || {
                let mut line = [0_u8; 24];
                let length = write_line(&mut line, rustix::process::getpid().as_raw_nonzero().get());
                // Without the guard the process starts all the same.
                let _ = rustix::io::write(BorrowedFd::borrow_raw(pipe), &line[..length]);
                Ok(())
            });
        }
    }

    /// Forgets a process that has ended together with all its descendants.
    pub(crate) fn forget(&self, pid: u32) {
        self.order(&format!("drop {pid}"));
    }

    fn order(&self, what: &str) {
        let mut orders = lock(&self.orders);
        let Some(pipe) = orders.as_mut() else { return };
        if let Err(error) = pipe.write_all(format!("{what}\n").as_bytes()) {
            tracing::error!(%error, "the guard is gone: a kill of this program may leave processes");
            *orders = None;
        }
    }
}

/// Writes `add PID` without allocating; returns its length.
fn write_line(line: &mut [u8; 24], pid: i32) -> usize {
    let mut rest: &mut [u8] = line;
    // Cannot fail: the longest number leaves room.
    let _ = writeln!(rest, "add {pid}");
    24 - rest.len()
}

impl Drop for Guard {
    fn drop(&mut self) {
        lock(&self.orders).take();
        // The guard ends as soon as its work is done; this reaps it.
        let _ = self.shell.wait();
    }
}
