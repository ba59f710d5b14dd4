//! Bodies as AWS and people send them, and bodies that are broken.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use transcode_config::{
    contract::{
        Attempt, Budget, Dead, Failure, FailureCode, JobKey, JobSpec, PastAttempt, SCHEMA, SPEC_WITH_EDIT,
        decode,
    },
    ladder::Profile,
    settings::{OverlaySettings, SourceSettings},
};

use super::*;
use crate::protocol::{
    action::{DeadLetter, LeaseRef},
    fact::MessageId,
};

mod language;
mod order;
mod words;

fn profile(name: &str) -> Profile {
    serde_json::from_value(json!({
        "name": name, "codec": "h264", "crf": 21, "preset": "medium", "gop_seconds": 2, "segment_gops": 3,
        "rung": [], "audio": {"bps": 128_000}, "max_duration_seconds": 3600,
    }))
    .unwrap()
}

fn source(bucket: &str, prefix: &str, profile: Option<&str>) -> SourceSettings {
    let (bucket, prefix, profile) = (bucket.into(), prefix.into(), profile.map(str::to_owned));
    SourceSettings { bucket, prefix, profile, ..SourceSettings::default() }
}

fn rules() -> Rules {
    Rules {
        sources: vec![
            source("uploads", "", None),
            SourceSettings {
                overlays: vec![OverlaySettings { bucket: "brand".into(), prefix: "marks/".into() }],
                ..source("uploads", "films/", Some("film"))
            },
            source("strange", "", Some("absent")),
            SourceSettings { suffixes: vec![".mp4".into(), ".mov".into()], ..source("mixed", "", None) },
        ],
        profiles: ["standard", "film"]
            .into_iter()
            .map(|name| (name.into(), Arc::new(profile(name))))
            .collect(),
        default_profile: "standard".into(),
        output_bucket: "videos".into(),
        output_root: "v/".into(),
        max_run_seconds: 14_400,
        max_source_bytes: 1 << 34,
    }
}

fn record(key: &str, size: u64) -> Value {
    json!({
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-west-1",
        "eventTime": "2026-05-01T12:00:00.000Z", "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "AWS:AIDAEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "192.0.2.3"},
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810", "x-amz-id-2": "FMyUVURIY8"},
        "s3": {
            "s3SchemaVersion": "1.0", "configurationId": "uploads",
            "bucket": {"name": "uploads", "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
                       "arn": "arn:aws:s3:::uploads"},
            "object": {"key": key, "size": size, "eTag": "d41d8cd98f00b204e9800998ecf8427e",
                       "versionId": "096fKKXTRTtl3on89fVO.nfljtsv6qko", "sequencer": "0055AED6DCD90281E5"}
        }
    })
}

fn event(records: &[Value]) -> String {
    json!({ "Records": records }).to_string()
}

fn bridge(key: &str) -> String {
    json!({
        "version": "0", "id": "17793124-05d4-b198-2fde-7ededc63b103", "detail-type": "Object Created",
        "source": "aws.s3", "account": "111122223333", "time": "2026-05-01T12:00:00Z", "region": "eu-west-1",
        "resources": ["arn:aws:s3:::uploads"],
        "detail": {
            "version": "0", "bucket": {"name": "uploads"},
            "object": {"key": key, "size": 5, "etag": "d41d8cd98f00b204e9800998ecf8427e",
                       "version-id": "096fKKXTRTtl3on89fVO.nfljtsv6qko", "sequencer": "0055AED6DCD90281E5"},
            "request-id": "N4N7GDK58NMKJ12R", "requester": "123456789012", "source-ip-address": "1.2.3.4",
            "reason": "PutObject"
        }
    })
    .to_string()
}

fn sns(message: &str) -> String {
    json!({
        "Type": "Notification", "MessageId": "95df01b4-ee98-5cb9-9903-4c221d41eb5e",
        "TopicArn": "arn:aws:sns:eu-west-1:123456789012:uploads", "Subject": "Amazon S3 Notification",
        "Message": message, "Timestamp": "2026-05-01T12:00:00.000Z", "SignatureVersion": "1",
        "Signature": "EXAMPLE", "SigningCertURL": "https://sns/x.pem", "UnsubscribeURL": "https://sns/u"
    })
    .to_string()
}

fn requests(body: &str) -> Vec<Request> {
    match parse(body, &rules(), 7) {
        Parsed::Jobs(requests, _) => requests,
        other => panic!("{other:?}"),
    }
}

