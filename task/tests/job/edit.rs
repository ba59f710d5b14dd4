//! A job that asks for a part of its source and an image over it.

use aws_sdk_s3::primitives::ByteStream;
use transcode_config::contract::{Clip, ExitCode, FailureCode, Overlay, Placement, SPEC_WITH_EDIT};
use transcode_tests::s3_faults::Fault;

use crate::{
    fixture::{Fixture, NEVER},
    publish::{assert_published, succeeded},
};

/// A job whose overlay lies, or does not lie, in a bucket of its own.
async fn fixture(name: &str, image: Option<Vec<u8>>) -> Fixture {
    let mut fixture = Fixture::new(name).await;
    let bucket = format!("brand-{name}");
    fixture.clients.s3.create_bucket().bucket(&bucket).send().await.unwrap();
    // A key that no program should ever see as an argument.
    let key = "marks/-i %d $(x) ../a.png".to_owned();
    if let Some(bytes) = image {
        let put = fixture.clients.s3.put_object().bucket(&bucket).key(&key);
        put.body(ByteStream::from(bytes)).send().await.unwrap();
    }
    fixture.spec.schema = SPEC_WITH_EDIT;
    fixture.spec.edit.clip = Some(Clip { start_ms: 1000, end_ms: Some(2000) });
    fixture.spec.edit.overlay = Some(Overlay { bucket, key, version_id: None, place: Placement::default() });
    fixture
}

fn png() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.png");
    let mut ffmpeg = std::process::Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-f", "lavfi", "-i", "color=red:s=64x64", "-frames:v", "1", "-update", "1"]);
    assert!(ffmpeg.arg(&file).status().unwrap().success());
    std::fs::read(file).unwrap()
}

#[tokio::test]
async fn the_part_that_was_asked_for_is_published_with_its_overlay() {
    let fixture = fixture("edit", Some(png())).await;
    let attempt = fixture.launch(1, NEVER).await;
    let mut task = fixture.task(attempt);
    assert_eq!(task.exit().await, Some(i32::from(ExitCode::Succeeded.code())), "{}", task.log());
    let result = succeeded(&fixture).await;
    assert_eq!(result.duration_ms, 1000);
    assert_published(&fixture, &result).await;
    assert!(task.log().contains("overlay downloaded"), "{}", task.log());
    assert!(task.leftovers().is_empty());
}

#[tokio::test]
async fn an_overlay_that_cannot_be_used_fails_the_attempt_by_name() {
    let large = vec![0; (8 << 20) + 1];
    for (name, image, code) in [
        ("edit-missing", None, FailureCode::OverlayMissing),
        ("edit-empty", Some(Vec::new()), FailureCode::OverlayUnusable),
        ("edit-large", Some(large), FailureCode::OverlayUnusable),
        ("edit-text", Some(b"no image".to_vec()), FailureCode::OverlayUnusable),
    ] {
        let fixture = fixture(name, image).await;
        let attempt = fixture.launch(1, NEVER).await;
        let mut task = fixture.task(attempt);
        assert_eq!(task.exit().await, Some(i32::from(code.info().exit.code())), "{name}: {}", task.log());
        assert!(task.log().contains(code.info().name), "{name}: {}", task.log());
        assert!(fixture.terminal().await.is_none(), "{name}: a task decides only what succeeded");
    }
}

#[tokio::test]
async fn an_overlay_comes_as_the_source_does_resumed_and_checked() {
    let fixture = fixture("edit-broken", Some(png())).await;
    let attempt = fixture.launch(1, NEVER).await;
    fixture.proxy.fault("GET", "/brand-edit-broken", 1, Fault::Truncate(60));
    let mut task = fixture.task(attempt);
    assert_eq!(task.exit().await, Some(0), "{}", task.log());
    let requests = fixture.proxy.requests();
    let resumed = requests.iter().any(|line| line.contains("/brand-") && line.contains("bytes=60-"));
    assert!(resumed, "{requests:?}");

    let image = png();
    let length = image.len();
    let fixture = self::fixture("edit-checksum", Some(image)).await;
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nx-amz-checksum-crc32: AAAAAA==\r\n\
         x-amz-checksum-type: FULL_OBJECT\r\nconnection: close\r\n\r\n"
    );
    fixture.proxy.fault("HEAD", "/brand-edit-checksum", 1, Fault::Raw(head.leak()));
    let attempt = fixture.launch(1, NEVER).await;
    let mut task = fixture.task(attempt);
    let code = FailureCode::StoreUnavailable.info();
    assert_eq!(task.exit().await, Some(i32::from(code.exit.code())), "{}", task.log());
    assert!(task.log().contains("overlay_key"), "says whose: {}", task.log());
}
