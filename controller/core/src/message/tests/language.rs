//! The language of tracks whose language the file does not name: of the request, else of the source, else of the profile.

use super::*;

fn asked(extra: &Value) -> String {
    let mut body =
        json!({"schema": 4, "kind": "transcode.job", "source": {"bucket": "uploads", "key": "a.mp4"}});
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body.to_string()
}

/// The rules with languages of the source and of its profile.
fn speaking(source: Option<&str>, profile: Option<&str>) -> Rules {
    let mut rules = rules();
    rules.sources[0].default_language = source.map(str::to_owned);
    Arc::make_mut(rules.profiles.get_mut("standard").unwrap()).audio.default_language =
        profile.map(str::to_owned);
    rules
}

fn spec(body: &str, rules: &Rules) -> Arc<JobSpec> {
    match parse(body, rules, 7) {
        Parsed::Jobs(requests, _) => match &requests[..] {
            [Request::Run(spec)] => Arc::clone(spec),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_request_comes_before_the_source_and_the_source_before_the_profile() {
    let (plain, german) = (asked(&json!({})), asked(&json!({"default_language": "de"})));
    for (body, source, profile, language) in [
        (&plain, None, None, None),
        (&plain, None, Some("fr"), Some("fr")),
        (&plain, Some("pt-BR"), Some("fr"), Some("pt-BR")),
        (&german, Some("pt-BR"), Some("fr"), Some("de")),
        (&german, None, None, Some("de")),
    ] {
        let spec = spec(body, &speaking(source, profile));
        assert_eq!(spec.profile.audio.default_language.as_deref(), language, "{source:?} {profile:?}");
        assert_eq!(spec.schema, SCHEMA, "tasks of the version before can run it");
    }
    let upload = spec(&event(&[record("a.mp4", 5)]), &speaking(Some("pt-BR"), None));
    assert_eq!(
        upload.profile.audio.default_language.as_deref(),
        Some("pt-BR"),
        "an event asks for the source's"
    );
}

#[test]
fn another_language_is_another_job_and_a_setting_is_not() {
    let [plain, german, french] =
        [json!({}), json!({"default_language": "de"}), json!({"default_language": "fr"})]
            .map(|extra| spec(&asked(&extra), &rules()));
    assert!(plain.job != german.job && german.job != french.job && plain.job != french.job);
    assert_eq!(plain.output, german.output);
    assert_eq!(spec(&asked(&json!({})), &speaking(Some("pt-BR"), Some("fr"))).job, plain.job);
}

#[test]
fn what_is_no_language_and_what_an_older_controller_would_leave_out_is_refused() {
    for extra in [
        json!({"default_language": "german"}),
        json!({"default_language": ""}),
        json!({"default_language": "de\"x"}),
        json!({"default_language": 7}),
        json!({"default_language": "de", "schema": 3}),
        json!({"default_language": "de", "schema": 1}),
    ] {
        assert_eq!(refusal(&asked(&extra)), FailureCode::MalformedMessage, "{extra}");
    }
}
