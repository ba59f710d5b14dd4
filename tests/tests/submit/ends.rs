//! Uploads that go on with the same bytes alone, and jobs that ended without a result.

use aws_sdk_s3::types::ChecksumAlgorithm;

use super::*;

/// Nobody may list versions or open uploads of this bucket.
#[derive(Debug)]
struct Unlisted(String);

impl Interceptor for Unlisted {
    fn request(&self, call: &Call) -> Treatment {
        let lists = call.operation == "GetObject" && (call.subject.is_empty() || call.subject == self.0);
        if lists { Treatment::Refuse(403) } else { Treatment::Forward }
    }
}

#[tokio::test]
async fn an_upload_goes_on_with_the_same_bytes_alone_and_never_over_anothers_object() {
    let options = StackOptions { without_controller: true, without_image: true, ..StackOptions::default() };
    let stack = Stack::with(options).await.unwrap();
    let (bucket, s3) = (stack.deployment.source_bucket.clone(), &stack.clients().s3);
    let folder = tempfile::tempdir().unwrap();
    let mut bytes: Vec<u8> = (0..3 * PART + 5).map(|at| at.to_le_bytes()[2]).collect();
    let large = file(folder.path(), "large.mp4", &bytes);
    let args = ["submit", large.to_str().unwrap(), "--user-metadata", "user-id=42"];
    killed_in_a_part(&stack, &args).await;

    // Another upload has a key that only begins with this one's, and the film is cut anew.
    let other = s3.create_multipart_upload().bucket(&bucket).key("large.mp4.part");
    other.checksum_algorithm(ChecksumAlgorithm::Sha256).send().await.unwrap();
    for part in 0..3 {
        bytes[part * PART + 7] ^= 1;
    }
    file(folder.path(), "large.mp4", &bytes);
    let (_, told) = both(&stack, &args);
    assert!(told.contains("going on with an upload"), "{told}");
    assert!(stack.read(&bucket, "large.mp4").await.unwrap() == Some(bytes), "the new bytes, each of them");
    let words = s3.head_object().bucket(&bucket).key("large.mp4").send().await.unwrap().metadata.unwrap();
    assert_eq!(words.get("user-id").map(String::as_str), Some("42"));
    let open = s3.list_multipart_uploads().bucket(&bucket).send().await.unwrap();
    let open: Vec<_> = open.uploads().iter().filter_map(|it| it.key()).collect();
    assert_eq!(open, ["large.mp4.part"]);

    // Who may not look finds nothing in the way; S3 does.
    let small = file(folder.path(), "small.mp4", b"a film");
    let small = small.to_str().unwrap();
    said(&stack, &["submit", small]);
    let unlisted = Arc::new(Unlisted(bucket.clone()));
    let proxy = Proxy::start(stack.endpoint(), unlisted as Arc<dyn Interceptor>).await.unwrap();
    let mut blind = command(&stack, &["submit", small]);
    blind.env("AWS_ENDPOINT_URL_S3", &proxy.endpoint);
    let output = tokio::task::spawn_blocking(move || blind.output().unwrap()).await.unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && complaint.contains("is there already"), "{complaint}");

    let named = complained(&stack, &["submit", small, "--key", "c.mp4", "--idempotency-key", "x"]);
    assert!(named.contains("profile of its source"), "{named}");
    assert_eq!(stack.read(&bucket, "c.mp4").await.unwrap(), None);
}

#[tokio::test]
async fn jobs_that_ended_without_a_result_are_told_and_their_end_is_the_exit_status() {
    let folder = tempfile::tempdir().unwrap();
    let stack = running(folder.path(), "exit 10").await;
    let bucket = stack.deployment.source_bucket.clone();
    let address = |name: &str| format!("s3://{bucket}/in/{name}.mp4");
    for key in ["in/one.mp4", "in/two.mp4"] {
        stack.put_source_body(key, b"x".to_vec()).await.unwrap();
        stack.wait_for_terminal_record(key, LIMIT).await.unwrap();
    }
    let prefix = format!("s3://{bucket}/in/");
    let (none, told) = both(&stack, &["submit", &prefix, "--recursive"]);
    let counts = "0 asked for, 0 have a job already, 2 have a job that ended without a result, 0 refused";
    assert!(none.is_empty() && told.contains(counts), "{none}{told}");
    let refused = complained(&stack, &["submit", &prefix, "--recursive", "--profile", "absent"]);
    assert!(refused.matches("UNKNOWN_PROFILE").count() == 2, "{refused}");
    assert!(refused.contains("2 objects were not asked for"), "{refused}");

    // A request of its own, where the upload's own job is dead.
    let ended = |args: &[&str]| {
        let Output { status, stderr, .. } = command(&stack, args).output().unwrap();
        (status.code(), String::from_utf8(stderr).unwrap())
    };
    let (code, told) = ended(&["submit", &address("one"), "--wait"]);
    assert!(code == Some(4) && told.contains("is dead: INPUT_REFUSED"), "{code:?}: {told}");
    let again = complained(&stack, &["submit", &address("one")]);
    assert!(again.contains("is dead (INPUT_REFUSED)") && again.contains("`retry "), "{again}");
    let list = file(folder.path(), "list", b"in/one.mp4\nin/two.mp4\n");
    let many = ["submit", "--manifest", list.to_str().unwrap(), "--idempotency-key", "run", "--wait"];
    let (code, told) = ended(&many);
    assert!(code == Some(1) && told.contains("2 of 2 jobs ended without a result"), "{code:?}: {told}");

    let (code, told) = ended(&["submit", &address("one"), "--idempotency-key", "k", "--wait"]);
    assert_eq!(code, Some(4), "{told}");
    let taken = complained(&stack, &["submit", &address("two"), "--idempotency-key", "k"]);
    assert!(taken.contains("the idempotency key belongs to job"), "{taken}");
}