fn run(body: &str) -> Arc<JobSpec> {
    match requests(body).remove(0) {
        Request::Run(spec) => spec,
        refused @ Request::Refuse { .. } => panic!("{refused:?}"),
    }
}

fn refusal(body: &str) -> FailureCode {
    match requests(body).remove(0) {
        Request::Refuse { failure, .. } => failure.code,
        run @ Request::Run(_) => panic!("{run:?}"),
    }
}

#[test]
fn keys_of_direct_events_are_form_encoded() {
    for (encoded, key) in [
        ("cat.mp4", "cat.mp4"),
        ("my+cat+%281%29.mp4", "my cat (1).mp4"),
        ("1%2B1.mp4", "1+1.mp4"),
        ("100%25.mp4", "100%.mp4"),
        ("%D0%BA%D0%BE%D1%82/%E7%8C%AB.mp4", "кот/猫.mp4"),
        // Not an escape: kept unchanged.
        ("50%-off.mp4", "50%-off.mp4"),
    ] {
        let spec = run(&event(&[record(encoded, 5)]));
        assert_eq!(spec.source.key, key);
        assert_eq!(spec.output.prefix, format!("v/{key}/"));
        assert_eq!((spec.generation, spec.accepted_at_ms, spec.profile.name.as_str()), (0, 7, "standard"));
    }
    assert_eq!(refusal(&event(&[record("%FF%FE.mp4", 5)])), FailureCode::MalformedMessage);
}

#[test]
fn one_upload_is_one_job_however_it_is_announced() {
    let direct = event(&[record("a+b.mp4", 5)]);
    let key = run(&direct).job.clone();
    assert_eq!(run(&sns(&direct)).job, key);
    assert_eq!(run(&bridge("a b.mp4")).job, key);
    assert_eq!(run(&sns(&bridge("a b.mp4"))).job, key);
    assert_eq!(run(&bridge("a+b.mp4")).source.key, "a+b.mp4", "keys of EventBridge are not encoded");
    assert_eq!(requests(&event(&[record("a+b.mp4", 5), record("a+b.mp4", 5)])).len(), 1);
}

#[test]
fn without_versions_the_sequencer_tells_uploads_apart() {
    let with = |version: Value, sequencer: &str| {
        let mut record = record("cat.mp4", 5);
        record["s3"]["object"]["versionId"] = version;
        record["s3"]["object"]["sequencer"] = json!(sequencer);
        run(&event(&[record])).job.clone()
    };
    assert_eq!(with(json!("v1"), "01"), with(json!("v1"), "02"), "the version is enough");
    assert_ne!(with(json!("v1"), "01"), with(json!("v2"), "01"));
    assert_ne!(with(Value::Null, "01"), with(Value::Null, "02"), "the same bytes uploaded again");
    assert_eq!(with(json!("null"), "01"), with(Value::Null, "01"));
}

#[test]
fn each_record_is_judged_on_its_own() {
    let mut removed = record("gone.mp4", 5);
    removed["eventName"] = json!("ObjectRemoved:Delete");
    let mut broken = record("broken.mp4", 5);
    broken["s3"]["object"]["key"] = json!(17);
    let body =
        event(&[record("a.mp4", 5), removed.clone(), record("folder/", 0), broken, record("empty.mp4", 0)]);
    let codes: Vec<_> = requests(&body)
        .iter()
        .map(|request| match request {
            Request::Run(_) => None,
            Request::Refuse { failure, .. } => Some(failure.code),
        })
        .collect();
    assert_eq!(codes, [None, Some(FailureCode::MalformedMessage), Some(FailureCode::Empty)]);
    assert_eq!(ignored(&body), ["NotCreated", "FolderMarker"]);
}

/// The reasons why a message, or records in it, ask for nothing.
fn ignored(body: &str) -> Vec<&'static str> {
    let (Parsed::Ignore(records) | Parsed::Jobs(_, records)) = parse(body, &rules(), 7) else {
        return Vec::new();
    };
    records.iter().map(|record| record.reason.name()).collect()
}

