//! Commands that say what the controller shall do, by the document that they write: who, why, what, and nothing lost when
//! several people write at once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::process::{Command, Output, Stdio};

use serde_json::Value;
use transcode_config::contract::{Cancels, Control, JobKey, control_key};
use transcode_tests::{
    Stack, StackOptions,
    controller::{self, ControllerPlan},
    paths,
};

async fn stack() -> Stack {
    let options = StackOptions { without_controller: true, without_image: true, ..StackOptions::default() };
    let options = options.setting("sources.uploads.tenants", r#"[{ prefix = "tenants/{id}/" }]"#);
    Stack::with(options).await.unwrap()
}

fn command(stack: &Stack, args: &[&str]) -> Command {
    let mut command = Command::new(paths::binary("transcode-controller").unwrap());
    command.args(args).arg("--config").arg(stack.plan.config());
    command.env_clear().envs(controller::environment(stack.endpoint(), &stack.fargate.endpoint));
    command.stdin(Stdio::null());
    command
}

fn said(stack: &Stack, args: &[&str]) -> String {
    let Output { status, stdout, stderr } = command(stack, args).output().unwrap();
    assert!(status.success(), "{args:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

fn complained(stack: &Stack, args: &[&str]) -> String {
    let Output { status, stdout, stderr } = command(stack, args).output().unwrap();
    assert_eq!(status.code(), Some(1), "{args:?}: {}", String::from_utf8_lossy(&stdout));
    String::from_utf8(stderr).unwrap()
}

/// The name of a tenant, as the controller has it.
fn tenant(stack: &Stack) -> String {
    format!("{}/tenants/acme/", stack.deployment.source_bucket)
}

async fn control(stack: &Stack) -> Control {
    let key = control_key(&stack.deployment.environment);
    stack.document(&key).await.unwrap().unwrap_or_default()
}

#[tokio::test]
async fn a_pause_says_who_and_why_and_a_resume_ends_it() {
    let stack = stack().await;
    assert_eq!(control(&stack).await, Control::default());
    assert!(complained(&stack, &["pause"]).contains("--why"), "nobody can be asked");
    let text = said(&stack, &["pause", "--why", "too expensive"]);
    assert!(
        text.contains("launches of environment local are paused since")
            && text.contains("(revision 1)")
            && text.contains("No controller has ever reported"),
        "{text}"
    );
    let told = control(&stack).await.paused.unwrap();
    assert!(told.who.starts_with("arn:aws:") && told.why == "too expensive" && told.at_ms > 0, "{told:?}");
    let again = said(&stack, &["pause", "--why", "other", "-o", "json"]);
    let again: Value = serde_json::from_str(&again).unwrap();
    assert_eq!((again["changed"].as_bool(), again["revision"].as_u64()), (Some(false), Some(1)));
    assert_eq!(control(&stack).await.paused.unwrap(), told, "the first one stays");

    said(&stack, &["pause", "--queue", "default", "--why", "a"]);
    said(&stack, &["pause", "--tenant", "acme", "--why", "b"]);
    said(&stack, &["drain", "--why", "c"]);
    let all = control(&stack).await;
    assert_eq!(all.revision, 4);
    assert_eq!(all.paused_queues["default"].why, "a");
    assert_eq!(all.paused_tenants[&tenant(&stack)].why, "b");
    assert_eq!(all.drained.unwrap().why, "c");
    assert!(
        complained(&stack, &["pause", "--queue", "x", "--why", "a"]).contains("the settings have default")
    );

    let text = said(&stack, &["resume"]);
    assert!(text.contains(&format!("go on; still paused: default, {}", tenant(&stack))), "{text}");
    said(&stack, &["resume", "--queue", "default"]);
    said(&stack, &["resume", "--tenant", "acme"]);
    let last = control(&stack).await;
    assert!(last.last.as_ref().is_some_and(|told| told.who.starts_with("arn:aws:")), "{last:?}");
    assert_eq!(last, Control { revision: 7, last: last.last.clone(), ..Control::default() });
    assert!(said(&stack, &["resume"]).starts_with("nothing is changed"));
}

#[tokio::test]
async fn people_who_write_at_once_lose_nothing_of_each_other() {
    let stack = stack().await;
    let jobs: Vec<String> = (0..6).map(|it| JobKey::of(&[&it.to_string()]).to_string()).collect();
    let cancel = |job: &String| {
        command(&stack, &["cancel", job, "--why", "wrong file"]).stdout(Stdio::null()).spawn().unwrap()
    };
    let mut children: Vec<_> = jobs.iter().map(cancel).collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    let control = control(&stack).await;
    let mut found: Vec<String> = control
        .cancels
        .iter()
        .map(|cancel| match &cancel.what {
            Cancels::Job(job) => job.to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    found.sort();
    let mut expected = jobs;
    expected.sort();
    assert_eq!((found, control.revision), (expected, 6));
}

#[tokio::test]
async fn a_cancel_of_many_is_asked_about_and_names_what_it_is_for() {
    let stack = stack().await;
    let asked = complained(&stack, &["cancel", "--tenant", "acme", "--why", "x"]);
    assert!(
        asked.contains(&format!("Cancel what was asked for of tenant {}", tenant(&stack)))
            && asked.contains("--yes"),
        "{asked}"
    );
    assert_eq!(control(&stack).await.revision, 0);
    said(&stack, &["cancel", "--tenant", "acme", "--why", "x", "--yes"]);
    let prefix = format!("s3://{}/films/", stack.deployment.source_bucket);
    said(&stack, &["cancel", "--prefix", &prefix, "--why", "y", "--yes"]);
    let whats: Vec<_> = control(&stack).await.cancels.into_iter().map(|it| it.what).collect();
    let bucket = stack.deployment.source_bucket.clone();
    let expected = [Cancels::Tenant(tenant(&stack)), Cancels::Prefix { bucket, prefix: "films/".into() }];
    assert_eq!(whats, expected);
    // What waits in the queue has no record and is found all the same.
    stack.put_source_body("a.mp4", b"x".to_vec()).await.unwrap();
    let waits: Value =
        serde_json::from_str(&said(&stack, &["cancel", "a.mp4", "--why", "z", "-o", "json"])).unwrap();
    let plan: Value = serde_json::from_str(&said(&stack, &["plan", "a.mp4", "-o", "json"])).unwrap();
    assert_eq!((&waits["jobs"][0], &waits["controller"]), (&plan["job"], &"never".into()));
    assert!(complained(&stack, &["cancel", "absent.mp4", "--why", "z"]).contains("no job of absent.mp4"));
    let wait = ["cancel", waits["jobs"][0].as_str().unwrap(), "--why", "z", "--wait", "--timeout", "1"];
    assert!(complained(&stack, &wait).contains("not cancelled within 1 s"), "no controller is there");
}

#[tokio::test]
async fn profiles_are_checked_before_they_are_put_and_used_ones_stay() {
    let stack = stack().await;
    let shipped = std::fs::read_to_string(paths::checkout().join("config/profiles/standard.toml")).unwrap();
    let write = |name: &str, text: &str| {
        let path = stack.folder().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = write("good.toml", &shipped.replacen("name = \"standard\"", "name = \"own\"", 1));
    let bad = write("bad.toml", &shipped.replacen("crf = 23", "crf = 99", 1));
    assert!(said(&stack, &["profile", "check", &good]).starts_with("own: fits"));
    assert!(complained(&stack, &["profile", "check", &bad]).contains("crf"));
    assert!(complained(&stack, &["profile", "put", &bad, "--why", "x"]).contains("crf"));
    assert_eq!(control(&stack).await.revision, 0);
    let text = said(&stack, &["profile", "put", &good, "--why", "smaller"]);
    assert!(text.contains("profile own is in force for new jobs (revision 1"), "{text}");
    assert!(said(&stack, &["profile", "put", &good, "--why", "again"]).contains("nothing is changed"));
    let names = said(&stack, &["profile", "list", "-o", "name"]);
    assert!(names.lines().any(|name| name == "own") && names.lines().any(|name| name == "hevc"), "{names}");
    // What is shown can be put again.
    let shown = write("shown.toml", &said(&stack, &["profile", "show", "own"]));
    assert!(said(&stack, &["profile", "check", &shown]).starts_with("own: fits"));

    // A request for it is read with it.
    stack.put_source_body("a.mp4", b"x".to_vec()).await.unwrap();
    let job = said(&stack, &["submit", "--key", "a.mp4", "--profile", "own"]);
    assert!(job.trim().parse::<JobKey>().is_ok(), "{job}");
    // A controller whose settings name it starts; with one that nobody has, it refuses to.
    let start = |name: &str, profile: &str| {
        let settings = [("jobs.default_profile".to_owned(), format!("\"{profile}\""))].into();
        let (env, folder) = (stack.environment().to_vec(), stack.folder());
        ControllerPlan::new(name, &stack.deployment, &settings, env, folder, &folder.join("logs")).unwrap()
    };
    drop(start("own", "own").start().await.unwrap());
    let absent = start("absent", "absent");
    let mut run = Command::new(paths::binary("transcode-controller").unwrap());
    run.args(["run", "--config"]).arg(absent.config()).env_clear().envs(stack.environment().iter().cloned());
    let refused = run.output().unwrap();
    let why = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(2) && why.contains("profile absent"), "{refused:?}");
    assert!(why.contains("`profile put` it") && why.contains("own"), "{why}");

    said(&stack, &["settings", "set", "jobs.default_profile=own", "--why", "y"]);
    let used = complained(&stack, &["profile", "delete", "own", "--why", "z"]);
    assert!(used.contains("used by jobs.default_profile"), "{used}");
    said(&stack, &["settings", "reset", "--why", "y"]);
    said(&stack, &["profile", "delete", "own", "--why", "z"]);
    assert!(control(&stack).await.profiles.is_empty());
    let standard = complained(&stack, &["profile", "delete", "standard", "--why", "z"]);
    assert!(standard.contains("comes with the program"), "{standard}");
}

#[tokio::test]
async fn settings_are_set_only_as_a_controller_would_take_them() {
    let stack = stack().await;
    assert!(said(&stack, &["settings", "diff"]).starts_with("nothing is set"));
    for (pair, part) in [
        ("launch.max_tasks=0", "launch.max_tasks"),
        ("launch.max_taks=5", "unknown key"),
        ("launch.max_tasks=many", "launch.max_tasks"),
        ("jobs.default_profile=absent", "absent"),
        ("state.bucket=elsewhere", "state.bucket"),
        ("queues.default.url=elsewhere", "queues.default.url"),
    ] {
        let complaint = complained(&stack, &["settings", "set", pair, "--why", "x"]);
        assert!(complaint.contains(part), "{pair}: {complaint}");
    }
    assert_eq!(control(&stack).await.revision, 0);
    said(&stack, &["settings", "set", "launch.max_tasks=5", "queues.default.weight=3", "--why", "more"]);
    let shown: Value = serde_json::from_str(&said(&stack, &["settings", "show", "-o", "json"])).unwrap();
    assert_eq!(
        (&shown["launch"]["max_tasks"], &shown["queues"]["default"]["weight"]),
        (&5.into(), &3.into())
    );
    let diff = said(&stack, &["settings", "diff"]);
    assert!(diff.contains("launch.max_tasks") && diff.contains("because more"), "{diff}");
    let plan: Value = serde_json::from_str(&said(&stack, &["plan", "-o", "json"])).unwrap();
    assert_eq!(plan["max_tasks"], 5);
    said(&stack, &["settings", "reset", "launch.max_tasks", "--why", "less"]);
    assert_eq!(said(&stack, &["settings", "diff", "-o", "name"]), "queues.default.weight\n");
    said(&stack, &["settings", "reset", "--why", "none"]);
    assert_eq!(control(&stack).await.settings, None);
}

#[tokio::test]
async fn a_plan_says_what_would_be_done_and_changes_nothing() {
    let stack = stack().await;
    stack.put_source_body("a.mp4", b"x".to_vec()).await.unwrap();
    let waiting = async || Ok((stack.jobs_waiting().await?.visible == 2).then_some(()));
    stack.wait_for("the upload is announced", std::time::Duration::from_mins(1), waiting).await.unwrap();
    let text = said(&stack, &["plan"]);
    for part in ["no controller has spoken yet", "queue default: 2 wait", "tasks would be launched now"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    said(&stack, &["pause", "--why", "too expensive"]);
    let text = said(&stack, &["plan"]);
    assert!(
        text.contains("because too expensive") && text.contains("0 tasks would be launched now"),
        "{text}"
    );
    let made = said(&stack, &["plan", "a.mp4"]);
    for part in ["profile    standard", "CPU units", "USD an hour", "SHORT SIDE", "1080"] {
        assert!(made.contains(part), "{part}: {made}");
    }
    assert!(complained(&stack, &["plan", "absent.mp4"]).contains("there is no object"));
    let counts = stack.jobs_waiting().await.unwrap();
    assert_eq!((counts.visible, counts.in_flight), (2, 0), "nothing was received");
}
