//! A caller's own words about a job: they come with its specification and decide nothing.

use super::*;

fn asked(words: &Value, schema: u32) -> String {
    let source = json!({"bucket": "uploads", "key": "a.mp4"});
    json!({"schema": schema, "kind": "transcode.job", "source": source, "user_metadata": words}).to_string()
}

fn spec(words: &Value) -> Arc<JobSpec> {
    match parse(&asked(words, 5), &rules(), 7) {
        Parsed::Jobs(requests, _) => match &requests[..] {
            [Request::Run(spec)] => Arc::clone(spec),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_words_of_a_request_are_in_the_specification_and_not_in_the_jobs_name() {
    let (one, other) = (spec(&json!({"user": "42", "note": ""})), spec(&json!({})));
    assert_eq!(one.user_metadata.entries().collect::<Vec<_>>(), [("note", ""), ("user", "42")]);
    assert!(other.user_metadata.is_empty());
    assert_eq!(one.job, other.job);
    assert_eq!(one.schema, SCHEMA, "tasks of the version before can run it");
}

#[test]
fn words_that_are_too_many_or_hidden_are_refused_and_an_older_controller_does_not_lose_them() {
    for (words, schema) in [
        (json!({"user": "4\u{7}2"}), 5),
        (json!({"": "x"}), 5),
        (json!({"user": "x".repeat(2045)}), 5),
        (json!({"user": 42}), 5),
        (json!(["user"]), 5),
        (json!({"user": "42"}), 4),
    ] {
        assert_eq!(refusal(&asked(&words, schema)), FailureCode::MalformedMessage, "{words}");
    }
}