#[test]
fn what_asks_for_nothing_is_ignored() {
    let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-05-01T12:00:00.000Z",
                      "Bucket": "uploads", "RequestId": "5582815E1AEA5ADF", "HostId": "8cLeGAmw098X"});
    let deleted = bridge("a").replace("Object Created", "Object Deleted");
    let mut removed = record("gone.mp4", 5);
    removed["eventName"] = json!("ObjectRemoved:DeleteMarkerCreated");
    let mixed = |key: &str| event(&[record(key, 5)]).replace("\"name\":\"uploads\"", "\"name\":\"mixed\"");
    for (body, reason) in [
        (test.to_string(), "TestEvent"),
        (sns(&test.to_string()), "TestEvent"),
        (deleted, "NotCreated"),
        (event(&[removed.clone()]), "NotCreated"),
        (event(&[record("d/", 0)]), "FolderMarker"),
        (event(&[record("x_%24folder%24", 0)]), "FolderMarker"),
        (mixed("notes.txt"), "OtherSuffix"),
        (mixed("mp4"), "OtherSuffix"),
    ] {
        assert!(matches!(parse(&body, &rules(), 7), Parsed::Ignore(_)), "{body}");
        assert_eq!(ignored(&body), [reason], "{body}");
    }
    let Parsed::Ignore(records) = parse(&event(&[removed]), &rules(), 7) else { panic!() };
    assert_eq!(records[0].event, "ObjectRemoved:DeleteMarkerCreated s3://uploads/gone.mp4");
    for taken in ["a.mp4", "b.MOV"] {
        assert_eq!(run(&mixed(taken)).source.key, taken);
    }
    let asked =
        json!({"schema": 1, "kind": "transcode.job", "source": {"bucket": "mixed", "key": "tape.bin"}});
    assert_eq!(run(&asked.to_string()).source.key, "tape.bin", "a request says what it wants");
    assert_eq!(run(&event(&[record("d/", 5)])).source.key, "d/", "an object with content is no marker");
}

#[test]
fn what_a_wrong_set_up_sends_is_a_letter_that_says_what_to_change() {
    let confirm = |kind: &str| sns("").replace("\"Type\":\"Notification\"", &format!("\"Type\":\"{kind}\""));
    let trail = bridge("a").replace("Object Created", "AWS API Call via CloudTrail");
    let copy = json!({"messageId": "m", "receiptHandle": "h", "body": event(&[record("a.mp4", 5)])});
    let from = |source: &str| {
        let mut record = record("a.mp4", 5);
        (record["eventSource"], record["eventVersion"]) = (json!(source), json!("1.08"));
        event(&[record])
    };
    for (body, says) in [
        (confirm("SubscriptionConfirmation"), "SubscribeURL"),
        (confirm("UnsubscribeConfirmation"), "no longer subscribed"),
        (trail.clone(), "detail-type `Object Created`"),
        (sns(&trail), "detail-type `Object Created`"),
        (bridge("a").replace("aws.s3", "aws.ec2"), "source aws.s3"),
        (copy.to_string(), "<$.body>"),
        (json!([copy]).to_string(), "<$.body>"),
        (
            json!({"Records": [{"messageId": "m", "body": "", "eventSource": "aws:sqs"}]}).to_string(),
            "<$.body>",
        ),
        (from("s3.amazonaws.com"), "CloudTrail"),
        (from("aws:dynamodb"), "another service"),
    ] {
        let [Request::Refuse { failure, .. }] = &requests(&body)[..] else { panic!("{body}") };
        assert_eq!(failure.code, FailureCode::UnusableEvent, "{body}");
        assert!(failure.message.contains(says), "{failure}");
    }
}

#[test]
fn a_byte_order_mark_means_nothing() {
    let direct = event(&[record("a.mp4", 5)]);
    assert_eq!(run(&format!("\u{feff}{direct}")).job, run(&direct).job);
}

#[test]
fn unknown_versions_are_parked() {
    let mut future = record("a.mp4", 5);
    future["eventVersion"] = json!("3.0");
    for body in [
        event(&[record("b.mp4", 5), future]),
        bridge("a").replacen("\"version\":\"0\"", "\"version\":\"1\"", 2),
        json!({"schema": 6, "kind": "transcode.job", "anything": []}).to_string(),
        json!({"schema": 9, "kind": "transcode.dead-letter"}).to_string(),
        json!({"schema": 1, "kind": "transcode.batch"}).to_string(),
    ] {
        assert!(matches!(parse(&body, &rules(), 7), Parsed::Park(_)), "{body}");
    }
}

