//! kill -9 of the controller before and after each of its effects, one by one. The next controller must finish the
//! work: no message lost, nothing done twice, no leftovers (S13, row 48 of the fault catalogue).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use transcode_config::contract::{Cancel, Cancels, Control, EventKind, control_key, encode};
use transcode_tests::{
    Stack, StackOptions,
    aftermath::{End, Expected},
    listener::Listener,
    paths,
    proxy::{Call, Interceptor, Treatment, receipts},
    s3_calls::ORDINARY_JOB,
};

const LIMIT: Duration = Duration::from_mins(1);

/// The controller dies before or after an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// The call never reaches the service.
    Before,
    /// It is carried out; its answer never reaches the controller.
    After,
}

/// Numbers the controller's effects and kills it at one of them.
#[derive(Debug, Default)]
struct Killer(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Effects so far, in order.
    seen: Vec<String>,
    /// Calls to S3 for the job so far, readings too.
    s3: Vec<String>,
    /// Numbers of the effects without an answer yet.
    open: BTreeMap<u64, usize>,
    /// Receives that wait for a message.
    polls: BTreeSet<u64>,
    /// Handle of the newest receive.
    receipt: Option<String>,
    /// The process to kill, the number of the effect, and the side. `None` once it is killed.
    order: Option<(Pid, usize, Side)>,
}

impl State {
    /// Notes an effect; returns its number, counted from 0.
    fn note(&mut self, call: &Call) -> usize {
        self.seen.push(call.name());
        self.seen.len() - 1
    }

    fn strike(&mut self, number: usize, side: Side) -> bool {
        match self.order {
            Some((pid, at, on)) if (at, on) == (number, side) => {
                kill_process(pid, Signal::KILL).unwrap();
                self.order = None;
                true
            }
            _ => false,
        }
    }
}

impl Interceptor for Killer {
    fn request(&self, call: &Call) -> Treatment {
        let mut state = self.0.lock().unwrap();
        if call.service == "s3" && !["control.json", "status.json", "beacons"].contains(&&*call.subject) {
            state.s3.push(call.name());
        }
        // Hints and the report decide nothing. A receive counts only once it has handed something out.
        if !call.changes() || call.subject.contains("events") || call.subject == "status.json" {
            return Treatment::Forward;
        }
        if call.operation == "ReceiveMessage" {
            state.polls.insert(call.id);
            return Treatment::Forward;
        }
        let number = state.note(call);
        if state.strike(number, Side::Before) {
            return Treatment::Drop;
        }
        state.open.insert(call.id, number);
        Treatment::Forward
    }

    fn answer(&self, call: &Call, answer: &[u8]) -> bool {
        let mut state = self.0.lock().unwrap();
        let number = if state.polls.remove(&call.id) {
            let Some(receipt) = receipts(answer).pop() else { return true };
            state.receipt = Some(receipt);
            Some(state.note(call))
        } else {
            state.open.remove(&call.id)
        };
        !number.is_some_and(|number| state.strike(number, Side::After))
    }
}

fn options(killer: &Arc<Killer>) -> StackOptions {
    let delays =
        ["provisioning", "pending", "deprovisioning"].map(|phase| [format!("--{phase}-ms"), "20".to_owned()]);
    StackOptions {
        interceptor: Some(Arc::clone(killer) as Arc<dyn Interceptor>),
        fargate_args: delays.concat(),
        ..StackOptions::default()
    }
    .setting("jobs.retry_base_seconds", "1")
    .setting("jobs.retry_cap_seconds", "1")
    .setting("jobs.max_attempts", "2")
    .setting("observe.describe_seconds", "1")
    .setting("calls.receive_wait_seconds", "1")
    .setting("control.poll_seconds", "1")
    .setting("events.bus", "\"jobs\"")
    // Nobody is promised the others, and they come when they come.
    .setting("events.kinds", "[]")
}

