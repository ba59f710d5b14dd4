//! The guard: a small shell that outlives this program by a moment.
//!
//! When this program is killed, the kernel kills the first process of each container (see [`super::process`]) and
//! nothing that those have started. So a shell waits at the end of a pipe whose other end only this program has. When
//! that closes, however this program ended, the shell kills what is left in the sessions of the containers.

use std::{
    io::{self, Write},
    os::unix::process::CommandExt,
    process::{Child, ChildStdin, Command, Stdio},
    sync::Mutex,
};

use super::shared::lock;

/// Reads `add SESSION` and `drop SESSION`; at the end of input kills every process of the sessions that are left, and
/// looks again until there is none, because a process can fork meanwhile. Nothing but the shell's own commands.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
sessions=
while read -r what session; do
    rest=
    for one in $sessions; do [ "$one" = "$session" ] || rest="$rest $one"; done
    sessions=$rest
    [ "$what" = drop ] || sessions="$sessions $session"
done
[ -n "$sessions" ] || exit 0
set -f
pass=0
while [ $pass -lt 50 ]; do
    pass=$((pass + 1)) killed=
    set +f; files=$(echo /proc/[0-9]*/stat); set -f
    for file in $files; do
        read -r line < "$file" || continue
        pid=${line%% *}
        # After the name, which is in parentheses: state, parent, group, session.
        set -- ${line##*) }
        case $1 in Z | X) continue ;; esac
        case " $sessions " in *" $4 "*) kill -s KILL "$pid" && killed=1 ;; esac
    done
    [ -n "$killed" ] || break
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
            // Whoever reads this program's output waits until nobody holds it any more.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            .env_clear()
            // Ctrl-C and a kill of this program's group are not for the guard.
            .process_group(0)
            .spawn()?;
        let orders = Mutex::new(shell.stdin.take());
        Ok(Self { shell, orders })
    }

    /// The container whose first process has this id runs: that is its session's id too.
    pub(crate) fn watch(&self, pid: u32) {
        self.order("add", pid);
    }

    /// It has ended and is cleaned up after.
    pub(crate) fn forget(&self, pid: u32) {
        self.order("drop", pid);
    }

    fn order(&self, what: &str, pid: u32) {
        let mut orders = lock(&self.orders);
        let Some(pipe) = orders.as_mut() else { return };
        if let Err(error) = pipe.write_all(format!("{what} {pid}\n").as_bytes()) {
            tracing::error!(%error, "the guard is gone: a kill of this program may leave processes");
            *orders = None;
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        lock(&self.orders).take();
        // It ends as soon as it has done its work; this reaps it.
        let _ = self.shell.wait();
    }
}