#[test]
fn job_requests() {
    let body = |extra: Value| {
        let mut body = json!({"schema": 1, "kind": "transcode.job", "source": {"bucket": "uploads", "key": "a+b %41.mp4"}});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body.to_string()
    };
    let plain = run(&body(json!({})));
    assert_eq!(plain.source.key, "a+b %41.mp4", "keys of requests are not encoded");
    let film = run(&body(json!({"profile": "film"})));
    assert_eq!(film.profile.name, "film");
    assert_ne!(plain.job, film.job);
    let named = run(&body(json!({"profile": "film", "idempotency_key": "order-17"})));
    assert_eq!(named.job, run(&body(json!({"idempotency_key": "order-17"}))).job);
    for (extra, code) in [
        (json!({"profile": "absent"}), FailureCode::UnknownProfile),
        (json!({"profil": "film"}), FailureCode::MalformedMessage),
        (json!({"idempotency_key": ""}), FailureCode::MalformedMessage),
        (json!({"source": {"bucket": "elsewhere", "key": "a"}}), FailureCode::SourceNotAllowed),
        (json!({"source": {"bucket": "uploads", "key": ""}}), FailureCode::MalformedMessage),
        (json!({"source": {"bucket": "uploads"}}), FailureCode::MalformedMessage),
        (json!({"source": {"bucket": "strange", "key": "a"}}), FailureCode::UnknownProfile),
        (json!({"schema": "1"}), FailureCode::MalformedMessage),
    ] {
        assert_eq!(refusal(&body(extra.clone())), code, "{extra}");
    }
}

#[test]
fn requests_for_a_part_and_an_overlay() {
    let body = |extra: Value| {
        let mut body = json!({"schema": 2, "kind": "transcode.job", "source": {"bucket": "uploads", "key": "films/a.mp4"}});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body.to_string()
    };
    let plain = run(&body(json!({})));
    assert_eq!(plain.schema, SCHEMA, "what the version before can do is left to it");
    assert!(!serde_json::to_string(plain.as_ref()).unwrap().contains("edit"), "and looks as it always did");
    let clip = run(&body(json!({"clip": {"start_ms": 1500, "end_ms": 4000}})));
    let other = run(&body(json!({"clip": {"start_ms": 1501, "end_ms": 4000}})));
    let marked = run(&body(
        json!({"overlay": {"bucket": "brand", "key": "marks/a.png", "place": {"position": "center"}}}),
    ));
    let jobs = [&plain, &clip, &other, &marked];
    for (number, one) in jobs.iter().enumerate() {
        for two in jobs.iter().skip(number + 1) {
            assert_ne!(one.job, two.job);
            assert_ne!(one.output.prefix, two.output.prefix, "one would be published over the other");
        }
    }
    for edited in [&clip, &marked] {
        assert_eq!(edited.schema, SPEC_WITH_EDIT);
        assert!(edited.output.prefix.starts_with("v/films/a.mp4/~edit-"), "{}", edited.output.prefix);
        let bytes = serde_json::to_vec(edited.as_ref()).unwrap();
        assert_eq!(&decode::<JobSpec>(&bytes).unwrap(), edited.as_ref());
    }
    let overlay = |bucket, key| json!({"overlay": {"bucket": bucket, "key": key}});
    for (extra, code) in [
        (overlay("brand", "other/a.png"), FailureCode::OverlayNotAllowed),
        (overlay("uploads", "marks/a.png"), FailureCode::OverlayNotAllowed),
        (overlay("brand", ""), FailureCode::MalformedMessage),
        (json!({"clip": {"start_ms": 2, "end_ms": 1}}), FailureCode::MalformedMessage),
        (json!({"clip": {"start": 2}}), FailureCode::MalformedMessage),
        (json!({"schema": 1, "clip": {"start_ms": 2}}), FailureCode::MalformedMessage),
        (
            json!({"source": {"bucket": "uploads", "key": "a.mp4"}, "overlay": {"bucket": "brand", "key": "marks/a.png"}}),
            FailureCode::OverlayNotAllowed,
        ),
    ] {
        assert_eq!(refusal(&body(extra.clone())), code, "{extra}");
    }
}

#[test]
fn the_longest_prefix_gives_the_profile() {
    assert_eq!(run(&event(&[record("films/a.mp4", 5)])).profile.name, "film");
    assert_eq!(run(&event(&[record("films.mp4", 5)])).profile.name, "standard");
    assert_eq!(refusal(&event(&[record("a.mp4", (1 << 34) + 1)])), FailureCode::SourceTooLarge);
}

fn letter(body: &str, job: &JobKey, generation: u32) -> String {
    let dead = Dead {
        failure: Failure::new(FailureCode::EncodeFailed, "x"),
        last_task_arn: None,
        log_link: None,
        attempts: vec![],
    };
    let lease =
        LeaseRef { queue: "default".into(), message: MessageId("m-1".into()), receipt: String::new() };
    DeadLetterBody::of(&DeadLetter { lease, job: job.clone(), generation, body: body.into(), dead }).encode()
}