/// One job from its upload to its end, with the controller killed at effect `number`, on this side. Returns the
/// effects.
async fn job(
    stack: &mut Stack,
    (killer, listener): (&Killer, &Listener),
    body: &[u8],
    order: Option<(usize, Side)>,
    expected: Expected,
) -> Vec<String> {
    let key = order.map_or("whole.mp4".to_owned(), |(number, side)| format!("{number}-{side:?}.mp4"));
    let pid = Pid::from_raw(i32::try_from(stack.controller().unwrap().pid()).unwrap()).unwrap();
    let polls = killer.0.lock().unwrap().polls.clone();
    *killer.0.lock().unwrap() =
        State { polls, order: order.map(|(number, side)| (pid, number, side)), ..State::default() };
    stack.put_source_body(&key, body.to_vec()).await.unwrap();
    if expected.end == End::Cancelled {
        cancelled(stack, &key).await;
    }
    if order.is_some() {
        let done = async || Ok(killer.0.lock().unwrap().order.is_none().then_some(()));
        stack.wait_for(&format!("{key}: the controller reaches the effect"), LIMIT, done).await.unwrap();
        let dead: BTreeSet<u64> = killer.0.lock().unwrap().polls.clone();
        stack.restart_controller().await.unwrap();
        // A dead controller's long poll must not be what the message is handed to.
        let over = async || Ok(dead.is_disjoint(&killer.0.lock().unwrap().polls).then_some(()));
        stack.wait_for("the dead controller's polls end", LIMIT, over).await.unwrap();
        // What the visibility timeout would do in ten minutes. Without effect where the message is deleted.
        let receipt = killer.0.lock().unwrap().receipt.clone();
        stack.end_visibility(&receipt.unwrap()).await;
    }
    let terminal = stack.aftermath(&key, expected, LIMIT).await.unwrap_or_else(|error| {
        panic!("{key}: {error:#}\n{:#?}\n{}", killer.0.lock().unwrap().seen, stack.tails(60));
    });
    // S18: the message is gone, so the bus has the event, with one id however often it was sent.
    let told = listener.events(&terminal.job).await.unwrap();
    let kind = match expected.end {
        End::Succeeded => EventKind::Succeeded,
        End::Dead => EventKind::Dead,
        End::Cancelled => EventKind::Cancelled,
    };
    let id = format!("{}.0.{kind}", terminal.job);
    assert!(!told.is_empty() && told.iter().all(|event| event.id == id), "S18: {key}: {told:?}");
    let state = killer.0.lock().unwrap();
    state.seen.clone()
}

/// Cancels the job of an upload once its task runs.
async fn cancelled(stack: &Stack, key: &str) {
    let runs = async || Ok((stack.fargate.counters().await?["tasks"]["running"] == 1).then_some(()));
    stack.wait_for("its task runs", LIMIT, runs).await.unwrap();
    let made = &stack.deployment;
    let told = super::steering::ann("wrong film");
    let what = Cancels::Prefix { bucket: made.source_bucket.clone(), prefix: key.to_owned() };
    let control = Control { cancels: vec![Cancel { what, told }], ..Control::default() };
    let put = stack.clients().s3.put_object().bucket(&made.state_bucket).key(control_key(&made.environment));
    put.body(encode(&control).into()).send().await.unwrap();
}

