//! The task is killed outright, as the kernel does when memory runs out: nothing that it started goes on.

use std::{
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    corpus::ffmpeg,
    misbehave::is_there,
    support::{Kernel, PROGRAM, age, old_kernel},
};

/// The program on a file whose encoding takes much longer than the test looks at it.
fn transcode(kernel: Kernel, folder: &Path) -> Child {
    let input = folder.join("long.mp4");
    ffmpeg(&["-f", "lavfi", "-i", "testsrc2=s=1280x720:r=50:d=20", "-preset", "ultrafast"], &input);
    let mut command = Command::new(PROGRAM);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.arg("--input").arg(input).arg("--output").arg(folder.join("out"));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    if kernel == Kernel::Old {
        let filter = old_kernel();
        // SAFETY: installing filters that exist already are system calls.
        unsafe { command.pre_exec(move || age(&filter)) };
    }
    command.spawn().unwrap()
}

/// The children of a process, with their command lines.
fn children(parent: u32) -> Vec<(i32, String)> {
    let numbers = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let child = |number: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
        let (_, rest) = stat.rsplit_once(") ")?;
        let is_child = rest.split(' ').nth(1)? == parent.to_string();
        let line = std::fs::read(format!("/proc/{number}/cmdline")).ok()?;
        is_child.then(|| (number, String::from_utf8_lossy(&line).replace('\0', " ")))
    };
    numbers.filter_map(child).collect()
}

#[test]
fn a_killed_task_takes_its_encoder_along() {
    for kernel in Kernel::BOTH {
        let folder = tempfile::tempdir().unwrap();
        let mut task = transcode(kernel, folder.path());
        let children = loop {
            assert!(task.try_wait().unwrap().is_none(), "{kernel:?}: it ended before it encoded");
            let found = children(task.id());
            if found.iter().any(|(_, line)| line.contains("libx264")) {
                break found;
            }
            std::thread::yield_now();
        };
        task.kill().unwrap();
        task.wait().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let left = || children.iter().filter(|(number, _)| is_there(*number)).collect::<Vec<_>>();
        while !left().is_empty() && Instant::now() < deadline {
            std::thread::yield_now();
        }
        let survivors = left();
        for (number, _) in &survivors {
            // SAFETY: no pointers; the processes were the task's.
            unsafe { libc::kill(*number, libc::SIGKILL) };
        }
        assert!(survivors.is_empty(), "{kernel:?}: {survivors:?} outlived the task");
    }
}
