//! Programs that hang, crash, flood or leave something behind: each ends with its code, and nothing of it is left.

use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;
use transcode_config::contract::{Failure, FailureCode};
use transcode_media::{
    process::{Finished, Invocation, Limits, Tool, Tools},
    sandbox::{CANARY, Layer, Sandbox, SandboxPolicy, harden_parent},
};

use crate::support::{Kernel, LIMITS, PROGRAM, call, call_on, landlock_is_there, run};

/// The canary in the place of both programs.
fn stand_in(without: &[Layer]) -> Tools {
    let sandbox = Sandbox::without(SandboxPolicy::Prefer, without.iter().copied().collect::<BTreeSet<_>>());
    Tools::stand_in(Path::new(PROGRAM), sandbox.unwrap())
}

fn act(what: &str, folder: &Path, limits: Limits) -> Invocation {
    let call = call(Tool::Ffmpeg, &[CANARY, what]);
    Invocation { output_dir: Some(folder.into()), limits, ..call }
}

/// Acts in both kernels; afterwards no process works in the folder any more.
fn acts(what: &str, tool: Tool, limits: Limits) -> Failure {
    let both = Kernel::BOTH.map(|kernel| {
        kernel.run(async || {
            let folder = tempfile::tempdir().unwrap();
            let call = Invocation { tool, ..act(what, folder.path(), limits) };
            let failure = run(&stand_in(&[]), call).await.unwrap_err();
            assert_eq!(who_works_in(folder.path()), Vec::<String>::new(), "{what} {kernel:?}");
            failure
        })
    });
    assert_eq!(both[0].code, both[1].code);
    let [here, _] = both;
    here
}

/// Processes whose working directory a folder is: each child's is its output folder.
fn who_works_in(folder: &Path) -> Vec<String> {
    let folder = folder.canonicalize().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let works = |path: &Path| std::fs::read_link(path.join("cwd")).is_ok_and(|cwd| cwd == folder);
    let found = processes.map(|entry| entry.path()).filter(|path| works(path));
    found.map(|path| path.display().to_string()).collect()
}

const SHORT: Duration = Duration::from_millis(300);

#[test]
fn a_failure_has_its_exit_status() {
    let failure = acts("fail", Tool::Ffmpeg, LIMITS);
    assert_eq!(failure.code, FailureCode::EncodeFailed);
    assert_eq!(failure.evidence["exit_status"], "7");
}

