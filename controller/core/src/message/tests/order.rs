//! The inputs that decide which result is live, and where: force, idempotency keys, addresses.

use transcode_config::contract::{Attempt, Layout, output_prefix};

use super::*;

/// The letter as `redrive --force` sends it.
fn forced(letter: &str) -> String {
    let letter: DeadLetterBody = serde_json::from_str(letter).unwrap();
    DeadLetterBody { forced: true, ..letter }.encode()
}

#[test]
fn a_forced_redrive_is_a_job_of_its_own_and_stays_forced_for_one_generation() {
    let original = event(&[record("a.mp4", 5), record("b.mp4", 5)]);
    let [_, Request::Run(second)] = &requests(&original)[..] else { panic!() };
    let plain = letter(&original, &second.job, 0);
    let spec = run(&forced(&plain));
    assert!(spec.forced && !run(&plain).forced);
    assert_ne!(spec.job, run(&plain).job, "or one that was accepted without would count");
    // The forced job dies too: its letter still finds it among the original's jobs, and is not forced.
    let again = run(&letter(&forced(&plain), &spec.job, 1));
    assert_eq!((again.source.key.as_str(), again.generation, again.forced), ("b.mp4", 2, false));
}

#[test]
fn a_request_is_forced_by_the_schema_that_knows_it_alone() {
    let body = |schema: u32| {
        json!({"schema": schema, "kind": "transcode.job", "source": {"bucket": "uploads", "key": "a.mp4"},
               "force": true})
        .to_string()
    };
    assert_eq!(
        (refusal(&body(1)), refusal(&body(2))),
        (FailureCode::MalformedMessage, FailureCode::MalformedMessage)
    );
    let spec = run(&body(3));
    assert!(spec.forced && spec.schema == SCHEMA, "tasks of the version before can run it");
    // Somebody else asks for a plain redrive of it.
    assert!(!run(&letter(&body(3), &spec.job, 0)).forced);
}

#[test]
fn a_letter_for_a_key_of_another_source_is_refused_again() {
    let body = json!({"schema": 1, "kind": "transcode.job", "source": {"bucket": "uploads", "key": "a.mp4"},
                      "idempotency_key": "k"})
    .to_string();
    let spec = run(&body);
    let there = JobSpec { source: run(&event(&[record("b.mp4", 5)])).source.clone(), ..(*spec).clone() };
    let Request::Refuse { job, failure, .. } = key_reused(&spec, &there) else { panic!() };
    let mut letter: DeadLetterBody = serde_json::from_str(&letter(&body, &job, 0)).unwrap();
    letter.dead.failure = failure;
    assert_eq!(refusal(&letter.encode()), FailureCode::IdempotencyKeyReused);
}

/// Parts of keys, one of each kind that the mapping to addresses treats differently.
fn key() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        Just(String::new()),
        Just(".".to_owned()),
        Just("..".to_owned()),
        "~{0,2}[a-c]{0,2}",
        "~{0,2}v-[0-9a-f]{12}-[0-9]{0,2}",
        "~{0,2}v-0123456789ab-1",
        "~{0,2}(long|edit-0123456789ab)",
        "[a-c]{1,2}\\.mp4",
    ];
    proptest::collection::vec(segment, 1..5).prop_map(|segments| segments.join("/"))
}

proptest! {
    #[test]
    fn different_keys_have_different_addresses_and_none_lies_in_an_attempts_folder(
        one in key(), other in key(), shared in any::<bool>(),
    ) {
        let other = if shared { format!("{one}/{other}") } else { other };
        let address = |key: &str| output_prefix("v/", key);
        prop_assert_eq!(address(&one) == address(&other), one == other);
        let folder = Layout::of(&JobKey::of(&["x"])).folder(Attempt::FIRST);
        let is_folder = |segment: &str| {
            segment.len() >= folder.len() - 2 && segment.starts_with("v-") && segment[2..14].bytes().all(|it| it.is_ascii_hexdigit())
                && segment.as_bytes()[14] == b'-' && segment[15..].bytes().all(|it| it.is_ascii_digit())
        };
        for prefix in [address(&one), address(&other)] {
            prop_assert!(!prefix.split('/').any(is_folder), "{}", prefix);
        }
    }
}

#[test]
fn a_source_with_a_root_of_its_own_publishes_there() {
    let mut rules = rules();
    rules.sources[1].output_prefix = Some("films/".into());
    let prefix = |key: &str| {
        let Parsed::Jobs(requests, _) = parse(&event(&[record(key, 5)]), &rules, 7) else { panic!() };
        let [Request::Run(spec)] = &requests[..] else { panic!("{requests:?}") };
        spec.output.prefix.clone()
    };
    assert_eq!(
        (prefix("films/a.mp4").as_str(), prefix("a.mp4").as_str()),
        ("films/films/a.mp4/", "v/a.mp4/")
    );
}