#[test]
fn a_redriven_dead_letter_is_the_next_generation_of_its_job_alone() {
    let original = event(&[record("a.mp4", 5), record("b.mp4", 5)]);
    let [_, Request::Run(second)] = &requests(&original)[..] else { panic!() };
    let first_letter = letter(&original, &second.job, 0);
    let again = requests(&first_letter);
    assert_eq!(again.len(), 1, "the other record's job is none of its business");
    let spec = run(&first_letter);
    assert_eq!((spec.source.key.as_str(), spec.generation), ("b.mp4", 1));
    assert_ne!(spec.job, second.job);
    // It dies again and comes back again: no letter within a letter.
    let second_letter = letter(&first_letter, &spec.job, 1);
    assert!(second_letter.len() < first_letter.len() + 10);
    assert_eq!(run(&second_letter).generation, 2);
}

#[test]
fn a_letter_never_outgrows_sqs() {
    let body = "\u{1}".repeat(1 << 20);
    let job = requests(&body).remove(0).job().clone();
    let letter = letter(&body, &job, 0);
    assert!(letter.len() < 1 << 20 && letter.len() > 1 << 19);
    assert_eq!(refusal(&letter), FailureCode::MalformedMessage, "a cut original is not run");

    let mut small: DeadLetterBody = serde_json::from_str(&letter).unwrap();
    let past = PastAttempt {
        attempt: Attempt::FIRST,
        budget: Budget::Platform,
        code: FailureCode::StartFailed,
        message: "m".repeat(500),
        task_arn: None,
    };
    small.dead.attempts = vec![past; 1000];
    let text = small.encode_within(SMALL_LETTER_BYTES);
    assert!(text.len() <= SMALL_LETTER_BYTES && text.len() > SMALL_LETTER_BYTES / 4, "{}", text.len());
    let small: DeadLetterBody = serde_json::from_str(&text).unwrap();
    assert!(small.original_cut && !small.dead.attempts.is_empty());
}

#[test]
fn what_cannot_be_read_is_one_refused_job() {
    let records: Vec<_> = (0..101).map(|n| record(&format!("{n}.mp4"), 5)).collect();
    for body in [
        String::new(),
        "{".into(),
        "null".into(),
        "[1]".into(),
        "{}".into(),
        "[".repeat(100_000),
        "{\"a\":".repeat(100_000),
        "x".repeat((1 << 20) + 1),
        "\u{0}\u{fffd}".into(),
        event(&records),
        event(&[]),
        json!({"Records": "no"}).to_string(),
        json!({"kind": "other", "schema": 1}).to_string(),
        json!({"kind": 3}).to_string(),
        json!({"Type": "Notification", "Message": {}}).to_string(),
        sns(&sns(&sns(&sns("{}")))),
    ] {
        let found = requests(&body);
        assert_eq!(found.len(), 1);
        assert_eq!(refusal(&body), FailureCode::MalformedMessage);
        assert_eq!(found, requests(&body), "the same body is the same job");
    }
    assert_ne!(requests("{").remove(0).job(), requests("{{").remove(0).job());
}

proptest! {
    #[test]
    fn a_letter_shows_nothing_hidden_and_loses_nothing(body in "[\\x00-\\xa0\u{ad}\u{200b}-\u{206f}\u{feff}\u{fffe}\u{ffff}\u{e0001}a-z]{0,80}") {
        let text = letter(&body, requests("{").remove(0).job(), 0);
        prop_assert!(!text.chars().any(transcode_config::escape::hidden), "{text:?}");
        let read: DeadLetterBody = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(read.original, body);
    }

    #[test]
    fn any_bytes_give_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = parse(&String::from_utf8_lossy(&bytes), &rules(), 7);
    }

    #[test]
    fn damaged_events_give_an_answer(
        which in 0..4_usize,
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..12),
    ) {
        let direct = event(&[record("a+b.mp4", 5), record("%E7%8C%AB.mp4", 6)]);
        let job = requests(&direct).remove(0).job().clone();
        let bodies = [direct.clone(), sns(&direct), bridge("a b.mp4"), letter(&direct, &job, 3)];
        let mut bytes = bodies[which].clone().into_bytes();
        for (at, byte, how) in edits {
            if bytes.is_empty() { break; }
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => { bytes.remove(at); }
                _ => bytes.insert(at, byte),
            }
        }
        if let Parsed::Jobs(requests, _) = parse(&String::from_utf8_lossy(&bytes), &rules(), 7) {
            prop_assert!(!requests.is_empty() && requests.len() <= 2);
        }
    }
}