#[test]
fn a_hang_is_a_stall() {
    let begin = Instant::now();
    let failure = acts("hang", Tool::Ffmpeg, Limits { stall: SHORT, ..LIMITS });
    assert_eq!(failure.code, FailureCode::EncoderStalled);
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_report_that_goes_on_without_progress_is_a_stall() {
    let failure = acts("repeat", Tool::Ffmpeg, Limits { stall: SHORT, ..LIMITS });
    assert_eq!(failure.code, FailureCode::EncoderStalled);
}

#[test]
fn a_run_ends_with_its_time() {
    let failure = acts("hang", Tool::Ffmpeg, Limits { wall: SHORT, ..LIMITS });
    assert_eq!(failure.code, FailureCode::RunTimeExceeded);
}

#[test]
fn a_run_ends_with_its_processor_time() {
    let failure = acts("spin", Tool::Ffmpeg, Limits { cpu_seconds: 1, ..LIMITS });
    assert_eq!(failure.code, FailureCode::RunTimeExceeded);
    assert_eq!(failure.evidence["limit_cpu_seconds"], "1");
}

#[test]
fn a_crash_has_the_name_of_its_signal() {
    for (what, signal) in [("segv", "SIGSEGV"), ("abort", "SIGABRT")] {
        let failure = acts(what, Tool::Ffmpeg, LIMITS);
        assert_eq!(failure.code, FailureCode::EncoderCrashed);
        assert_eq!(failure.evidence["signal"], signal);
    }
}

#[test]
fn a_kill_that_is_not_ours_is_taken_for_the_memory() {
    assert_eq!(acts("kill", Tool::Ffmpeg, LIMITS).code, FailureCode::OutOfMemory);
}

#[test]
fn a_forbidden_call_is_a_violation() {
    for what in ["socket-ipv4", "fork", "exec"] {
        let failure = acts(what, Tool::Ffmpeg, LIMITS);
        assert_eq!(failure.code, FailureCode::SandboxViolation, "{what}");
        assert!(!failure.code.info().retryable);
    }
}

#[test]
fn outputs_without_end_are_too_large() {
    let failure = acts("endless", Tool::Ffmpeg, Limits { output_bytes: 1 << 20, ..LIMITS });
    assert_eq!(failure.code, FailureCode::OutputTooLarge);
    assert_eq!(failure.evidence["limit_bytes"], (1 << 20).to_string());
}

#[test]
fn one_file_without_end_is_too_large() {
    let failure = acts("large", Tool::Ffmpeg, Limits { file_bytes: 1 << 20, ..LIMITS });
    assert_eq!(failure.code, FailureCode::OutputTooLarge);
    assert_eq!(failure.evidence["signal"], "SIGXFSZ");
}

#[test]
fn a_full_disk_is_not_a_failure_of_the_encoder() {
    // The device that is always full is not among the files of the sandbox, so this one goes without Landlock.
    Kernel::Old.run(async || {
        let folder = tempfile::tempdir().unwrap();
        let failure =
            run(&stand_in(&[Layer::Landlock]), act("full", folder.path(), LIMITS)).await.unwrap_err();
        assert_eq!(failure.code, FailureCode::DiskFull);
    });
}

#[test]
fn memory_without_end_ends_at_the_limit() {
    let begin = Instant::now();
    let failure = acts("memory-bomb", Tool::Ffmpeg, Limits { memory_bytes: 512 << 20, ..LIMITS });
    assert_eq!(failure.code, FailureCode::MemoryLimit, "{failure:?}");
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[test]
fn an_answer_without_end_is_too_large() {
    for what in ["flood", "flood-line"] {
        for tool in [Tool::Ffprobe, Tool::Ffmpeg] {
            let failure = acts(what, tool, Limits { stdout_bytes: 64 << 10, ..LIMITS });
            assert_eq!(failure.code, FailureCode::OutputTooLarge, "{what} {tool:?}");
        }
    }
}

#[test]
fn errors_without_end_are_cut_and_escaped() {
    let failure = acts("flood-errors", Tool::Ffmpeg, Limits { wall: SHORT, ..LIMITS });
    assert_eq!(failure.code, FailureCode::RunTimeExceeded);
    let said = &failure.evidence["stderr"];
    assert!(said.len() <= 2000 && said.contains("\\x1b") && !said.contains('\x1b'));
}

#[test]
fn a_stopped_run_is_interrupted_and_gone() {
    for kernel in Kernel::BOTH {
        kernel.run(async || {
            let folder = tempfile::tempdir().unwrap();
            let stop = CancellationToken::new();
            let tools = stand_in(&[]);
            // Stopped once it runs: on its first line.
            let mut on_line = |_: &str| stop.cancel();
            let ended = tools.run(act("repeat", folder.path(), LIMITS), &mut on_line, &stop).await;
            assert_eq!(ended.unwrap_err().code, FailureCode::Interrupted);
            assert_eq!(who_works_in(folder.path()), Vec::<String>::new());
            // A job that was stopped starts nothing any more.
            let ended = tools.run(act("report", folder.path(), LIMITS), &mut |_| (), &stop).await;
            assert_eq!(ended.unwrap_err().code, FailureCode::Interrupted);
        });
    }
}

#[test]
fn lines_are_passed_on_as_they_come() {
    for kernel in Kernel::BOTH {
        kernel.run(async || {
            let folder = tempfile::tempdir().unwrap();
            let mut lines = Vec::new();
            let mut on_line = |line: &str| lines.push(line.to_owned());
            let call = act("report", folder.path(), LIMITS);
            let done: Finished =
                stand_in(&[]).run(call, &mut on_line, &CancellationToken::new()).await.unwrap();
            assert_eq!(lines[0], "frame=1");
            assert_eq!(lines.len(), 6);
            assert_eq!(done.stdout, format!("{}\n", lines.join("\n")).as_bytes());
        });
    }
}

/// A process that the program leaves behind is found by the number that it wrote.
async fn leave_one_behind(without: &[Layer]) -> (Result<Finished, Failure>, i32) {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { wall: Duration::from_secs(2), ..LIMITS };
    let ended = run(&stand_in(without), act("outlive", folder.path(), limits)).await;
    let left = std::fs::read_to_string(folder.path().join("pid")).unwrap();
    (ended, left.parse().unwrap())
}

pub(crate) fn is_there(pid: i32) -> bool {
    // A zombie of another's is not alive.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

#[test]
fn a_process_that_is_left_behind_is_killed_with_its_group() {
    for kernel in Kernel::BOTH {
        kernel.run(async || {
            // With seccomp there is no such process at all, and that is a violation.
            let (ended, left) = leave_one_behind(&[Layer::Seccomp]).await;
            assert!(ended.is_ok(), "{ended:?}");
            assert!(!is_there(left), "{left} outlived its leader");
        });
    }
}

#[test]
fn without_the_group_a_process_outlives_its_leader() {
    for kernel in Kernel::BOTH {
        kernel.run(async || {
            let (ended, left) = leave_one_behind(&[Layer::Seccomp, Layer::Group]).await;
            assert!(is_there(left));
            // It holds the pipes, so the run ends with its time only.
            assert_eq!(ended.unwrap_err().code, FailureCode::RunTimeExceeded);
            // SAFETY: no pointers; the process was started here and is still there.
            unsafe { libc::kill(left, libc::SIGKILL) };
        });
    }
}

#[test]
fn a_dropped_run_is_killed() {
    for kernel in Kernel::BOTH {
        kernel.run(async || {
            harden_parent().unwrap();
            let folder = tempfile::tempdir().unwrap();
            let (tools, stop) = (stand_in(&[]), CancellationToken::new());
            let (tell, told) = tokio::sync::oneshot::channel();
            let mut tell = Some(tell);
            let mut on_line = move |_: &str| {
                tell.take().map(|tell: tokio::sync::oneshot::Sender<()>| tell.send(()));
            };
            let call = act("repeat", folder.path(), LIMITS);
            tokio::select! {
                ended = tools.run(call, &mut on_line, &stop) => panic!("{ended:?}"),
                said = told => said.unwrap(),
            }
            let deadline = Instant::now() + Duration::from_secs(10);
            while !who_works_in(folder.path()).is_empty() {
                assert!(Instant::now() < deadline, "it is still there");
                tokio::task::yield_now().await;
            }
        });
    }
}

#[test]
fn the_next_run_works_after_each_failure() {
    for kernel in Kernel::BOTH {
        kernel.run(async || {
            let folder = tempfile::tempdir().unwrap();
            let tools = stand_in(&[]);
            let limits = Limits { stall: SHORT, output_bytes: 1 << 20, memory_bytes: 512 << 20, ..LIMITS };
            for what in ["segv", "fork", "fail", "hang", "endless", "memory-bomb"] {
                run(&tools, act(what, folder.path(), limits)).await.unwrap_err();
                run(&tools, act("report", folder.path(), LIMITS)).await.unwrap();
            }
        });
    }
}

#[test]
fn require_starts_nothing_without_landlock_or_seccomp() {
    for kernel in Kernel::BOTH {
        kernel.run(async || {
            let found = Tools::find(SandboxPolicy::Require).map(|tools| tools.level());
            match found {
                Ok(level) => assert!(kernel == Kernel::Here && level.is_full(), "{kernel:?}"),
                Err(failure) => {
                    assert_eq!(failure.code, FailureCode::SandboxUnavailable);
                    assert!(failure.message.contains("no landlock"));
                }
            }
            assert_eq!(Tools::find(SandboxPolicy::Require).is_ok(), landlock_is_there());
            for layer in [Layer::Landlock, Layer::Seccomp, Layer::Loader] {
                let refused = Sandbox::without(SandboxPolicy::Require, [layer].into()).unwrap_err();
                assert_eq!(refused.code, FailureCode::SandboxUnavailable);
            }
        });
    }
}

#[test]
fn an_input_that_is_not_named_cannot_be_read() {
    let body = async |kernel: Kernel| {
        let folder = tempfile::tempdir().unwrap();
        let (mine, other) = (folder.path().join("mine"), folder.path().join("other"));
        for path in [&mine, &other] {
            std::fs::write(path, "x").unwrap();
        }
        let args = [CANARY, "input", other.to_str().unwrap()];
        let ended = run(&stand_in(&[]), call_on(Tool::Ffprobe, &args, &mine, None)).await;
        // Without Landlock that is open, and said to be.
        assert_eq!(ended.is_err(), landlock_is_there(), "{kernel:?}");
    };
    for kernel in Kernel::BOTH {
        kernel.run(async || body(kernel).await);
    }
}
