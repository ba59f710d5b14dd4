//! AWS refuses a step of settling until somebody changes a policy: the step is named in AWS' own words, the message stays,
//! the call is repeated less and less often, and once it is allowed the job settles once (L10).

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use transcode_tests::{
    Stack, StackOptions,
    aftermath::{End, Expected},
    paths,
    proxy::{Call, Interceptor, Treatment, denial},
};

use super::said;

const LIMIT: Duration = Duration::from_mins(1);

/// Refusals that are waited for: enough to see the waits grow.
const REFUSALS: usize = 4;

/// A step of settling, and the call of it that is refused.
#[derive(Debug, Clone, Copy)]
struct Step {
    /// As the controller's notes begin.
    phrase: &'static str,
    refused: fn(&Call) -> bool,
}

/// Refuses a step's call until it is allowed.
#[derive(Debug)]
struct Policy {
    step: Step,
    allows: AtomicBool,
    /// Each refused call, and when it came.
    refused: Mutex<Vec<(Call, Instant)>>,
}

impl Interceptor for Policy {
    fn request(&self, call: &Call) -> Treatment {
        if self.allows.load(Ordering::SeqCst) || !(self.step.refused)(call) {
            return Treatment::Forward;
        }
        self.refused.lock().unwrap().push((call.clone(), Instant::now()));
        Treatment::Deny
    }
}

impl Policy {
    fn times(&self) -> usize {
        self.refused.lock().unwrap().len()
    }

    /// Each wait is at least twice the one before; the first is a second. A busy machine only makes them longer.
    fn assert_paced(&self) {
        let refused = self.refused.lock().unwrap();
        let waits = refused.windows(2).map(|pair| pair[1].1.duration_since(pair[0].1));
        for (wait, least) in waits.zip((0..).map(|doublings| Duration::from_secs(1 << doublings))) {
            assert!(wait >= least, "{wait:?} is shorter than {least:?}: {refused:?}");
        }
    }
}

async fn refused_and_then_allowed(step: Step, key: &str, expected: Expected) {
    let policy = Arc::new(Policy { step, allows: false.into(), refused: Mutex::default() });
    let interceptor: Arc<dyn Interceptor> = Arc::clone(&policy) as _;
    let options = StackOptions { interceptor: Some(interceptor), ..StackOptions::default() }
        .setting("jobs.default_profile", "\"audio\"")
        .setting("observe.describe_seconds", "1")
        .setting("calls.receive_wait_seconds", "1");
    let stack = Stack::with(options).await.unwrap();
    let body = if expected.end == End::Succeeded {
        paths::tiny_clip(stack.folder()).unwrap()
    } else {
        b"this is no video\n".repeat(100)
    };
    stack.put_source_body(key, body).await.unwrap();
    let record = stack.wait_for_terminal_record(key, LIMIT).await.unwrap();
    let enough = async || Ok((policy.times() >= REFUSALS).then_some(()));
    stack.wait_for("the refusal is repeated", LIMIT, enough).await.unwrap();

    let words = denial(&policy.refused.lock().unwrap()[0].0);
    let parts = [step.phrase, "AccessDenied", &words, "not settled yet", "You can act"];
    let explained = async || {
        let text = said(&stack, &["explain", record.job.as_str()]);
        Ok(parts.iter().all(|part| text.contains(part)).then_some(()))
    };
    stack.wait_for(&format!("an explanation with {parts:?}"), LIMIT, explained).await.unwrap();
    assert_eq!(stack.jobs_waiting().await.unwrap().total(), 1, "the message stays");
    assert!(stack.dead_letters().await.unwrap().is_empty());
    policy.assert_paced();

    policy.allows.store(true, Ordering::SeqCst);
    if let Err(error) = stack.aftermath(key, expected, LIMIT).await {
        panic!("{step:?}: {error:#}\n{}", stack.tails(60));
    }
    let logs: String =
        stack.controller_logs().iter().map(|log| std::fs::read_to_string(log).unwrap()).collect();
    let settled = logs.matches("\"job succeeded\"").count() + logs.matches("\"job dead\"").count();
    assert_eq!(settled, 1, "{logs}");
    super::audited(&stack, 0).await;
}

#[tokio::test]
async fn a_copy_to_a_stable_name_that_is_refused_keeps_the_message_until_it_is_allowed() {
    let refused = |call: &Call| call.name() == "s3:CopyObject master.m3u8";
    let step = Step { phrase: "publishing its result fails", refused };
    refused_and_then_allowed(step, "good.mp4", Expected::SUCCESS).await;
}

#[tokio::test]
async fn a_pointer_that_may_not_be_written_keeps_the_message_until_it_is_allowed() {
    let refused = |call: &Call| call.name() == "s3:PutObject pointer";
    let step = Step { phrase: "publishing its result fails", refused };
    refused_and_then_allowed(step, "good.mp4", Expected::SUCCESS).await;
}

#[tokio::test]
async fn a_dead_letter_that_is_refused_keeps_the_message_until_it_is_allowed() {
    let refused = |call: &Call| call.operation == "SendMessage";
    let step = Step { phrase: "sending its dead letter fails", refused };
    refused_and_then_allowed(step, "bad.mp4", Expected::dead(1)).await;
}
