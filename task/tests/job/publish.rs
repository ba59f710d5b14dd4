//! What a success leaves: files, manifest, terminal record, heartbeat, metrics — and nothing else.

use serde_json::Value;
use sha2::{Digest, Sha256};
use transcode_config::contract::{Outcome, Succeeded, TaskState, UserMetadata};

use crate::fixture::{Fixture, NEVER, SECRET};

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// S3: every file of the manifest is there, with its size, checksum and type, and nothing else is in the bucket.
pub(crate) async fn assert_published(fixture: &Fixture, result: &Succeeded) {
    assert_eq!(result.bucket, fixture.outputs);
    let manifest = fixture.bytes(&fixture.outputs, &result.manifest.key).await.unwrap();
    assert_eq!(
        (manifest.len() as u64, hex(&manifest)),
        (result.manifest.size, result.manifest.sha256.clone())
    );
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let files = manifest["files"].as_array().unwrap();
    assert_eq!(files.len() as u64, result.files);
    let mut expected = vec![result.manifest.key.clone()];
    let mut bytes = 0;
    for file in files {
        let key = format!("{}{}", result.folder, file["path"].as_str().unwrap());
        let got = fixture.clients.s3.get_object().bucket(&fixture.outputs).key(&key).send().await.unwrap();
        assert_eq!(got.content_type(), file["content_type"].as_str(), "{key}");
        assert!(got.cache_control().is_some(), "{key}");
        let body = got.body.collect().await.unwrap().to_vec();
        assert_eq!(
            (Some(body.len() as u64), file["sha256"].as_str()),
            (file["size"].as_u64(), Some(&*hex(&body)))
        );
        bytes += body.len() as u64;
        expected.push(key);
    }
    assert_eq!(bytes, result.bytes);
    for entry in &result.entry_points {
        assert!(expected.contains(&entry.from.key), "{entry:?}");
        assert!(entry.to.starts_with(&fixture.spec.output.prefix), "{entry:?}");
    }
    expected.sort();
    let mut found = fixture.published().await;
    found.retain(|key| key.starts_with(&result.folder));
    found.sort();
    assert_eq!(found, expected);
}

/// What the terminal record says of a success.
pub(crate) async fn succeeded(fixture: &Fixture) -> Succeeded {
    match fixture.terminal().await.expect("there is no terminal record").outcome {
        Outcome::Succeeded(succeeded) => succeeded,
        Outcome::Superseded(superseded) => panic!("{superseded:?}"),
        Outcome::Cancelled(cancelled) => panic!("{cancelled:?}"),
        Outcome::Dead(dead) => panic!("{dead:?}"),
    }
}

#[tokio::test]
async fn a_success_is_whole_and_leaves_nothing_else() {
    let fixture = Fixture::new("success").await;
    let attempt = fixture.launch(1, NEVER).await;
    let mut task = fixture.task(attempt);
    assert_eq!(task.exit().await, Some(0), "{}", task.log());

    let result = succeeded(&fixture).await;
    assert_published(&fixture, &result).await;
    assert_eq!(result.attempt, attempt);
    assert_eq!(result.folder, format!("{}{}", fixture.spec.output.prefix, fixture.layout().folder(attempt)));
    let master = result.entry_points.iter().find(|entry| entry.to.ends_with("/master.m3u8")).unwrap();
    let master = fixture.bytes(&fixture.outputs, &master.from.key).await.unwrap();
    assert!(String::from_utf8(master).unwrap().contains(&fixture.layout().folder(attempt)));
    assert!((4_000..7_000).contains(&result.duration_ms), "{}", result.duration_ms);
    // S4: all of it is in the attempt's own folder. The stable names are the controller's to write.
    assert!(fixture.published().await.iter().all(|key| key.starts_with(&result.folder)));

    let last = fixture.heartbeat(attempt).await.unwrap();
    assert_eq!(last.state, TaskState::Finished);
    assert_words(&fixture, &result, &last.user_metadata).await;
    assert!(last.percent > 99.9, "{}", last.percent);
    assert!(task.leftovers().is_empty(), "{:?}", task.leftovers());
    assert_no_secret(&fixture, &task.log()).await;
    assert_order(&fixture.proxy.requests());
    assert_metrics(&fixture).await;
}

/// The object's `x-amz-meta-*` come back, as far as they fit.
async fn assert_words(fixture: &Fixture, result: &Succeeded, heartbeat: &UserMetadata) {
    let words = serde_json::json!({"user-id": "42"});
    assert_eq!(serde_json::to_value(heartbeat).unwrap(), words);
    assert_eq!(result.source.as_ref().map(|read| &read.user_metadata), Some(heartbeat));
    for key in [result.manifest.key.clone(), format!("{}entry/metadata.json", result.folder)] {
        let document = fixture.bytes(&fixture.outputs, &key).await.unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&document).unwrap()["user_metadata"], words, "{key}");
    }
    assert_eq!(result.warnings, Some(0));
}

/// S16, and that each line is an object with the job.
async fn assert_no_secret(fixture: &Fixture, log: &str) {
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        assert_eq!(line["span"]["job"].as_str(), Some(fixture.spec.job.as_str()), "{line}");
    }
    let listed = fixture.clients.s3.list_objects_v2().bucket(&fixture.state).send().await.unwrap();
    for key in listed.contents().iter().map(|object| object.key().unwrap()) {
        let text = String::from_utf8(fixture.bytes(&fixture.state, key).await.unwrap()).unwrap();
        assert!(!text.contains(SECRET) && !text.contains("X-Amz-"), "{key}");
    }
    assert!(!log.contains(SECRET) && !log.contains("X-Amz-"), "{log}");
}

/// The first heartbeat comes before any work; what refers to a file comes after it; the terminal record comes last of all.
fn assert_order(requests: &[String]) {
    let puts: Vec<_> = requests.iter().filter(|line| line.starts_with("PUT")).collect();
    let first = |what: &str| {
        requests.iter().position(|line| line.contains(what)).unwrap_or_else(|| panic!("no {what}"))
    };
    let last = |what: &str| {
        requests.iter().rposition(|line| line.starts_with("PUT") && line.contains(what)).unwrap()
    };
    assert!(first("heartbeat.json") < first("/source-"), "{requests:?}");
    assert!(last(".m4s") < first("index.m3u8").min(first("/entry/")), "{puts:?}");
    assert!(last("index.m3u8") < first("/entry/"), "{puts:?}");
    assert!(last("/entry/") < first("/files.json"), "{puts:?}");
    let terminal =
        requests.iter().position(|line| line.starts_with("PUT") && line.contains("terminal.json")).unwrap();
    assert!(last("/files.json") < terminal && last("/outputs-") < terminal, "{puts:?}");
}

async fn assert_metrics(fixture: &Fixture) {
    let listed = fixture.clients.cloudwatch.list_metrics().namespace(&fixture.state).send().await.unwrap();
    let names: Vec<_> = listed.metrics().iter().map(|metric| metric.metric_name().unwrap()).collect();
    for name in ["TaskSucceeded", "SourceBytes", "OutputBytes", "RealTimeFactor", "TaskSeconds"] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    for dimension in listed.metrics().iter().flat_map(aws_sdk_cloudwatch::types::Metric::dimensions) {
        assert_eq!(dimension.name(), Some("Environment"));
    }
}
