//! The source: each refusal by its code, and downloads that break.

use aws_sdk_s3::primitives::ByteStream;
use transcode_config::contract::{Failure, FailureCode, TaskState};
use transcode_tests::s3_faults::Fault;

use crate::{
    fixture::{Fixture, NEVER},
    publish::{assert_published, succeeded},
};

/// Runs the job, which must fail with this code and its exit code, and leave nothing.
async fn assert_refused(fixture: &Fixture, code: FailureCode) -> Failure {
    let attempt = fixture.launch(1, NEVER).await;
    let mut task = fixture.task(attempt);
    assert_eq!(task.exit().await, Some(code.info().exit.code().into()), "{}", task.log());
    let state = fixture.heartbeat(attempt).await.unwrap().state;
    let TaskState::Failed { failure } = state else { panic!("{state:?}") };
    assert_eq!(failure.code, code, "{failure:?}");
    // A task never decides that a job is dead.
    assert_eq!(fixture.terminal().await, None);
    assert!(fixture.published().await.is_empty());
    assert!(task.leftovers().is_empty());
    failure
}

#[tokio::test]
async fn an_empty_object() {
    assert_refused(&Fixture::with_source("empty", vec![]).await, FailureCode::Empty).await;
}

#[tokio::test]
async fn a_text_in_a_videos_name() {
    let fixture = Fixture::with_source("text", b"not a video at all\n".repeat(1000)).await;
    assert_refused(&fixture, FailureCode::NotMedia).await;
}

#[tokio::test]
async fn a_source_that_is_gone() {
    let fixture = Fixture::new("gone").await;
    let source = &fixture.spec.source;
    fixture.clients.s3.delete_object().bucket(&source.bucket).key(&source.key).send().await.unwrap();
    assert_refused(&fixture, FailureCode::SourceMissing).await;
}

#[tokio::test]
async fn a_source_that_was_replaced_before_or_while_it_is_read() {
    let fixture = Fixture::new("replaced").await;
    let source = &fixture.spec.source;
    let put = fixture.clients.s3.put_object().bucket(&source.bucket).key(&source.key);
    // Of the same size: only the entity tag tells them apart.
    let other = vec![7; usize::try_from(source.size.unwrap()).unwrap()];
    put.body(ByteStream::from(other)).send().await.unwrap();
    assert_refused(&fixture, FailureCode::SourceChanged).await;

    let fixture = Fixture::new("replacing").await;
    fixture.proxy.fault("GET", "/source-replacing", 1, Fault::Answer(412, "PreconditionFailed"));
    assert_refused(&fixture, FailureCode::SourceChanged).await;
}

#[tokio::test]
async fn a_source_in_an_archive() {
    let fixture = Fixture::new("archived").await;
    fixture.proxy.fault("GET", "/source-archived", 1, Fault::Answer(403, "InvalidObjectState"));
    assert_refused(&fixture, FailureCode::SourceArchived).await;

    // S3 says so before anything is read, too.
    let fixture = Fixture::new("glacier").await;
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 1055736\r\nx-amz-storage-class: GLACIER\r\nconnection: close\r\n\r\n";
    fixture.proxy.fault("HEAD", "/source-glacier", 1, Fault::Raw(head));
    assert_refused(&fixture, FailureCode::SourceArchived).await;
}

#[tokio::test]
async fn a_source_that_may_not_be_read() {
    let fixture = Fixture::new("denied").await;
    fixture.proxy.fault("HEAD", "/source-denied", 100, Fault::Answer(403, "AccessDenied"));
    assert_refused(&fixture, FailureCode::SourceDenied).await;
}

#[tokio::test]
async fn a_source_that_is_too_large_for_the_settings_or_the_disk() {
    let mut fixture = Fixture::new("large").await;
    fixture.spec.max_source_bytes = 1000;
    let failure = assert_refused(&fixture, FailureCode::SourceTooLarge).await;
    assert_eq!(failure.evidence["max_source_bytes"], "1000");

    let mut fixture = Fixture::new("disk").await;
    (fixture.spec.max_source_bytes, fixture.spec.source.size) = (u64::MAX, None);
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 9000000000000000\r\nconnection: close\r\n\r\n";
    fixture.proxy.fault("HEAD", "/source-disk", 1, Fault::Raw(head));
    let failure = assert_refused(&fixture, FailureCode::DiskFull).await;
    assert!(failure.evidence.contains_key("free_bytes"), "not asked first: {failure:?}");
}

#[tokio::test]
async fn a_download_that_breaks_off_is_resumed_where_it_broke() {
    let fixture = Fixture::new("broken").await;
    let attempt = fixture.launch(1, NEVER).await;
    fixture.proxy.fault("GET", "/source-broken", 1, Fault::Truncate(600_000));
    let mut task = fixture.task(attempt);
    assert_eq!(task.exit().await, Some(0), "{}", task.log());
    let requests = fixture.proxy.requests();
    assert!(requests.iter().any(|line| line.contains("bytes=600000-")), "{requests:?}");
    assert_published(&fixture, &succeeded(&fixture).await).await;
}

#[tokio::test]
async fn a_brown_out_is_ridden_out() {
    let fixture = Fixture::new("brownout").await;
    let attempt = fixture.launch(1, NEVER).await;
    fixture.proxy.fault("GET", "/source-brownout", 2, Fault::Answer(500, "InternalError"));
    fixture.proxy.fault("HEAD", "/source-brownout", 1, Fault::Answer(503, "SlowDown"));
    fixture.proxy.fault("PUT", "/outputs-brownout", 4, Fault::Answer(503, "SlowDown"));
    fixture.proxy.fault("PUT", "heartbeat", 2, Fault::Answer(500, "InternalError"));
    let mut task = fixture.task(attempt);
    assert_eq!(task.exit().await, Some(0), "{}", task.log());
    assert_published(&fixture, &succeeded(&fixture).await).await;
}

#[tokio::test]
async fn bytes_that_are_not_what_s3_has_are_noticed() {
    let fixture = Fixture::new("checksum").await;
    // The checksum that S3 has for the object is not that of the bytes that arrive.
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 1055736\r\nx-amz-checksum-crc32: AAAAAA==\r\nx-amz-checksum-type: FULL_OBJECT\r\nconnection: close\r\n\r\n";
    fixture.proxy.fault("HEAD", "/source-checksum", 1, Fault::Raw(head));
    let failure = assert_refused(&fixture, FailureCode::StoreUnavailable).await;
    assert_eq!(failure.evidence["algorithm"], "crc32");
}
