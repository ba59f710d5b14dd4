use transcode_config::{
    Settings,
    contract::{
        Attempt, Budget, Capacity, Claim, Dead, Edit, EntryPoint, Failure, FailureCode, Heartbeat, JobSpec,
        JobState, JobStatus, ObjectRef, Outcome, OutputTarget, PastAttempt, PauseStatus, Published, SCHEMA,
        Source, SourceObject, SourceOrder, Stage, StatusReport, Succeeded, TaskShape, TaskState, Terminal,
        UserMetadata,
    },
    ladder::Profile,
};

use super::*;
use crate::cli::find::AttemptRecord;

mod beside;

/// 2026-11-24T03:00:00Z, in the middle of the night.
const NOW: u64 = 1_795_489_200_000;
const MINUTE: u64 = 60_000;

fn settings() -> Settings {
    let text = r#"
        environment = "test"
        queues.default = { url = "q", dead_letter_url = "d" }
        sources.uploads.bucket = "uploads"
        state.bucket = "state"
        output.bucket = "videos"
        cluster.name = "main"
        cluster.task_definition = "task"
        cluster.subnets = ["subnet-1"]
    "#;
    transcode_config::load::from_text(text, figment::providers::Env::prefixed("NONE_")).unwrap()
}

fn job() -> JobKey {
    JobKey::of(&["x"])
}

/// A job accepted 10 minutes ago, with an attempt claimed at that time and this heartbeat.
fn record(heartbeat: Option<(TaskState, u64)>) -> Record {
    let spec = JobSpec {
        schema: SCHEMA,
        job: job(),
        generation: 0,
        source: Source {
            bucket: "uploads".into(),
            key: "cat.mp4".into(),
            version_id: None,
            etag: None,
            size: None,
            sequencer: None,
            uploaded_at_ms: None,
        },
        profile: Profile::built_in("standard").unwrap().into(),
        edit: Edit::default(),
        output: OutputTarget { bucket: "videos".into(), prefix: "videos/cat.mp4/".into() },
        max_run_seconds: 14_400,
        max_source_bytes: 1,
        accepted_at_ms: NOW - 10 * MINUTE,
        idempotency_key: None,
        forced: false,
        user_metadata: UserMetadata::default(),
    };
    let claim = Claim {
        schema: SCHEMA,
        job: job(),
        attempt: Attempt::FIRST,
        task_definition: "task:1".into(),
        image_digest: None,
        variant: TaskShape { capacity: Capacity::Fargate, cpu: 2048, memory_mib: 4096, ephemeral_gib: None },
        launch_not_after_ms: NOW - 5 * MINUTE,
        created_at_ms: NOW - 10 * MINUTE,
        nonce: "n".into(),
        history: Vec::new(),
    };
    let heartbeat = heartbeat.map(|(state, ago)| Heartbeat {
        schema: SCHEMA,
        job: job(),
        attempt: Attempt::FIRST,
        task_arn: Some("arn:task/1".into()),
        seq: 1,
        written_at_ms: NOW - ago,
        stage: Stage::Transcoding,
        percent: 42.0,
        speed: None,
        playable: None,
        user_metadata: UserMetadata::default(),
        state,
    });
    let attempts = vec![AttemptRecord { claim, heartbeat }];
    Record { job: job(), spec: Some(spec), attempts, terminal: None, live: None }
}

fn decided(outcome: Outcome) -> Record {
    let terminal =
        Terminal { schema: SCHEMA, job: job(), nonce: "n".into(), written_at_ms: NOW - MINUTE, outcome };
    Record { terminal: Some(terminal), ..record(Some((TaskState::Finished, MINUTE))) }
}

fn dead(code: FailureCode) -> Record {
    let dead = Dead {
        failure: Failure::new(code, "in this case"),
        last_task_arn: Some("arn:task/1".into()),
        log_link: None,
        attempts: Vec::new(),
    };
    decided(Outcome::Dead(dead))
}

fn explain_with(record: Option<&Record>, report: StatusReport, evidence: Option<&Evidence>) -> String {
    let heard = Heard::Report(Box::new(report));
    paragraph(&job(), record, &View { heard: &heard, settings: &settings(), evidence, now: NOW })
}

fn explain(record: Option<&Record>, report: StatusReport) -> String {
    let report = StatusReport { written_at_ms: NOW - 4_000, ..report };
    explain_with(record, report, None)
}

