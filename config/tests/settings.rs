//! The shipped file loads; each kind of wrong file is refused by the name of its key.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::result_large_err, reason = "figment's test jail fixes the error type")]

use figment::providers::Env;
use transcode_config::{
    load::{from_text, from_variables},
    settings::Settings,
};

/// The least that a file must say.
const LEAST: &str = r#"
environment = "test"
[queues.default]
url = "http://127.0.0.1:1/1/jobs"
dead_letter_url = "http://127.0.0.1:1/1/dead"
[sources.uploads]
bucket = "uploads"
[state]
bucket = "state"
[output]
bucket = "videos"
[cluster]
name = "c"
task_definition = "transcode-task"
subnets = ["subnet-1"]
"#;

fn load(text: &str) -> Result<Settings, String> {
    from_text(text, Env::prefixed("NO_SUCH_PREFIX_")).map_err(|error| error.to_string())
}

fn with(line: &str) -> String {
    let (table, rest) = line.split_once('.').unwrap();
    if LEAST.contains(&format!("[{table}]\n")) {
        LEAST.replace(&format!("[{table}]\n"), &format!("[{table}]\n{rest}\n"))
    } else {
        format!("{LEAST}\n[{table}]\n{rest}\n")
    }
}

#[test]
fn the_shipped_file_gives_every_other_key_its_default() {
    let settings = load(LEAST).unwrap();
    assert_eq!(settings.launch.max_tasks, 10);
    assert_eq!(settings.output.prefix, "videos/");
}

#[test]
fn the_variables_of_a_task_definition_are_settings_as_they_are_in_its_container() {
    let least = [
        ("TRANSCODE_ENVIRONMENT", "test"),
        ("TRANSCODE_QUEUES__DEFAULT__URL", "http://127.0.0.1:1/1/jobs"),
        ("TRANSCODE_QUEUES__DEFAULT__DEAD_LETTER_URL", "http://127.0.0.1:1/1/dead"),
        ("TRANSCODE_SOURCES__UPLOADS__BUCKET", "uploads"),
        ("TRANSCODE_SOURCES__UPLOADS__OVERLAYS", r#"[{ bucket = "logos", prefix = "a/" }]"#),
        ("TRANSCODE_STATE__BUCKET", "state"),
        ("TRANSCODE_OUTPUT__BUCKET", "videos"),
        ("TRANSCODE_CLUSTER__NAME", "c"),
        ("TRANSCODE_CLUSTER__TASK_DEFINITION", "transcode-task"),
        ("TRANSCODE_CLUSTER__SUBNETS", r#"["subnet-1","subnet-2"]"#),
        ("TRANSCODE_LAUNCH__MAX_TASKS", "3"),
        ("TRANSCODE_STATE_BUCKET", "of the task, and no setting"),
        ("RUST_LOG", "info"),
    ];
    let settings = from_variables(least).unwrap();
    assert_eq!((settings.launch.max_tasks, settings.cluster.subnets.len()), (3, 2));
    assert_eq!(settings.sources["uploads"].overlays[0].bucket, "logos");
    assert_eq!(settings.queues["default"].dead_letter_url, "http://127.0.0.1:1/1/dead");
    let wrong = from_variables(least.into_iter().skip(1)).unwrap_err().to_string();
    assert!(wrong.contains("environment: missing"), "{wrong}");
}

#[test]
fn the_example_in_the_shipped_file_loads_when_uncommented() {
    let example: String = transcode_config::DEFAULTS
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest)
                if rest.starts_with('[') || rest.split_once(" = ").is_some_and(|(key, _)| is_key(key)) =>
            {
                rest
            }
            _ => line,
        })
        .fold(String::new(), |text, line| text + line + "\n");
    let settings = load(&example).unwrap();
    assert_eq!(settings.queues["default"].weight, 1);
    assert!(settings.events.queue_url.is_some());
}