/// Kills the controller at each effect of a job's path from number `first` on, on both sides: those before are killed at
/// elsewhere. Returns the effects of an undisturbed job, and its calls to S3.
async fn each(
    stack: &mut Stack,
    killer: &Killer,
    body: &[u8],
    first: usize,
    expected: Expected,
) -> (Vec<String>, Vec<String>) {
    let listener = Listener::on(stack, "jobs").await.unwrap();
    let tested = (killer, &listener);
    // S3's test event of the notification's making is one message more.
    stack.wait_for_empty_queue(LIMIT).await.unwrap();
    let path = job(stack, tested, body, None, expected).await;
    let s3 = killer.0.lock().unwrap().s3.clone();
    for number in first..path.len() {
        for side in [Side::Before, Side::After] {
            let effect = &path[number];
            if effect.starts_with("sqs:ReceiveMessage") && side == Side::Before {
                continue;
            }
            // Between its stop and its record a task that never spoke is known to nobody: the successor waits until no task
            // of the claim can begin, five minutes. The simulator's `every_kill` goes on to there.
            let unknown = effect.contains("StopTask") && side == Side::After
                || effect.contains("terminal.json") && side == Side::Before;
            if expected.end == End::Cancelled && unknown {
                continue;
            }
            // Row 10: acknowledged by the dead-letter queue, and the controller never knew: sent again.
            let again = effect.starts_with("sqs:SendMessage") && side == Side::After
                || expected.end == End::Dead
                    && effect.starts_with("sqs:DeleteMessage")
                    && side == Side::Before;
            let letters = expected.letters + usize::from(again);
            let seen = job(stack, tested, body, Some((number, side)), Expected { letters, ..expected }).await;
            assert_eq!(seen[..=number], path[..=number], "the path is the same up to where it was cut");
        }
    }
    // Killed after a delete that was carried out.
    super::audited(stack, 1).await;
    (path, s3)
}

#[tokio::test]
async fn killed_at_any_effect_of_a_job_that_succeeds_its_successor_publishes_it_once() {
    let killer = Arc::new(Killer::default());
    let mut stack = Stack::with(options(&killer).setting("jobs.default_profile", "\"audio\"")).await.unwrap();
    let body = paths::tiny_clip(stack.folder()).unwrap();
    let (path, s3) = each(&mut stack, &killer, &body, 0, Expected::SUCCESS).await;
    assert_eq!(s3, ORDINARY_JOB.map(|call| call.name), "no call more for an ordinary job");
    let steps = [
        "Receive",
        "spec.json",
        "index-accepted",
        "index-source",
        "000001.json",
        "RunTask",
        "pointer",
        "metadata.json",
        "manifest.json",
        "manifest.mpd",
        "master.m3u8",
        "index-ended",
        "PutEvents",
        "Delete",
    ];
    assert_steps(&path, &steps);
}

#[tokio::test]
async fn killed_at_any_effect_of_a_job_that_dies_its_successor_buries_it_once() {
    let killer = Arc::new(Killer::default());
    let folder = tempfile::tempdir().unwrap();
    let program = paths::script(folder.path(), "exit 16").unwrap();
    let options = StackOptions { task_program: Some(program), ..options(&killer) };
    let mut stack = Stack::with(options).await.unwrap();
    // Up to its first RunTask it goes the way of a job that succeeds.
    let (path, _) = each(&mut stack, &killer, b"x", 1 + BEGUN.len(), Expected::dead(2)).await;
    let second = ["spec.json", "000002.json", "RunTask", "terminal.json"];
    assert_steps(
        &path,
        &[&["Receive"], &BEGUN[..], &second, &["index-ended", "PutEvents", "Send", "Delete"]].concat(),
    );
}

#[tokio::test]
async fn killed_at_any_effect_of_a_job_that_is_cancelled_its_successor_ends_it_once() {
    let killer = Arc::new(Killer::default());
    let folder = tempfile::tempdir().unwrap();
    let program = paths::script(folder.path(), "exec sleep 600").unwrap();
    let options = StackOptions { task_program: Some(program), ..options(&killer) };
    let mut stack = Stack::with(options).await.unwrap();
    let (path, _) = each(&mut stack, &killer, b"x", 1 + BEGUN.len(), Expected::cancelled(1)).await;
    let end = ["StopTask", "terminal.json", "index-ended", "PutEvents", "Delete"];
    assert_steps(&path, &[&["Receive"], &BEGUN[..], &end].concat());
}

/// The effects of an ordinary job from its receipt to its first task.
const BEGUN: [&str; 5] = ["spec.json", "index-accepted", "index-source", "000001.json", "RunTask"];

/// These are all effects: an effect that is not counted is not tested.
fn assert_steps(path: &[String], steps: &[&str]) {
    let fits =
        path.len() == steps.len() && path.iter().zip(steps).all(|(effect, step)| effect.contains(step));
    assert!(fits, "{path:?} instead of {steps:?}");
}
