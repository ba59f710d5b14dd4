//! The task's image, in the emulator's ECR; other answers come from a server with prepared answers.

use aws_sdk_ecr::types::{EncryptionConfiguration, EncryptionType};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use transcode_config::settings::{OtherRegistries, Severity};
use transcode_controller::aws::{
    Images,
    ecr::{ImageCheck, Named},
    image::Unfit,
};
use transcode_core::protocol::fact::ErrorClass;
use transcode_tests::images::{self, Image};

use crate::{
    stub::{Answer, Stub},
    support::{Account, clients, settings, world},
};

const HOST: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com";

/// An emulator with the repository `task`.
async fn registry() -> Account {
    let world = world().await;
    let encryption =
        EncryptionConfiguration::builder().encryption_type(EncryptionType::Aes256).build().unwrap();
    let repository = world.emulator.clients.ecr.create_repository().repository_name("task");
    repository.encryption_configuration(encryption).send().await.unwrap();
    world
}

async fn push(world: &Account, tag: &str, architecture: &str, contract: Option<&str>) -> String {
    let image = Image { architecture: architecture.into(), contract: contract.map(str::to_owned) };
    images::push(&world.emulator, "task", tag, &image).await.unwrap()
}

fn named<'a>(image: &'a str, architecture: &'static str) -> Named<'a> {
    Named { task_definition: "arn:td:1", image, architecture }
}

async fn check(images: &Images, image: &str, architecture: &'static str) -> ImageCheck {
    images.check(named(&format!("{HOST}/{image}"), architecture)).await.unwrap()
}

#[tokio::test]
async fn an_image_that_fits_is_pinned_by_digest_and_one_that_does_not_is_refused() {
    let world = registry().await;
    let good = push(&world, "good", "amd64", Some("1")).await;
    let arm = push(&world, "arm", "arm64", Some("1")).await;
    push(&world, "next", "amd64", Some("2")).await;
    push(&world, "other", "amd64", None).await;
    let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
        {"digest": good, "platform": {"os": "linux", "architecture": "amd64"}},
        {"digest": arm, "platform": {"os": "linux", "architecture": "arm64"}}]});
    let put = world.emulator.clients.ecr.put_image().repository_name("task").image_tag("both");
    let put = put.image_manifest(index.to_string()).send().await.unwrap();
    let both = put.image.unwrap().image_id.unwrap().image_digest.unwrap();

    let fresh = || Images::new(world.clients.ecr.clone(), &world.settings);
    let platform =
        |wanted: &str, found: &str| Unfit::OtherPlatform { wanted: wanted.into(), found: found.into() };
    let absent = |what: &str| Err(Unfit::Absent(what.into()));
    for (image, architecture, expected) in [
        ("task:good", "amd64", Ok(Some(good.clone()))),
        (&format!("task@{good}"), "amd64", Ok(Some(good.clone()))),
        ("task:both", "amd64", Ok(Some(both.clone()))),
        ("task:both", "arm64", Ok(Some(both))),
        ("task:good", "arm64", Err(platform("linux/arm64", "linux/amd64"))),
        ("task:next", "amd64", Err(Unfit::OtherContract("2".into()))),
        ("task:other", "amd64", Err(Unfit::NoContract)),
        ("task:none", "amd64", absent("task:none")),
        ("elsewhere:good", "amd64", absent("elsewhere:good")),
    ] {
        assert_eq!(check(&fresh(), image, architecture).await, expected, "{image} {architecture}");
    }
}

