//! Whole lives, one for each rule.

use super::*;
use crate::model::task::{Script, example};

const TIMING: Timing = Timing { provisioning: 10, pending: 20, deprovisioning: 40, stop_timeout_cap: None };

/// What the machine wants at a time, once it has changed no more phase.
fn next(task: &mut Task, now: Millis) -> Next {
    loop {
        match advance(task, &TIMING, now) {
            Next::Advance => {}
            next => return next,
        }
    }
}

fn user_stop(grace: Option<Millis>) -> Stop {
    Stop { code: "UserInitiated".to_owned(), reason: "because".to_owned(), grace }
}

fn code(task: &Task) -> &str {
    task.stop.as_ref().map_or("", |stop| &stop.code)
}

/// Running since 30.
fn running() -> Task {
    let mut task = example();
    assert_eq!(next(&mut task, 10), Next::Wait(Some(30)));
    assert_eq!(next(&mut task, 30), Next::Start);
    assert!(started(&mut task, &[100, 200], 30));
    task
}

#[test]
fn a_life_takes_its_delays_and_records_its_times() {
    let mut task = running();
    assert_eq!(next(&mut task, 31), Next::Wait(None));
    exited(&mut task, 0, 3, 50);
    assert_eq!(next(&mut task, 50), Next::Terminate(vec![200]));
    exited(&mut task, 1, 143, 60);
    assert_eq!(next(&mut task, 60), Next::Clean);
    assert_eq!(next(&mut task, 99), Next::Wait(Some(100)));
    assert_eq!(next(&mut task, 100), Next::Over);
    let times = (task.times.started, task.times.stopping, task.times.execution_stopped, task.times.stopped);
    assert_eq!(times, (Some(30), Some(50), Some(60), Some(100)));
    assert_eq!((task.containers[0].exit_code, code(&task)), (Some(3), "EssentialContainerExited"));
}

#[test]
fn a_task_stopped_before_its_start_never_starts() {
    let mut task = example();
    request_stop(&mut task, user_stop(None), 5);
    assert_eq!(next(&mut task, 5), Next::Clean);
    assert_eq!(next(&mut task, 45), Next::Over);
    assert_eq!((task.times.started, task.containers[0].exit_code), (None, None));
}

#[test]
fn sigterm_then_sigkill_once_after_the_longest_stop_timeout() {
    let mut task = running();
    task.containers[1].stop_timeout = 40_000;
    request_stop(&mut task, user_stop(None), 100);
    assert!(!request_stop(&mut task, user_stop(Some(0)), 101), "the first request counts");
    assert_eq!(next(&mut task, 101), Next::Terminate(vec![100, 200]));
    assert_eq!(next(&mut task, 200), Next::Wait(Some(40_101)));
    assert_eq!(next(&mut task, 40_101), Next::Kill(vec![100, 200]));
    assert_eq!(next(&mut task, 50_000), Next::Wait(None));
    exited(&mut task, 0, 137, 50_001);
    assert_eq!(code(&task), "UserInitiated");
}

#[test]
fn a_stop_without_grace_kills_at_once_and_a_cap_shortens_it() {
    let mut task = running();
    request_stop(&mut task, user_stop(Some(0)), 100);
    assert_eq!(next(&mut task, 100), Next::Kill(vec![100, 200]));

    let mut task = running();
    request_stop(&mut task, user_stop(None), 100);
    let capped = Timing { stop_timeout_cap: Some(7), ..TIMING };
    assert!(matches!(advance(&mut task, &capped, 100), Next::Terminate(_)));
    assert_eq!(advance(&mut task, &capped, 100), Next::Wait(Some(107)));
}

#[test]
fn a_container_that_is_not_essential_may_end() {
    let mut task = running();
    exited(&mut task, 1, 0, 50);
    assert_eq!((next(&mut task, 50), task.desired_status()), (Next::Wait(None), "RUNNING"));
}

#[test]
fn memory_is_limited_for_the_task_and_for_each_container() {
    const MIB: u64 = 1024 * 1024;
    let mut task = running();
    task.containers[1].memory = Some(200);
    (task.containers[0].resident, task.containers[1].resident) = (412 * MIB, 100 * MIB);
    assert!(!mark_out_of_memory(&mut task));
    task.containers[1].resident += 1;
    assert!(mark_out_of_memory(&mut task));
    assert!(task.containers[0].out_of_memory, "the sum is over the task's limit");
    assert!(!task.containers[1].out_of_memory, "it is not the largest");

    let mut task = running();
    task.containers[1].memory = Some(100);
    task.containers[1].resident = 101 * MIB;
    assert!(mark_out_of_memory(&mut task));
    assert!(!task.containers[0].out_of_memory);
    assert_eq!(next(&mut task, 50), Next::Kill(vec![200]), "the other one goes on");
    assert_eq!(next(&mut task, 51), Next::Wait(None));
    exited(&mut task, 1, 1, 60);
    assert_eq!(task.containers[1].exit_code, Some(137), "whatever the process itself said");
    assert_eq!(task.containers[1].reason.as_deref(), Some(OUT_OF_MEMORY));
    assert_eq!((next(&mut task, 60), task.desired_status()), (Next::Wait(None), "RUNNING"));
}

#[test]
fn the_faults_of_a_launch_take_their_turn() {
    let mut stuck = example();
    stuck.script = Script { stuck: Some(Phase::Pending), ..Script::default() };
    assert_eq!(next(&mut stuck, 1_000_000), Next::Wait(None));
    request_stop(&mut stuck, user_stop(None), 1_000_000);
    assert_eq!(next(&mut stuck, 1_000_000), Next::Clean);

    let mut spot = running();
    spot.script.interruption = Some((5, Some(9)));
    assert_eq!(next(&mut spot, 31), Next::Wait(Some(35)));
    assert_eq!(next(&mut spot, 35), Next::Terminate(vec![100, 200]));
    assert_eq!(next(&mut spot, 36), Next::Wait(Some(44)));
    assert_eq!(code(&spot), "SpotInterruption");

    let mut zombie = running();
    zombie.script.never_stopped = true;
    exited(&mut zombie, 0, 0, 50);
    exited(&mut zombie, 1, 0, 50);
    assert_eq!((next(&mut zombie, 1_000_000), zombie.desired_status()), (Next::Wait(None), "RUNNING"));
}

#[test]
fn a_failed_start_is_final_and_a_running_task_cannot_fail_to_start() {
    let mut task = example();
    next(&mut task, 10);
    assert!(start_failed(&mut task, "no image".to_owned(), 30));
    assert!(!started(&mut task, &[100, 200], 31), "processes that come too late may not run");
    assert_eq!((next(&mut task, 31), code(&task)), (Next::Clean, "TaskFailedToStart"));
    assert!(!start_failed(&mut running(), "too late".to_owned(), 40));
}
