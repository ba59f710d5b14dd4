//! S3, SQS and ECS give bad answers, or none: each kind of call meets the fault once, and everything still ends as
//! without it (rows 1, 10, 15, 16, 41, 43 and 54 of the fault catalogue).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use transcode_tests::{
    Stack, StackOptions,
    aftermath::Expected,
    paths,
    proxy::{Call, Interceptor, Treatment, receipts},
};

const LIMIT: Duration = Duration::from_mins(2);

/// The first call of each kind meets the fault.
#[derive(Debug)]
struct Once {
    fault: Treatment,
    met: Mutex<BTreeMap<String, u64>>,
    /// Handles of messages that no controller knows: the receive took effect, and its answer was lost.
    lost: Mutex<Vec<String>>,
}

impl Interceptor for Once {
    fn request(&self, call: &Call) -> Treatment {
        let mut met = self.met.lock().unwrap();
        if met.contains_key(&call.name()) {
            return Treatment::Forward;
        }
        met.insert(call.name(), call.id);
        self.fault
    }

    fn answer(&self, call: &Call, answer: &[u8]) -> bool {
        if self.met.lock().unwrap().get(&call.name()) == Some(&call.id) {
            self.lost.lock().unwrap().extend(receipts(answer));
        }
        true
    }
}

/// One upload that succeeds and one that is refused, through a pipeline whose calls meet `fault`. `letters`: most dead
/// letters of the refused one.
async fn everything_ends(fault: Treatment, letters: usize) {
    let once = Arc::new(Once { fault, met: Mutex::default(), lost: Mutex::default() });
    let interceptor: Arc<dyn Interceptor> = Arc::clone(&once) as _;
    let options = StackOptions { interceptor: Some(interceptor), ..StackOptions::default() }
        .setting("jobs.default_profile", "\"audio\"")
        .setting("launch.cooldown_seconds", "1")
        .setting("observe.describe_seconds", "1")
        .setting("calls.receive_wait_seconds", "1")
        .setting("calls.connect_seconds", "1")
        .setting("calls.attempt_seconds", "2")
        .setting("calls.operation_seconds", "5");
    let mut stack = Stack::with(options).await.unwrap();
    stack.put_source_body("good.mp4", paths::tiny_clip(stack.folder()).unwrap()).await.unwrap();
    stack.put_source_body("bad.mp4", b"this is no video\n".repeat(100)).await.unwrap();
    stack
        .wait_for("both are over", LIMIT, async || {
            let lost = std::mem::take(&mut *once.lost.lock().unwrap());
            for receipt in lost {
                // What the visibility timeout would do in ten minutes.
                stack.end_visibility(&receipt).await;
            }
            Ok((stack.jobs_waiting().await?.total() == 0).then_some(()))
        })
        .await
        .unwrap();
    for (key, expected) in
        [("good.mp4", Expected::SUCCESS), ("bad.mp4", Expected { letters, ..Expected::dead(1) })]
    {
        if let Err(error) = stack.aftermath(key, expected, LIMIT).await {
            panic!("{fault:?}: {key}: {error:#}\n{}", stack.tails(60));
        }
    }
    stack.ensure_alive().unwrap();
    super::audited(&stack, usize::from(fault == Treatment::Reset)).await;
    let met: BTreeSet<String> = once.met.lock().unwrap().keys().cloned().collect();
    for kind in [
        "sqs:ReceiveMessage local-transcode-jobs",
        "sqs:SendMessage local-transcode-dead-letters",
        "sqs:DeleteMessageBatch local-transcode-jobs",
        "s3:ListObjectsV2",
        "s3:GetObject terminal.json",
        "s3:PutObject spec.json",
        "s3:PutObject 000001.json",
        "s3:PutObject terminal.json",
        "s3:CopyObject master.m3u8",
        "ecs:RunTask",
        "ecs:DescribeTasks",
        "ecs:ListTasks",
    ] {
        assert!(met.contains(kind), "{kind} has not met with {fault:?}: {met:?}");
    }
}

#[tokio::test]
async fn a_5xx_from_each_call_is_got_over() {
    // Whether the letter was sent is not known after a 500: it is sent again, and here the first never arrived.
    everything_ends(Treatment::Refuse(500), 1).await;
}

#[tokio::test]
async fn a_black_hole_in_place_of_each_answer_costs_an_attempt_timeout_and_no_more() {
    everything_ends(Treatment::BlackHole, 1).await;
}

#[tokio::test]
async fn an_answer_of_each_call_that_comes_byte_by_byte_is_given_up_and_read_again() {
    // Carried out and sent again: row 10.
    everything_ends(Treatment::Trickle, 2).await;
}

#[tokio::test]
async fn a_connection_reset_after_each_call_was_carried_out_repeats_nothing_that_counts() {
    everything_ends(Treatment::Reset, 2).await;
}
