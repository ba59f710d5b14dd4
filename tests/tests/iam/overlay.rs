//! Images over uploads, from a bucket of their own; and the template with the options of this test.

use std::process::Command;

use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use transcode_config::contract::{FailureCode, JobKey, Outcome};
use transcode_tests::{Stack, paths};

use super::{BUS, LIMIT, command};

/// The template with a bus, and with overlays from `marks/` of this bucket.
pub(super) fn with_options(bucket: &str) -> String {
    let mut text = std::fs::read_to_string(paths::checkout().join("deploy/template.yaml")).unwrap();
    let parameter =
        |name: &str, default: &str| format!("  {name}:\n    Type: String\n    Default: {default}\n");
    for (name, default, value) in [
        ("OverlayBucketName", "\"\"", bucket),
        ("OverlayPrefix", "overlays/", "marks/"),
        ("EventBusName", "\"\"", BUS),
    ] {
        let next = text.replace(&parameter(name, default), &parameter(name, value));
        assert_ne!(next, text, "{name}");
        text = next;
    }
    text
}

/// An image over an upload, from a bucket that keeps versions; and a missing image, which is no matter of permissions.
pub(super) async fn a_job_with_an_overlay(stack: &Stack, bucket: &str) {
    let (roles, s3) = (&stack.deployment.roles, &stack.clients().s3);
    s3.create_bucket().bucket(bucket).send().await.unwrap();
    let versions = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    s3.put_bucket_versioning().bucket(bucket).versioning_configuration(versions).send().await.unwrap();
    let mark = stack.folder().join("mark.png");
    let args = "-v error -nostdin -f lavfi -i color=red:s=80x40 -frames:v 1 -update 1 -y";
    assert!(Command::new("ffmpeg").args(args.split(' ')).arg(&mark).status().unwrap().success());
    let body = std::fs::read(&mark).unwrap().into();
    s3.put_object().bucket(bucket).key("marks/a.png").body(body).send().await.unwrap();
    for (key, wanted) in [("a.png", None), ("gone.png", Some(FailureCode::OverlayMissing))] {
        let address = format!("s3://{bucket}/marks/{key}");
        let args = ["submit", "--key", "good.mp4", "--overlay", &address];
        let job: JobKey = command(stack, &roles.operator, &args).await.parse().unwrap();
        let decided = stack.wait_for(key, LIMIT, async || stack.record(&job).await).await.unwrap();
        let code = match decided.outcome {
            Outcome::Dead(dead) => Some(dead.failure.code),
            Outcome::Succeeded(_) | Outcome::Superseded(_) | Outcome::Cancelled(_) => None,
        };
        assert_eq!(code, wanted, "{key}");
    }
    stack.wait_for_empty_queue(LIMIT).await.unwrap();
}
