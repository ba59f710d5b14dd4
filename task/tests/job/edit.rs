//! A job that asks for a part of its source and a picture over it.

use aws_sdk_s3::primitives::ByteStream;
use transcode_config::contract::{Clip, ExitCode, FailureCode, Overlay, Placement, SPEC_WITH_EDIT};

use crate::{
    proxy::Fault,
    publish::{assert_published, succeeded},
    world::{NEVER, World},
};

/// A job whose overlay lies, or does not lie, in a bucket of its own.
async fn world(name: &str, picture: Option<Vec<u8>>) -> World {
    let mut world = World::new(name).await;
    let bucket = format!("brand-{name}");
    world.clients.s3.create_bucket().bucket(&bucket).send().await.unwrap();
    // A key that no program should ever see as an argument.
    let key = "marks/-i %d $(x) ../a.png".to_owned();
    if let Some(bytes) = picture {
        let put = world.clients.s3.put_object().bucket(&bucket).key(&key);
        put.body(ByteStream::from(bytes)).send().await.unwrap();
    }
    world.spec.schema = SPEC_WITH_EDIT;
    world.spec.edit.clip = Some(Clip { start_ms: 1000, end_ms: Some(2000) });
    world.spec.edit.overlay = Some(Overlay { bucket, key, version_id: None, place: Placement::default() });
    world
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
    let world = world("edit", Some(png())).await;
    let attempt = world.launch(1, NEVER).await;
    let mut task = world.task(attempt);
    assert_eq!(task.exit().await, Some(i32::from(ExitCode::Succeeded.code())), "{}", task.log());
    let result = succeeded(&world).await;
    assert_eq!(result.duration_ms, 1000);
    assert_published(&world, &result).await;
    assert!(task.log().contains("overlay downloaded"), "{}", task.log());
    assert!(task.leftovers().is_empty());
}

#[tokio::test]
async fn an_overlay_that_cannot_be_used_fails_the_attempt_by_name() {
    let large = vec![0; (8 << 20) + 1];
    for (name, picture, code) in [
        ("edit-missing", None, FailureCode::OverlayMissing),
        ("edit-empty", Some(Vec::new()), FailureCode::OverlayUnusable),
        ("edit-large", Some(large), FailureCode::OverlayUnusable),
        ("edit-text", Some(b"no picture".to_vec()), FailureCode::OverlayUnusable),
    ] {
        let world = world(name, picture).await;
        let attempt = world.launch(1, NEVER).await;
        let mut task = world.task(attempt);
        assert_eq!(task.exit().await, Some(i32::from(code.info().exit.code())), "{name}: {}", task.log());
        assert!(task.log().contains(code.info().name), "{name}: {}", task.log());
        assert!(world.register().await.is_none(), "{name}: a task decides only what succeeded");
    }
}

#[tokio::test]
async fn an_overlay_comes_as_the_source_does_resumed_and_checked() {
    let world = world("edit-broken", Some(png())).await;
    let attempt = world.launch(1, NEVER).await;
    world.proxy.fault("GET", "/brand-edit-broken", 1, Fault::Truncate(60));
    let mut task = world.task(attempt);
    assert_eq!(task.exit().await, Some(0), "{}", task.log());
    let requests = world.proxy.requests();
    let resumed = requests.iter().any(|line| line.contains("/brand-") && line.contains("bytes=60-"));
    assert!(resumed, "{requests:?}");

    let picture = png();
    let length = picture.len();
    let world = self::world("edit-checksum", Some(picture)).await;
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nx-amz-checksum-crc32: AAAAAA==\r\n\
         x-amz-checksum-type: FULL_OBJECT\r\nconnection: close\r\n\r\n"
    );
    world.proxy.fault("HEAD", "/brand-edit-checksum", 1, Fault::Raw(head.leak()));
    let attempt = world.launch(1, NEVER).await;
    let mut task = world.task(attempt);
    let code = FailureCode::StoreUnavailable.info();
    assert_eq!(task.exit().await, Some(i32::from(code.exit.code())), "{}", task.log());
    assert!(task.log().contains("overlay_key"), "says whose: {}", task.log());
}
