//! What an operator does besides looking at jobs.

use aws_sdk_s3::types::ChecksumAlgorithm;
use serde_json::json;
use transcode_config::contract::status_key;
use transcode_tests::Stack;

use super::{LIMIT, command};

/// The reads and writes of an operator who examines an environment.
pub(super) async fn a_look_at_the_environment(stack: &Stack) {
    let roles = &stack.deployment.roles;
    let status = json!({"schema": 1, "environment": stack.deployment.environment, "instance": "i", "version": "0",
        "started_at_ms": 0, "written_at_ms": 9_000_000_000_000_u64, "draining": false, "tasks_in_flight": 0,
        "max_tasks": 1, "left_off": 0, "jobs": []});
    let put = stack.clients().s3.put_object().bucket(&stack.deployment.state_bucket);
    let key = status_key(&stack.deployment.environment);
    put.key(key).body(status.to_string().into_bytes().into()).send().await.unwrap();
    // The stack says which role is the controller's: the operator's own may not do what a controller does.
    let args = ["doctor", "-o", "json", "--stack", &stack.deployment.environment];
    let said = command(stack, &roles.operator, &args).await;
    let findings: Vec<serde_json::Value> = serde_json::from_str(&said).unwrap();
    let asked = findings.iter().find(|one| one["check"] == "account.permissions").unwrap();
    assert_eq!(asked["subject"], json!(roles.controller));
    let unread = findings.iter().find(|one| one["status"] == "unknown" || one["status"] == "fail");
    assert_eq!(unread, None, "{said}");
    command(stack, &roles.operator, &["dashboard", "put"]).await;
}

/// What the operator says the controller shall do.
pub(super) async fn an_environment_that_is_steered(stack: &Stack) {
    let operator = &stack.deployment.roles.operator;
    for args in [&["pause", "--why", "a test"][..], &["plan"], &["resume"]] {
        command(stack, operator, args).await;
    }
}

/// A file of several parts that the operator uploads, after an upload of it was begun and interrupted.
pub(super) async fn an_upload_that_goes_on(stack: &Stack) {
    let (roles, s3) = (&stack.deployment.roles, &stack.clients().s3);
    let open = s3.create_multipart_upload().bucket(&stack.deployment.source_bucket).key("large.mp4");
    open.checksum_algorithm(ChecksumAlgorithm::Sha256).send().await.unwrap();
    let file = stack.folder().join("large.mp4");
    std::fs::write(&file, vec![7; 17 << 20]).unwrap();
    command(stack, &roles.operator, &["submit", file.to_str().unwrap()]).await;
    stack.wait_for_terminal_record("large.mp4", LIMIT).await.unwrap();
    stack.wait_for_empty_queue(LIMIT).await.unwrap();
}
