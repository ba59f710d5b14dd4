//! What a web team's service may do: with the uploader's role, or with the policy that it attaches to a role of its own.

use aws_sdk_s3::{error::ProvideErrorMetadata, types::CompletedMultipartUpload, types::CompletedPart};
use transcode_tests::{Stack, clients::Clients, iam::coverage, shell};

use super::{deployed, deployed_from, template};

/// What the uploader's role does besides handing out addresses.
pub(super) async fn an_uploader_goes_on(stack: &Stack) {
    let keys = stack.iam().unwrap().credentials(&stack.deployment.roles.uploader).unwrap();
    an_upload_in_parts(&Clients::with(stack.endpoint(), keys), &stack.deployment.source_bucket).await;
}

/// A file in parts: after an interruption the parts that are there are listed and the upload goes on. Another is given up.
async fn an_upload_in_parts(as_role: &Clients, bucket: &str) {
    let s3 = &as_role.s3;
    let begin = async |key: &str| {
        let open = s3.create_multipart_upload().bucket(bucket).key(key).send().await.unwrap();
        let id = open.upload_id.unwrap();
        let part = s3.upload_part().bucket(bucket).key(key).upload_id(&id).part_number(1);
        part.body(b"no video".to_vec().into()).send().await.unwrap();
        id
    };
    let (key, given_up) = ("in/parts.mp4", "in/given-up.mp4");
    let id = begin(key).await;
    let listed = s3.list_parts().bucket(bucket).key(key).upload_id(&id).send().await.unwrap();
    let parts = listed.parts().iter().map(|part| {
        CompletedPart::builder().set_part_number(part.part_number).set_e_tag(part.e_tag.clone()).build()
    });
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
    let whole = s3.complete_multipart_upload().bucket(bucket).key(key).upload_id(&id);
    whole.multipart_upload(parts).if_none_match("*").send().await.unwrap();
    let id = begin(given_up).await;
    s3.abort_multipart_upload().bucket(bucket).key(given_up).upload_id(id).send().await.unwrap();
}

/// A role as a web team has it: the service's own, with the policy of the stack.
const ROLE: &str = r#"aws iam create-role --role-name shop --assume-role-policy-document '{"Version": "2012-10-17",
  "Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "sts:AssumeRole"}]}' >made
aws iam attach-role-policy --role-name shop --policy-arn "$POLICY""#;

#[tokio::test]
async fn the_web_services_policy_is_enough_for_uploads_jobs_and_playing_and_for_nothing_else() {
    let mut deployed = deployed().await;
    let policy = deployed.made.outputs["WebServicePolicyArn"].clone();
    let endpoint = deployed.emulator.endpoint.clone();
    shell::run(&endpoint, deployed.folder.path(), &[("POLICY", &policy)], ROLE).unwrap();
    let role = "arn:aws:iam::123456789012:role/shop";
    deployed.iam.assume_also(&endpoint, role).await.unwrap();
    let (made, service, root) = (&deployed.made, deployed.as_role(role), &deployed.emulator.clients.s3);

    an_upload_in_parts(&service, &made.source_bucket).await;
    let there = [
        (&made.state_bucket, "jobs/j/terminal.json"),
        (&made.state_bucket, "status/roles.json"),
        (&made.production_bucket, "videos/in/parts.mp4/master.m3u8"),
    ];
    for (bucket, key) in there {
        let put = root.put_object().bucket(bucket).key(key).if_none_match("*").body(b"{}".to_vec().into());
        put.send().await.unwrap();
        service.s3.get_object().bucket(bucket).key(key).send().await.unwrap();
    }
    let list = service.s3.list_objects_v2().bucket(&made.state_bucket).prefix("index/source/");
    list.send().await.unwrap();

    let policies = deployed.iam.policies(role).unwrap();
    let policies: Vec<_> = policies.iter().collect();
    let calls = deployed.iam.calls(role).unwrap();
    let wrong = [
        coverage::missing("the service's role", &policies, &calls),
        coverage::unused("the service's role", &policies, &calls),
    ];
    assert!(wrong.concat().is_empty(), "{wrong:?}");

    for (bucket, key) in [(&made.source_bucket, "in/parts.mp4"), (&made.state_bucket, "control/x.json")] {
        let refused = service.s3.get_object().bucket(bucket).key(key).send().await.unwrap_err();
        assert_eq!(refused.code(), Some("AccessDenied"), "{bucket}/{key}");
    }
    for bucket in [&made.source_bucket, &made.production_bucket] {
        let refused = service.s3.delete_object().bucket(bucket).key("videos/x").send().await.unwrap_err();
        assert_eq!(refused.code(), Some("AccessDenied"), "{bucket}");
    }
}

#[tokio::test]
async fn the_uploader_adds_only_below_its_prefix() {
    // The parameter's default is the whole bucket.
    let (before, after) =
        template().split_once("  UploadPrefix:\n").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let narrow = format!("{before}  UploadPrefix:\n{}", after.replacen("Default: \"\"", "Default: in/", 1));
    for (template, elsewhere) in [(template(), None), (narrow, Some("AccessDenied".to_owned()))] {
        let deployed = deployed_from(template).await;
        let (made, uploader) = (&deployed.made, deployed.as_role(&deployed.made.roles.uploader));
        let put = async |key: &str| {
            let put =
                uploader.s3.put_object().bucket(&made.source_bucket).key(key).body(b"x".to_vec().into());
            put.send().await.err().map(|error| error.code().unwrap_or("no code").to_owned())
        };
        assert_eq!(put("in/a.mp4").await, None);
        for key in ["a.mp4", "inside.mp4"] {
            assert_eq!(put(key).await, elsewhere, "{key}");
        }
    }
}
