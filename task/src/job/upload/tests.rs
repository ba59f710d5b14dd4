//! Multipart uploads on the emulator: whole, cut short, refused, forgotten by S3.

use std::{io::Write, time::Duration};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use transcode_tests::{
    clients,
    emulator::Emulator,
    s3_faults::{Fault, Proxy},
    wait,
};

use super::*;
use crate::aws::Clients;

const BUCKET: &str = "outputs";
const META: Meta = Meta { content_type: "video/mp4", cache_control: "no-store" };
const MIB: u64 = 1 << 20;

/// A file of 12 MiB and an uploader that cuts it into three parts.
struct Scene {
    emulator: Emulator,
    proxy: Proxy,
    folder: tempfile::TempDir,
    uploads: Uploads,
    stop: CancellationToken,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let emulator = Emulator::start(folder.path(), folder.path()).await.unwrap();
        emulator.clients.s3.create_bucket().bucket(BUCKET).send().await.unwrap();
        let proxy = Proxy::start(&emulator.endpoint).await.unwrap();
        let credentials = Credentials::new("a", "b", None, None, "test");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(clients::REGION))
            .endpoint_url(&proxy.endpoint)
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        let (objects, stop) = (Clients::of(&config, String::new()).objects, CancellationToken::new());
        let mut uploads = Uploads::new(objects, BUCKET.into(), "v-1/".into(), &stop);
        let target = Arc::get_mut(&mut uploads.target).unwrap();
        (target.one_call_bytes, target.part_bytes) = (8 * MIB, 5 * MIB);
        let mut file = std::fs::File::create(folder.path().join("large.mp4")).unwrap();
        for number in 0..12_u8 {
            file.write_all(&vec![number; 1 << 20]).unwrap();
        }
        Self { emulator, proxy, folder, uploads, stop }
    }

    fn begin(&mut self) {
        self.uploads.begin("large.mp4".into(), self.folder.path().join("large.mp4"), META);
    }

    /// Uploads that are open, and objects.
    async fn left(&self) -> (usize, usize) {
        let s3 = &self.emulator.clients.s3;
        let open = s3.list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
        let objects = s3.list_objects_v2().bucket(BUCKET).send().await.unwrap();
        (open.uploads().len(), objects.contents().len())
    }

    async fn assert_whole(&self) {
        assert_eq!(self.left().await, (0, 1));
        let get = self.emulator.clients.s3.get_object().bucket(BUCKET).key("v-1/large.mp4");
        let got = get.send().await.unwrap();
        assert_eq!((got.content_type(), got.cache_control()), (Some("video/mp4"), Some("no-store")));
        let digest = Digest::of(&got.body.collect().await.unwrap().to_vec());
        assert_eq!(self.uploads.stored()["large.mp4"].digest, digest);
    }
}

#[tokio::test]
async fn a_large_file_goes_up_in_parts() {
    let mut scene = Scene::new().await;
    scene.proxy.fault("PUT", "partNumber=2", 3, Fault::Answer(503, "SlowDown"));
    scene.begin();
    scene.uploads.finish().await.unwrap();
    scene.assert_whole().await;
    let parts = scene.proxy.requests().iter().filter(|line| line.contains("partNumber")).count();
    assert_eq!(parts, 3 + 3);
}

#[tokio::test]
async fn an_upload_that_is_not_known_any_more_is_begun_again() {
    let mut scene = Scene::new().await;
    scene.proxy.fault("PUT", "partNumber=3", 1, Fault::Answer(404, "NoSuchUpload"));
    scene.begin();
    scene.uploads.finish().await.unwrap();
    scene.assert_whole().await;
}

#[tokio::test]
async fn a_stop_in_the_middle_aborts_the_upload() {
    let mut scene = Scene::new().await;
    scene.proxy.fault("PUT", "partNumber=2", 1, Fault::BlackHole);
    scene.begin();
    let limit = Duration::from_mins(1);
    let waiting = async || Ok((scene.proxy.hits("partNumber=2") == 1).then_some(()));
    wait::until("the second part is on its way", limit, waiting).await.unwrap();
    assert_eq!(scene.left().await, (1, 0));
    scene.stop.cancel();
    scene.uploads.abandon().await;
    assert_eq!(scene.left().await, (0, 0));
}

#[tokio::test]
async fn a_refused_part_ends_the_upload_and_leaves_nothing() {
    let mut scene = Scene::new().await;
    scene.proxy.fault("PUT", "partNumber=2", 9, Fault::Answer(403, "AccessDenied"));
    scene.begin();
    assert_eq!(scene.uploads.next().await.unwrap_err().class, ErrorClass::Denied);
    assert_eq!(scene.left().await, (0, 0));
}

#[tokio::test]
async fn what_was_begun_is_removed() {
    let mut scene = Scene::new().await;
    scene.begin();
    for name in ["a.m4s", "b/c.m3u8"] {
        let file = scene.folder.path().join("small");
        std::fs::write(&file, name).unwrap();
        scene.uploads.begin(name.into(), file, META);
    }
    scene.uploads.finish().await.unwrap();
    assert_eq!(scene.left().await, (0, 3));
    let Scene { emulator, uploads, .. } = scene;
    uploads.remove().await;
    let objects = emulator.clients.s3.list_objects_v2().bucket(BUCKET).send().await.unwrap();
    assert!(objects.contents().is_empty());
}

/// `DeleteObjects` names its keys in XML, which has no way to write some characters.
#[tokio::test]
async fn what_was_uploaded_below_a_key_of_any_characters_is_deleted_again() {
    let scene = Scene::new().await;
    let keys =
        ["v-1/a b+c", "v-1/\u{1b}]0;x\u{7}", "v-1/line\nend\r", "v-1/\u{ffff}\u{202e}"].map(str::to_owned);
    for key in &keys {
        let put = scene.emulator.clients.s3.put_object().bucket(BUCKET).key(key);
        put.body(b"x".to_vec().into()).send().await.unwrap();
    }
    scene.uploads.target.objects.delete(BUCKET, &keys).await.unwrap();
    assert_eq!(scene.left().await, (0, 0));
    let asked = scene.proxy.requests();
    let alone = |line: &&String| line.starts_with("DELETE ");
    assert_eq!(asked.iter().filter(alone).count(), 2, "{asked:?}");
}

#[test]
fn no_output_leaves_the_folder() {
    for path in ["../x", "/x", "a/../../x", ""] {
        assert!(relative(Path::new(path)).is_err(), "{path}");
    }
    assert_eq!(relative(Path::new("h264/1.m4s")).unwrap(), "h264/1.m4s");
}