#[tokio::test]
async fn a_tag_must_not_come_to_mean_another_image_under_one_revision() {
    let world = registry().await;
    let mut settings = world.settings.clone();
    // Nothing is believed for longer than a moment.
    settings.image.recheck_seconds = 0;
    let (strict, mut lax) = (Images::new(world.clients.ecr.clone(), &settings), settings.clone());
    lax.image.allow_moved_tags = true;
    let lax = Images::new(world.clients.ecr.clone(), &lax);
    let was = push(&world, "v1", "amd64", Some("1")).await;
    for images in [&strict, &lax] {
        assert_eq!(check(images, "task:v1", "amd64").await, Ok(Some(was.clone())));
    }
    images::remove(&world.emulator, "task", "v1").await.unwrap();
    let index = json!({"manifests": [{"digest": was, "platform": {"os": "linux", "architecture": "amd64"}}]});
    images::push(&world.emulator, "task", "keep", &Image::default()).await.unwrap();
    let put = world.emulator.clients.ecr.put_image().repository_name("task").image_tag("v1");
    let put = put.image_manifest(index.to_string()).send().await.unwrap();
    let now = put.image.unwrap().image_id.unwrap().image_digest.unwrap();
    let moved = Unfit::Moved { tag: "v1".into(), was, now: now.clone() };
    assert_eq!(check(&strict, "task:v1", "amd64").await, Err(moved));
    assert_eq!(check(&lax, "task:v1", "amd64").await, Ok(Some(now.clone())));
    let next = Named { task_definition: "arn:td:2", ..named("", "amd64") };
    let image = format!("{HOST}/task:v1");
    let verdict = strict.check(Named { image: &image, ..next }).await.unwrap();
    assert_eq!(verdict, Ok(Some(now)), "a new revision may mean it");
}

#[tokio::test]
async fn what_is_not_in_ecr_is_skipped_or_refused_as_the_settings_say() {
    let stub = Stub::start([Stub::error(500, "x", "never asked")]).await;
    let images = |change: fn(&mut transcode_config::Settings)| {
        let mut settings = settings();
        change(&mut settings);
        Images::new(clients(&stub.endpoint, &settings).ecr, &settings)
    };
    let by = |images: Images, image: &'static str| async move {
        images.check(named(image, "amd64")).await.unwrap()
    };
    assert_eq!(by(images(|_| {}), "docker.io/x/task:1").await, Ok(None));
    assert_eq!(
        by(images(|all| all.image.check = false), "123456789012.dkr.ecr.us-east-1.amazonaws.com/x:1").await,
        Ok(None)
    );
    let refuse = images(|all| all.image.other_registries = OtherRegistries::Refuse);
    assert_eq!(by(refuse, "docker.io/x/task:1").await, Err(Unfit::OtherRegistry("docker.io".into())));
    let digest = images(|all| all.image.require_digest = true);
    assert_eq!(by(digest, "docker.io/x/task:1").await, Err(Unfit::ByTag("x/task:1".into())));
    assert_eq!(by(images(|_| {}), "no image").await, Err(Unfit::NotAReference("no image".into())));
    assert!(stub.sent().is_empty());
}

fn sha(text: &str) -> String {
    Sha256::digest(text).iter().fold("sha256:".to_owned(), |hex, byte| format!("{hex}{byte:02x}"))
}

/// The answers for one check of an image with the configuration `config` and the scan result `scan`.
async fn answers(config: &str, claimed: &str, scan: Answer) -> Stub {
    let manifest = json!({"config": {"digest": sha(claimed)}}).to_string();
    let image = json!({"images": [{"imageId": {"imageDigest": sha("m")}, "imageManifest": manifest}], "failures": []});
    // Where the configuration lies: a server of its own, as on AWS.
    let layers = Stub::start([Answer::Say(200, config.to_owned())]).await;
    let layer = json!({"downloadUrl": format!("{}/layer?signature=secret", layers.endpoint)});
    Stub::start([Stub::json(&image), Stub::json(&layer), scan]).await
}

async fn look(
    stub: &Stub,
    severity: Severity,
    required: bool,
) -> Result<ImageCheck, transcode_core::protocol::fact::CallError> {
    let mut settings = settings();
    (settings.image.refuse_findings, settings.image.require_scan) = (severity, required);
    let images = Images::new(clients(&stub.endpoint, &settings).ecr, &settings);
    images.check(named("123456789012.dkr.ecr.us-east-1.amazonaws.com/task:1", "amd64")).await
}