fn is_key(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[test]
fn an_unknown_key_is_refused_by_its_path() {
    let error = load(&with("launch.max_task = 3")).unwrap_err();
    assert!(error.starts_with("launch.max_task: unknown key"), "{error}");
    assert!(error.contains("max_tasks"), "the message lists what is known: {error}");
}

#[test]
fn a_missing_key_is_named_with_the_variable_that_sets_it() {
    let error = load(&LEAST.replace("[state]\nbucket = \"state\"\n", "")).unwrap_err();
    assert!(error.contains("state.bucket: missing") && error.contains("TRANSCODE_STATE__BUCKET"), "{error}");
}

#[test]
fn a_wrong_type_is_refused_by_its_path() {
    let error = load(&with("launch.max_tasks = \"many\"")).unwrap_err();
    assert!(error.starts_with("launch.max_tasks:"), "{error}");
}

#[test]
fn each_contradiction_is_refused_by_name() {
    for (line, key) in [
        ("lease.margin_seconds = 600", "lease.margin_seconds"),
        ("lease.visibility_seconds = 43201", "lease.visibility_seconds"),
        ("launch.max_tasks = 0", "launch.max_tasks"),
        ("launch.memory_mib = 3000", "launch.memory_mib"),
        ("launch.ephemeral_gib = 20", "launch.ephemeral_gib"),
        ("launch.per_second = 50.0", "launch.per_second"),
        ("launch.look_ahead = 5", "launch.look_ahead"),
        ("launch.oom_sizes = [[2048, 2048]]", "launch.oom_sizes"),
        ("launch.oom_sizes = [[2048, 8192], [2048, 8000]]", "launch.oom_sizes"),
        ("launch.disk_percent_of_source = 50", "launch.disk_percent_of_source"),
        ("jobs.max_attempts = 0", "jobs.max_attempts"),
        ("jobs.retry_base_seconds = 6000", "jobs.retry_base_seconds"),
        ("observe.orphan_grace_seconds = 600", "observe.orphan_grace_seconds"),
        ("observe.heartbeat_stale_seconds = 30", "observe.heartbeat_stale_seconds"),
        ("observe.heartbeat_stale_seconds = 14_401", "observe.heartbeat_stale_seconds"),
        ("calls.attempt_seconds = 300", "calls.attempt_seconds"),
        ("calls.receive_wait_seconds = 21", "calls.receive_wait_seconds"),
        ("http.listen = \"here\"", "http.listen"),
        ("output.prefix = \"videos\"", "output.prefix"),
        ("cost.vcpu_hour = -1.0", "cost.vcpu_hour"),
        ("cost.spot_percent = 101.0", "cost.spot_percent"),
        ("events.bus = \"my bus\"", "events.bus"),
        ("events.kinds = [\"progress\", \"dead\"]", "events.kinds"),
        ("events.progress_seconds = 59", "events.progress_seconds"),
        ("events.outbox_after_seconds = 9", "events.outbox_after_seconds"),
    ] {
        let error = load(&with(line)).expect_err(line);
        assert!(error.contains(&format!("{key}:")), "{line} gave {error}");
    }
    let error = load(&LEAST.replace("\"videos\"", "\"uploads\"")).unwrap_err();
    assert!(error.contains("output.bucket:"), "{error}");
    for (name, key) in [("jobs", "queues.*.url:"), ("dead", "queues.*.dead_letter_url:")] {
        let error = load(&LEAST.replace(&format!("/1/{name}"), &format!("/1/{name}.fifo"))).unwrap_err();
        assert!(error.contains(key) && error.contains("standard queue"), "{error}");
    }
    let error = load(&with("events.queue_url = \"http://127.0.0.1:1/1/events.fifo\"")).unwrap_err();
    assert!(error.contains("events.queue_url:"), "{error}");
    let error =
        load(&LEAST.replace("bucket = \"uploads\"", "bucket = \"uploads\"\nsuffixes = [\"\"]")).unwrap_err();
    assert!(error.contains("sources.*.suffixes:"), "{error}");
    let speaks = |language: &str| {
        load(&LEAST.replace(
            "bucket = \"uploads\"",
            &format!("bucket = \"uploads\"\ndefault_language = {language:?}"),
        ))
    };
    assert_eq!(speaks("pt-BR").unwrap().sources["uploads"].default_language.as_deref(), Some("pt-BR"));
    let error = speaks("Portuguese").unwrap_err();
    assert!(error.contains("sources.*.default_language:"), "{error}");
}

#[test]
fn tenants_are_read_and_what_is_wrong_with_one_is_refused_by_name() {
    let tenants = |rules: &str| load(&format!("{LEAST}{rules}"));
    let rule = |rest: &str| format!("[[sources.uploads.tenants]]\n{rest}\n");
    let settings = tenants(&rule("prefix = \"tenants/{id}/\"\npriority = \"high\"")).unwrap();
    let read = &settings.sources["uploads"].tenants[0];
    assert_eq!((read.prefix.as_str(), read.weight, read.max_tasks), ("tenants/{id}/", 1, 0));
    assert!(settings.launch.look_ahead > 0);
    let inside = "prefix = \"in/\"\n[[sources.uploads.tenants]]\nprefix = \"out/{id}/\"";
    for (rules, key) in [
        (rule("prefix = \"a{id}/\""), "sources.uploads.tenants.0.prefix:"),
        (rule("prefix = \"a/\"\nweigth = 2"), "sources.uploads.tenants.0.weigth: unknown key"),
        (rule("prefix = \"a/\"\npriority = \"urgent\""), "sources.uploads.tenants.0.priority:"),
        (rule("prefix = \"a/\"\nweight = 0"), "sources.*.tenants.weight:"),
        (rule("prefix = \"a/\"\nmax_vcpu = 1"), "sources.*.tenants.max_vcpu:"),
        (rule("prefix = \"a/\"") + &rule("prefix = \"a/\""), "sources.*.tenants.prefix:"),
        (rule("prefix = \"a/\"").repeat(51), "sources.*.tenants:"),
    ] {
        let error = tenants(&rules).expect_err(&rules);
        assert!(error.contains(key), "{rules} gave {error}");
    }
    let outside = LEAST.replace("bucket = \"uploads\"\n", &format!("bucket = \"uploads\"\n{inside}\n"));
    let error = load(&outside).unwrap_err();
    assert!(error.contains("sources.*.tenants.prefix:") && error.contains("\"in/\""), "{error}");
}

#[test]
fn the_environment_outranks_the_file() {
    figment::Jail::expect_with(|jail| {
        jail.create_file("controller.toml", &with("launch.max_tasks = 3"))?;
        jail.set_env("TRANSCODE_LAUNCH__MAX_TASKS", "7");
        jail.set_env("TRANSCODE_JOB", "not a setting");
        let settings =
            transcode_config::load("controller.toml".as_ref()).map_err(|error| error.to_string())?;
        assert_eq!(settings.launch.max_tasks, 7);
        Ok(())
    });
}

/// A second source beside `uploads`, which takes its whole bucket unless `first` says otherwise.
fn two_sources(first: &str, second: &str) -> Result<Settings, String> {
    load(&format!("{}\n[sources.second]\n{second}\n", uploads(first)))
}

fn uploads(line: &str) -> String {
    LEAST.replace("[sources.uploads]\n", &format!("[sources.uploads]\n{line}\n"))
}

#[test]
fn two_sources_whose_uploads_could_have_the_same_addresses_are_refused() {
    let refused = |first: &str, second: &str| {
        let error = two_sources(first, second).unwrap_err();
        assert!(error.contains("sources.*.output_prefix: sources."), "{first} + {second}: {error}");
    };
    refused("prefix = \"\"", "bucket = \"b\"");
    refused("prefix = \"a/\"", "bucket = \"b\"\nprefix = \"a/b/\"");
    refused("prefix = \"a\"", "bucket = \"b\"\nprefix = \"ab\"");
    refused("prefix = \"\"", "bucket = \"b\"\noutput_prefix = \"videos/b/\"");
    // The same bucket too: a/x/y and x/y would both be videos/x/y.
    refused("prefix = \"\"", "bucket = \"uploads\"\nprefix = \"y/\"\noutput_prefix = \"videos/x/\"");
    let taken = |first: &str, second: &str| two_sources(first, second).unwrap();
    taken("prefix = \"\"", "bucket = \"b\"\noutput_prefix = \"b/\"");
    taken("prefix = \"a/\"", "bucket = \"b\"\nprefix = \"b/\"");
    taken("prefix = \"a/\"", "bucket = \"b\"\noutput_prefix = \"videos/b/\"");
    taken("prefix = \"\"", "bucket = \"uploads\"\nprefix = \"films/\"");
    for root in ["videos", "/videos/", "a//b/", "a/../b/", "~a/", "v-0123456789ab-1/"] {
        let error = load(&uploads(&format!("output_prefix = \"{root}\""))).unwrap_err();
        assert!(error.contains("sources.*.output_prefix: must be"), "{root}: {error}");
    }
}

#[test]
fn over_settings_only_what_takes_effect_at_once_is_put_and_it_is_checked() {
    let settings = load(LEAST).unwrap();
    let over = |values: serde_json::Value| {
        transcode_config::load::overlaid(&settings, &values).map_err(|error| error.to_string())
    };
    assert_eq!(over(serde_json::json!({})), Ok(settings.clone()));
    let set =
        over(serde_json::json!({"launch": {"max_tasks": 5, "per_second": 1}, "jobs": {"max_attempts": 2}}));
    let mut expected = settings.clone();
    (expected.launch.max_tasks, expected.launch.per_second, expected.jobs.max_attempts) = (5, 1.0, 2);
    assert_eq!(set, Ok(expected));
    for (values, key) in [
        (serde_json::json!({"launch": {"max_taks": 5}}), "launch.max_taks: unknown key"),
        (serde_json::json!({"launch": {"max_tasks": "many"}}), "launch.max_tasks:"),
        (serde_json::json!({"launch": {"max_tasks": 0}}), "launch.max_tasks:"),
        (
            serde_json::json!({"state": {"bucket": "b"}}),
            "state.bucket: takes effect with the next start only",
        ),
        (serde_json::json!({"environment": "other"}), "environment: takes effect"),
    ] {
        let error = over(values.clone()).unwrap_err();
        assert!(error.contains(key), "{values} gave {error}");
    }
}