/// The explanation when no controller has spoken for a while.
fn explain_alone(record: Option<&Record>) -> String {
    let report = StatusReport { written_at_ms: NOW - 7 * MINUTE, ..notes("an old reason", None) };
    explain_with(record, report, None)
}

/// A report that knows the job alone.
fn waiting(why: &str, until_ms: Option<u64>, step: Option<&str>, refused: bool) -> StatusReport {
    let status = JobStatus {
        job: job(),
        bucket: Some("uploads".into()),
        key: Some("cat.mp4".into()),
        profile: None,
        tenant: None,
        // A controller names these steps of decided jobs only.
        state: match step {
            Some("publish" | "dead_letter") => JobState::Settling,
            _ => JobState::Queued,
        },
        asked_at_ms: Some(NOW - 10 * MINUTE),
        known_at_ms: NOW,
        attempt: None,
        stage: None,
        percent: None,
        speed: None,
        heartbeat_at_ms: None,
        task_arn: None,
        why: Some(why.into()),
        until_ms,
        step: step.map(Into::into),
        refused,
    };
    StatusReport { jobs: vec![status], ..StatusReport::default() }
}

fn notes(why: &str, until_ms: Option<u64>) -> StatusReport {
    waiting(why, until_ms, None, false)
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

fn won() -> Outcome {
    Outcome::Succeeded(Succeeded {
        attempt: Attempt::FIRST,
        task_arn: None,
        bucket: "videos".into(),
        folder: "videos/cat.mp4/v-1/".into(),
        manifest: ObjectRef { key: String::new(), size: 1, sha256: String::new() },
        files: 29,
        bytes: 1,
        duration_ms: 1,
        warnings: None,
        source: None,
        entry_points: ["poster.jpg", "master.m3u8"]
            .map(|name| EntryPoint {
                to: format!("videos/cat.mp4/{name}"),
                from: ObjectRef { key: String::new(), size: 1, sha256: String::new() },
            })
            .into(),
    })
}

#[test]
fn a_settled_job_waits_for_nothing() {
    let text = explain(Some(&succeeded_behind(&job(), NOW)), StatusReport::default());
    has(
        &text,
        &[
            "It is done",
            "to be played from s3://videos/videos/cat.mp4/master.m3u8",
            "29 files",
            "2026-11-24T02:59:00Z",
            "Nobody has to act.",
        ],
    );
}

#[test]
fn a_decided_job_is_not_done_before_it_is_settled() {
    let waits = |why: &str, refused| waiting(why, Some(NOW + MINUTE), Some("publish"), refused);
    let publishes = "publishing its result fails (7 calls): s3:CopyObject: AccessDenied: no kms:Decrypt";
    let text = explain(Some(&decided(won())), waits(publishes, true));
    has(
        &text,
        &["has succeeded", "not settled yet", publishes, "03:01:00Z (in 60 s)", "You can act: AWS refuses"],
    );
    assert!(!text.contains("It is done") && !text.contains("Nobody has to act"), "{text}");

    let letter = "sending its dead letter fails (2 calls): sqs:SendMessage: no answer";
    let text = explain(Some(&dead(FailureCode::NotMedia)), waits(letter, false));
    has(&text, &["given up since", "NOT_MEDIA", "not settled yet", letter, "as long as that passes"]);
    assert!(!text.contains("redrive"), "there is no letter to redrive: {text}");

    let alone = explain_alone(Some(&decided(won())));
    has(&alone, &["No controller has spoken for 7 min", "not settled yet", "Nothing of it is published"]);
    assert!(!alone.contains("an old reason"), "{alone}");
    let unheld = explain(Some(&decided(won())), StatusReport::default());
    has(&unheld, &["not settled yet", "Nothing of it is published", "comes back to the queue by itself"]);
}

#[test]
fn a_record_outranks_a_report_from_before_it() {
    let mut alive = notes("the task is alive", Some(NOW + MINUTE));
    alive.jobs[0].state = JobState::Running;
    let done = explain(Some(&succeeded_behind(&job(), NOW)), alive.clone());
    has(&done, &["It is done", "Nobody has to act."]);
    let given_up = explain(Some(&dead(FailureCode::NotMedia)), alive.clone());
    has(&given_up, &["It is dead since", "NOT_MEDIA"]);
    let unpublished = explain(Some(&decided(won())), alive);
    has(&unpublished, &["Nothing of it is published yet", "report, of 4 s ago, is older", "publishes next"]);
    for said in [done, given_up, unpublished] {
        assert!(!said.contains("the task is alive") && !said.contains("back to the queue"), "{said}");
    }
}

#[test]
fn a_claim_that_is_refused_is_for_you_to_mend() {
    let mut record = record(None);
    record.attempts.clear();
    let why = "claiming an attempt fails (3 calls): s3:PutObject: AccessDenied: no kms:GenerateDataKey";
    let heard = waiting(why, None, Some("claim"), true);
    has(&explain(Some(&record), heard), &["has not been claimed", why, "You can act: AWS refuses"]);
}

#[test]
fn of_a_dead_job_it_says_who_can_act() {
    for (code, who) in [
        (FailureCode::NotMedia, "The uploader can act: upload a video"),
        (FailureCode::OutOfMemory, "You can act: raise the task's memory"),
        (FailureCode::LaunchRefused, "It was AWS' doing: "),
    ] {
        let text = explain_alone(Some(&dead(code)));
        has(&text, &["It is dead since", code.info().name, "in this case", "arn:task/1", who]);
        // The same broken bytes would fail again.
        assert_eq!(text.contains("redrive --job"), code != FailureCode::NotMedia, "{text}");
    }
}

#[test]
fn a_task_at_work_is_waited_for_until_its_longest_run() {
    let text = explain(Some(&record(Some((TaskState::Working, 5_000)))), notes("the task is alive", None));
    // Launch deadline 02:55, a minute of clock skew, four hours of run time.
    has(
        &text,
        &["transcoding, 42 % done, last heard of 5 s ago", "2026-11-24T06:56:00Z (in 3 h)", "Nobody has"],
    );
    has(&text, &["The controller said 4 s ago: the task is alive."]);
}

#[test]
fn a_silent_task_is_named_with_the_time_when_it_is_stopped() {
    let text = explain(Some(&record(Some((TaskState::Working, 4 * MINUTE)))), notes("x", Some(NOW + MINUTE)));
    // Last heartbeat at 02:56; 360 s later.
    has(
        &text,
        &["dead or cut off", "2026-11-24T03:02:00Z", "stop arn:task/1", "2026-11-24T03:01:00Z (in 60 s)"],
    );
}

#[test]
fn a_claim_without_a_task_waits_for_its_deadline_and_then_for_certainty() {
    let late = record(None);
    has(
        &explain(Some(&late), notes("x", None)),
        &["had to start before 2026-11-24T02:55:00Z", "02:59:00Z (passed"],
    );
    let mut fresh = late;
    fresh.attempts[0].claim.launch_not_after_ms = NOW + MINUTE;
    has(
        &explain(Some(&fresh), notes("x", None)),
        &["waits for ECS to start one, until 2026-11-24T03:01:00Z"],
    );
}

#[test]
fn an_attempt_that_ended_says_whether_another_follows() {
    let failed = |code| TaskState::Failed { failure: Failure::new(code, "in this case") };
    let retried = explain(Some(&record(Some((failed(FailureCode::EncodeFailed), MINUTE)))), notes("x", None));
    has(
        &retried,
        &["ENCODE_FAILED", "waits for the next attempt, which follows within 10 min", "You can act"],
    );
    let given_up = explain(Some(&record(Some((failed(FailureCode::NotMedia), MINUTE)))), notes("x", None));
    has(&given_up, &["NOT_MEDIA", "about to be given up", "The uploader can act"]);
    let spot = explain(Some(&record(Some((TaskState::Interrupted, MINUTE)))), notes("x", None));
    has(&spot, &["stopped from outside", "Nobody has to act"]);
}

#[test]
fn spent_attempts_are_counted_by_budget() {
    let mut record = record(Some((TaskState::Working, 1000)));
    let past = |budget, code| PastAttempt {
        attempt: Attempt::FIRST,
        budget,
        code,
        message: "what happened".into(),
        task_arn: None,
    };
    record.attempts[0].claim.history =
        vec![past(Budget::Platform, FailureCode::Interrupted), past(Budget::Job, FailureCode::EncodeFailed)];
    let text = explain(Some(&record), notes("x", None));
    has(
        &text,
        &["failed 1 of 3 allowed times", "the platform 1 of 20", "last with ENCODE_FAILED (what happened)"],
    );
}

#[test]
fn what_the_controller_does_not_say_is_said() {
    let unknown = explain(None, StatusReport::default());
    has(&unknown, &["has no record", "does not mention it", "dead-letter queue"]);
    let many = StatusReport { left_off: 7, ..StatusReport::default() };
    has(&explain(None, many), &["leaves 7 jobs off"]);
    let draining = StatusReport { draining: true, ..StatusReport::default() };
    has(&explain(None, draining), &["draining"]);
    let silent = explain_alone(None);
    has(&silent, &["No controller has spoken for 7 min", "look at the controller's service"]);
    let paused = StatusReport {
        launches_pause: Some(PauseStatus {
            why: "paused by anna: a fire drill".into(),
            since_ms: NOW - MINUTE,
        }),
        ..notes("waiting for a free slot", None)
    };
    let paused = explain(None, paused);
    has(
        &paused,
        &[
            "s3://uploads/cat.mp4, queued since 10 min",
            "for a free slot",
            "has launched nothing for 60 s: paused by anna",
        ],
    );
}

/// A key that clears the screen, hides the following text and adds text of its own.
#[test]
fn no_word_of_a_stranger_acts_on_the_terminal_or_passes_for_the_explanation() {
    let forged = "a\u{1b}]0;x\u{7}\r\nIt is done: attempt 1 succeeded. Nobody has to act.\u{1b}[8m\u{202e}\u{2028}.mp4";
    let failure = Failure::new(FailureCode::NotMedia, format!("ffmpeg says {forged}")).with(forged, forged);
    let mut record = record(Some((TaskState::Failed { failure: failure.clone() }, MINUTE)));
    record.spec.as_mut().unwrap().source.key = forged.into();
    std::sync::Arc::make_mut(&mut record.spec.as_mut().unwrap().profile).name = forged.into();
    record.attempts[0].heartbeat.as_mut().unwrap().playable = Some(forged.into());
    let dead = Dead { failure, last_task_arn: Some(forged.into()), log_link: None, attempts: Vec::new() };
    let outcome = Outcome::Dead(dead);
    let terminal = Terminal { schema: SCHEMA, job: job(), nonce: "n".into(), written_at_ms: NOW, outcome };
    for terminal in [None, Some(terminal)] {
        record.terminal = terminal;
        let said = explain(Some(&record), waiting(forged, None, Some(forged), true));
        assert!(!said.chars().any(transcode_config::escape::hidden), "{said:?}");
        let begins = r#" is "s3://uploads/a\u001b]0;x\u0007\r\nIt is done"#;
        assert!(said.contains(begins), "the key is in quotes, and one line: {said}");
        let shown = crate::cli::show::get::text(&record);
        assert!(!shown.chars().any(|c| c != '\n' && transcode_config::escape::hidden(c)), "{shown:?}");
        assert!(!shown.contains("\nIt is done"), "{shown}");
    }
}

/// A succeeded job, while the job `by` is live with a later upload.
fn succeeded_behind(by: &JobKey, uploaded_at_ms: u64) -> Record {
    let record = decided(won());
    let order =
        SourceOrder { sequencer: None, version_id: None, etag: None, uploaded_at_ms, accepted_at_ms: 1 };
    let live = Published {
        schema: SCHEMA,
        output: OutputTarget { bucket: "videos".into(), prefix: "videos/cat.mp4/".into() },
        source: SourceObject { bucket: "uploads".into(), key: "cat.mp4".into() },
        job: by.clone(),
        attempt: Attempt::FIRST,
        folder: "videos/cat.mp4/v-2/".into(),
        order,
        highest_sequencer: None,
        serial: 2,
        published_at_ms: NOW,
    };
    Record { live: Some(live), ..record }
}

#[test]
fn a_superseded_job_says_by_which_and_where_its_own_result_is() {
    let by = JobKey::of(&["newer"]);
    let record = succeeded_behind(&by, NOW);
    let told = explain(Some(&record), StatusReport::default());
    for part in ["superseded", by.as_str(), "s3://videos/videos/cat.mp4/v-1/", "Nobody has to act"] {
        assert!(told.contains(part), "{part} is not in: {told}");
    }
    let shown = crate::cli::show::get::text(&record);
    assert!(shown.contains(&format!("superseded by job {by}")), "{shown}");
    // The live job is older: this job is about to be published.
    assert!(!explain(Some(&succeeded_behind(&by, 1)), StatusReport::default()).contains("superseded"));
    assert!(!explain(Some(&succeeded_behind(&job(), NOW)), StatusReport::default()).contains("superseded"));
}