#[tokio::test]
async fn findings_of_the_scan_refuse_an_image_and_a_missing_scan_only_where_one_is_required() {
    let config = json!({"os": "linux", "architecture": "amd64",
        "config": {"Labels": {"org.transcode-operator.contract": "1"}}})
    .to_string();
    let complete = |counts: Value| {
        Stub::json(
            &json!({"imageScanStatus": {"status": "COMPLETE"}, "imageScanFindings": {"findingSeverityCounts": counts}}),
        )
    };
    let fits = Ok(Some(sha("m")));
    for (scan, severity, required, expected) in [
        (complete(json!({"HIGH": 2, "LOW": 7})), Severity::Critical, true, fits.clone()),
        (
            complete(json!({"HIGH": 2, "LOW": 7})),
            Severity::High,
            false,
            Err(Unfit::Findings("2 HIGH".into())),
        ),
        (
            complete(json!({"CRITICAL": 1})),
            Severity::Critical,
            false,
            Err(Unfit::Findings("1 CRITICAL".into())),
        ),
        (Stub::error(400, "ScanNotFoundException", "none"), Severity::Critical, false, fits.clone()),
        (
            Stub::error(400, "ScanNotFoundException", "none"),
            Severity::Critical,
            true,
            Err(Unfit::NotScanned("no scan".into())),
        ),
        (
            Stub::json(&json!({"imageScanStatus": {"status": "UNSUPPORTED_IMAGE"}})),
            Severity::High,
            true,
            Err(Unfit::NotScanned("UNSUPPORTED_IMAGE".into())),
        ),
    ] {
        let stub = answers(&config, &config, scan.clone()).await;
        assert_eq!(look(&stub, severity, required).await.unwrap(), expected, "{scan:?}");
    }
    let stub = answers(&config, &config, complete(json!({"CRITICAL": 1}))).await;
    assert_eq!(look(&stub, Severity::Off, false).await.unwrap(), fits);
    assert_eq!(stub.sent().len(), 2, "with findings off, none are asked for");
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_and_no_verdict_and_names_no_signed_address() {
    let scan = || Stub::error(400, "AccessDeniedException", "not yours");
    let config = json!({"os": "linux", "architecture": "amd64",
        "config": {"Labels": {"org.transcode-operator.contract": "1"}}})
    .to_string();
    let stub = answers(&config, &config, scan()).await;
    let error = look(&stub, Severity::Critical, false).await.unwrap_err();
    assert_eq!((error.operation, error.class), ("ecr:DescribeImageScanFindings", ErrorClass::Misconfigured));

    let forged = answers(&config, "another", scan()).await;
    let verdict = look(&forged, Severity::Critical, false).await.unwrap();
    assert!(
        matches!(&verdict, Err(Unfit::Unreadable(why)) if why.contains("is not what sha256:")),
        "{verdict:?}"
    );

    let manifest = json!({"config": {"digest": sha("c")}}).to_string();
    let image = json!({"images": [{"imageId": {"imageDigest": sha("m")}, "imageManifest": manifest}], "failures": []});
    let layer = json!({"downloadUrl": "http://127.0.0.1:9/layer?signature=secret"});
    let mut layers = vec![layer];
    // Refused, cut off, too long: the address is in none of their errors either.
    for answer in [Answer::Say(403, "expired".into()), Answer::Trickle, Answer::Say(200, "x".repeat(9 << 20))]
    {
        let at = Stub::start([answer]).await.endpoint;
        layers.push(json!({"downloadUrl": format!("{at}/layer?signature=secret")}));
    }
    for layer in layers {
        let away = Stub::start([Stub::json(&image), Stub::json(&layer)]).await;
        let error = look(&away, Severity::Critical, false).await.unwrap_err();
        assert_eq!((error.operation, error.class), ("ecr:GetDownloadUrlForLayer", ErrorClass::Transient));
        let said = format!("{error} {error:?}");
        assert!(!said.contains("secret") && said.contains("download"), "{said}");
    }
}

#[tokio::test]
async fn a_good_reading_holds_for_its_time_and_a_bad_one_is_made_again() {
    let world = registry().await;
    let images = Images::new(world.clients.ecr.clone(), &world.settings);
    assert_eq!(check(&images, "task:v1", "amd64").await, Err(Unfit::Absent("task:v1".into())));
    let digest = push(&world, "v1", "amd64", Some("1")).await;
    assert_eq!(check(&images, "task:v1", "amd64").await, Ok(Some(digest.clone())));
    images::remove(&world.emulator, "task", "v1").await.unwrap();
    assert_eq!(check(&images, "task:v1", "amd64").await, Ok(Some(digest)), "read five minutes ago at most");
}
