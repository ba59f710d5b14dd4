//! Two controllers on one queue: one that is suspended while its messages go to the other, and two that receive the
//! same messages again and again (S14; rows 2, 4, 5 and 49 of the fault catalogue).

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use transcode_config::contract::JobKey;
use transcode_tests::{
    Stack, StackOptions,
    aftermath::Expected,
    paths,
    proxy::{Call, Interceptor, Treatment, receipts},
};

const LIMIT: Duration = Duration::from_mins(2);

/// Suspends a process at the answer to a call of this name.
#[derive(Debug, Default)]
struct Stopper(Mutex<Option<(Pid, &'static str)>>);

impl Interceptor for Stopper {
    fn request(&self, _call: &Call) -> Treatment {
        Treatment::Forward
    }

    fn answer(&self, call: &Call, _answer: &[u8]) -> bool {
        let mut order = self.0.lock().unwrap();
        if let Some((pid, _)) = order.take_if(|(_, name)| *name == call.name()) {
            kill_process(pid, Signal::STOP).unwrap();
        }
        // It waits in the socket, and is read when the process goes on.
        true
    }
}

async fn launched(stack: &Stack, count: u64) {
    stack
        .wait_for(&format!("{count} tasks have been launched"), LIMIT, async || {
            Ok((stack.fargate.counters().await?["tasks"]["launched"] == count).then_some(()))
        })
        .await
        .unwrap();
}

async fn job(stack: &Stack, key: &str) -> JobKey {
    stack.job_of(key).await.unwrap().unwrap().job
}

#[tokio::test]
async fn a_controller_stopped_for_longer_than_a_visibility_timeout_comes_back_and_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let script = format!("while [ ! -e '{}' ]; do sleep 0.2; done; exit 10", go.display());
    let stopper = Arc::new(Stopper::default());
    let options = StackOptions {
        task_program: Some(paths::script(folder.path(), &script).unwrap()),
        interceptor: Some(Arc::clone(&stopper) as Arc<dyn Interceptor>),
        ..StackOptions::default()
    }
    // The shortest that the settings take.
    .setting("lease.visibility_seconds", "60")
    .setting("lease.margin_seconds", "20")
    .setting("calls.attempt_seconds", "10")
    .setting("observe.describe_seconds", "1")
    .setting("calls.receive_wait_seconds", "1");
    let mut stack = Stack::with(options).await.unwrap();
    let first = Pid::from_raw(i32::try_from(stack.controller().unwrap().pid()).unwrap()).unwrap();

    // One job runs; of the other the claim is written and the task not launched when the controller stops.
    stack.put_source_body("runs.mp4", b"x".to_vec()).await.unwrap();
    launched(&stack, 1).await;
    *stopper.0.lock().unwrap() = Some((first, "s3:PutObject 000001.json"));
    stack.put_source_body("claimed.mp4", b"x".to_vec()).await.unwrap();
    stack
        .wait_for("the claim is written", LIMIT, async || {
            Ok(stopper.0.lock().unwrap().is_none().then_some(()))
        })
        .await
        .unwrap();
    let mut second = stack.another_controller("second").await.unwrap();
    // The other takes both over once their timeouts are past.
    launched(&stack, 2).await;
    stack
        .wait_for("the second controller has both", LIMIT, async || {
            Ok((second.output().matches("\"message received\"").count() == 2).then_some(()))
        })
        .await
        .unwrap();
    for key in ["runs.mp4", "claimed.mp4"] {
        assert!(second.output().contains(job(&stack, key).await.as_str()), "{key} was not handed over");
    }

    kill_process(first, Signal::CONT).unwrap();
    std::fs::write(go, b"").unwrap();
    stack.put_source_body("later.mp4", b"x".to_vec()).await.unwrap();
    for key in ["runs.mp4", "claimed.mp4", "later.mp4"] {
        stack.aftermath(key, Expected::dead(1), LIMIT).await.unwrap();
    }
    stack.ensure_alive().unwrap();
    second.ensure_running().unwrap();
    super::audited(&stack, 0).await;
}

/// Keeps every receipt handle of every answer.
#[derive(Debug, Default)]
struct Thief(Mutex<Vec<String>>);

impl Interceptor for Thief {
    fn request(&self, _call: &Call) -> Treatment {
        Treatment::Forward
    }

    fn answer(&self, call: &Call, answer: &[u8]) -> bool {
        if call.operation == "ReceiveMessage" && call.subject.ends_with("-jobs") {
            self.0.lock().unwrap().extend(receipts(answer));
        }
        true
    }
}

#[tokio::test]
async fn two_controllers_that_are_handed_the_same_messages_over_and_over_run_each_job_once() {
    let thief = Arc::new(Thief::default());
    let interceptor: Arc<dyn Interceptor> = Arc::clone(&thief) as _;
    let options = StackOptions { interceptor: Some(interceptor), ..StackOptions::default() }
        .setting("jobs.default_profile", "\"audio\"")
        .setting("observe.describe_seconds", "1")
        .setting("calls.receive_wait_seconds", "1");
    let mut stack = Stack::with(options).await.unwrap();
    let mut second = stack.another_controller("second").await.unwrap();
    let clip = paths::tiny_clip(stack.folder()).unwrap();
    let uploads = ["a.mp4", "b.mp4", "c.mp4", "bad.mp4"];
    for key in uploads {
        let body = if key == "bad.mp4" { b"this is no video\n".repeat(100) } else { clip.clone() };
        stack.put_source_body(key, body).await.unwrap();
    }
    let taken_away = AtomicUsize::new(0);
    stack
        .wait_for("all are decided", LIMIT, async || {
            // Visible again while both hold it: whoever asks next gets it.
            let newest = std::mem::take(&mut *thief.0.lock().unwrap());
            for receipt in newest {
                taken_away.fetch_add(stack.end_visibility(&receipt).await.into(), Ordering::Relaxed);
            }
            let records = stack.objects(&stack.deployment.state_bucket, "jobs/").await?;
            let decided = records.keys().filter(|key| key.ends_with("/terminal.json")).count();
            Ok((decided == uploads.len()).then_some(()))
        })
        .await
        .unwrap();
    // Each that holds the dead one's message sends its letter before it deletes: with two of them, two letters; one
    // more for each time that the message was taken away between letter and delete.
    let letters = 2 + taken_away.into_inner();
    for key in uploads {
        let expected =
            if key == "bad.mp4" { Expected { letters, ..Expected::dead(1) } } else { Expected::SUCCESS };
        stack.aftermath(key, expected, LIMIT).await.unwrap();
    }
    let first = std::fs::read_to_string(stack.folder().join("logs/controller.out")).unwrap();
    for log in [first, second.output()] {
        assert!(log.contains("\"message received\""), "both took part");
    }
    stack.ensure_alive().unwrap();
    second.ensure_running().unwrap();
    super::audited(&stack, 0).await;
}
