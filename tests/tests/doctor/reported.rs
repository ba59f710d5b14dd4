//! What a controller reports, and what holds jobs up around it, each as `doctor` finds it in a live environment.

use aws_sdk_s3::types::{CorsConfiguration, CorsRule};
use transcode_config::contract::{BreakerStatus, ControlStatus, JobKey, JobState, JobStatus, QueueStatus};
use transcode_tests::clients::write_log;

use super::*;

/// Longer than a job may wait untold, and than a controller may be silent (ms).
const HOURS: u64 = 7_200_000;

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A job that waits since two hours.
fn queued() -> JobStatus {
    JobStatus {
        job: JobKey::of(&["queued"]),
        bucket: None,
        key: Some("films/queued.mp4".into()),
        profile: None,
        tenant: None,
        state: JobState::Queued,
        asked_at_ms: Some(now_ms() - HOURS),
        known_at_ms: now_ms() - HOURS,
        attempt: None,
        stage: None,
        percent: None,
        speed: None,
        heartbeat_at_ms: None,
        task_arn: None,
        why: Some("waiting for a free slot".into()),
        until_ms: None,
        step: None,
        refused: false,
    }
}

/// Reports that a controller wrote just now; the check that finds something in it, and words of its text.
fn reports() -> Vec<(StatusReport, &'static str, &'static str)> {
    let well = StatusReport::default;
    let breaker = BreakerStatus { why: "ten jobs after each other failed".into(), probe_at_ms: 0 };
    let control = ControlStatus { revision: 3, refused: Some("it is of schema 9".into()) };
    let waits = QueueStatus { visible: 12, ..QueueStatus::default() };
    let queues = [("default".to_owned(), waits)];
    let pause = Some(PauseStatus { why: "the state bucket cannot be written".into(), since_ms: 0 });
    vec![
        (StatusReport { ended: true, ..well() }, "controller.report", "and then ended"),
        (StatusReport { draining: true, ..well() }, "controller.pause", "draining"),
        (StatusReport { receiving_pause: pause, ..well() }, "controller.pause", "receives nothing"),
        (
            StatusReport { breaker: Some(breaker), ..well() },
            "controller.breaker",
            "ten jobs after each other",
        ),
        (StatusReport { control: Some(control), ..well() }, "controller.control", "it is of schema 9"),
        (StatusReport { queues: queues.into(), ..well() }, "controller.waiting", "12 messages"),
        (
            StatusReport { tasks_in_flight: 3, jobs: vec![queued()], ..well() },
            "controller.waiting",
            "job 120 min",
        ),
    ]
}

#[tokio::test]
async fn what_makes_jobs_stand_still_is_found_in_a_live_environment() {
    let options = StackOptions { without_controller: true, ..StackOptions::default() };
    let group = "/transcode/local/controller";
    let stack =
        Stack::with(options.setting("cluster.controller_log_group", &format!("{group:?}"))).await.unwrap();
    for code in QUOTAS {
        quota(&stack, code, 100).await;
    }
    let (clients, made) = (stack.clients(), &stack.deployment);
    let finds = async |found: &[&str], words: &str| {
        let said = look(&stack, &[]).await;
        assert_eq!(said.bad().into_keys().collect::<Vec<_>>(), found, "{words}: {:#?}", said.findings);
        let seen: String = found.iter().map(|check| said.seen(check)).collect();
        assert!(seen.contains(words), "{words}: {seen}");
    };
    finds(&["controller.report"], "no controller has ever reported").await;
    let silent = StatusReport { schema: SCHEMA, written_at_ms: now_ms() - HOURS, ..StatusReport::default() };
    let put = clients.s3.put_object().bucket(&made.state_bucket).key(status_key(&made.environment));
    put.body(encode(&silent).into()).send().await.unwrap();
    finds(&["controller.report"], " spoke 720").await;
    for (said, check, words) in reports() {
        report(&stack, &said).await;
        finds(&[check], words).await;
    }

    // What waits now is more than the report counted, and every task is taken; the bucket's own test event waits too.
    let full = StatusReport { tasks_in_flight: 10, ..StatusReport::default() };
    let some = QueueStatus { visible: 1, ..QueueStatus::default() };
    report(&stack, &StatusReport { queues: [("default".to_owned(), some)].into(), ..full }).await;
    finds(&[], "").await;
    for _ in 0..2 {
        let send = clients.sqs.send_message().queue_url(&made.jobs_queue).message_body("x");
        send.send().await.unwrap();
    }
    finds(&["controller.growing"], "1 messages waited").await;
    report(&stack, &StatusReport::default()).await;
    finds(&[], "").await;

    let line = json!({"level": "ERROR", "message": "action failed", "error": "ecs:RunTask: AccessDenied"});
    write_log(stack.endpoint(), group, "controller/controller/1", &[line], now_ms() - 60_000).await.unwrap();
    finds(&["controller.log"], "ecs:RunTask: AccessDenied").await;
    let get =
        CorsRule::builder().allowed_methods("GET").allowed_origins("https://example.com").build().unwrap();
    let rules = CorsConfiguration::builder().cors_rules(get).build().unwrap();
    clients.s3.put_bucket_cors().bucket(&made.source_bucket).cors_configuration(rules).send().await.unwrap();
    finds(&["buckets.cors", "controller.log"], "uploads are allowed from []").await;
    let set = clients.sqs.set_queue_attributes().queue_url(&made.dead_letter_queue);
    set.attributes(QueueAttributeName::MaximumMessageSize, "262144").send().await.unwrap();
    finds(&["buckets.cors", "controller.log", "queues.size"], "letters 262144").await;
}
