//! A day at the command line: real controllers, real tasks, the operator's role, and no way to the controller's port. What
//! was typed and printed stands in `docs/operations.md`; parts of it are in the README.

use std::{
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use serde_json::json;
use transcode_config::contract::{JobStatus, Stage, StatusReport, status_key};
use transcode_tests::{Stack, StackOptions, paths};

use super::{readme, still::Still};

const LIMIT: Duration = Duration::from_mins(2);

/// Longer than the day: it is cancelled. Made of the clip of 5 s.
const REPEATS: &str = "60";

struct Day {
    stack: Stack,
    still: Still,
    /// What was typed and printed, made still.
    transcript: Vec<String>,
}

impl Day {
    async fn begins() -> Self {
        let options = StackOptions {
            environment: "prod".into(),
            task_env: vec![("TRANSCODE_HEARTBEAT_SECONDS".into(), "1".into())],
            with_roles: true,
            ..StackOptions::default()
        };
        let options =
            options.setting("calls.receive_wait_seconds", "1").setting("observe.describe_seconds", "1");
        // The report has the queues' counts as often.
        let options = options.setting("metrics.period_seconds", "1");
        let stack = Stack::with(options).await.unwrap();
        let folder = stack.folder();
        std::fs::create_dir(folder.join("laptop")).unwrap();
        let laptop = |name: &str| folder.join("laptop").join(name);
        std::fs::write(laptop("good.mp4"), paths::tiny_clip(folder).unwrap()).unwrap();
        std::fs::copy(laptop("good.mp4"), laptop("next.mp4")).unwrap();
        std::fs::write(laptop("bad.mp4"), "hello, I am a letter to the editor").unwrap();
        let clip = paths::clip().unwrap();
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-v", "error", "-nostdin", "-stream_loop", REPEATS, "-i"]).arg(clip);
        assert!(ffmpeg.args(["-c", "copy"]).arg(laptop("long.mp4")).status().unwrap().success());
        let profile =
            std::fs::read_to_string(paths::checkout().join("config/profiles/standard.toml")).unwrap();
        let preview = profile.replacen("name = \"standard\"", "name = \"preview\"", 1);
        let (head, rungs) = preview.split_once("[[rung]]").unwrap();
        let first = rungs.split("[[rung]]").next().unwrap();
        std::fs::write(laptop("preview.toml"), format!("{head}[[rung]]{first}")).unwrap();
        Self { stack, still: Still::of_a_run(), transcript: Vec::new() }
    }

    /// A line in the operator's shell, on a machine that knows the stack's name alone.
    fn shell(&self, line: &str) -> Command {
        let program = paths::binary("transcode-controller").unwrap();
        let path = format!("{}:/usr/bin:/bin", program.parent().unwrap().display());
        let operator = self.stack.environment_as(&self.stack.deployment.roles.operator).unwrap();
        let mut shell = Command::new("bash");
        shell.args(["-o", "pipefail", "-c", line]).current_dir(self.stack.folder().join("laptop"));
        shell.env_clear().envs(operator).env("PATH", path).env("TRANSCODE_STACK", "prod");
        shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        shell
    }

    /// Types a command, and notes it with what it printed. Returns that.
    fn types(&mut self, arguments: &str, status: i32) -> String {
        let line = format!("transcode-controller {arguments}");
        let output = self.shell(&line).output().unwrap();
        self.noted(&line, &output, status)
    }

    fn noted(&mut self, line: &str, output: &Output, status: i32) -> String {
        let said = [output.stdout.as_slice(), &output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert_eq!(output.status.code(), Some(status), "{line}: {said}");
        let still = self.still.text(said.trim_end());
        let raw = said;
        let status = if status == 0 { String::new() } else { format!("\n(exit status {status})") };
        let command = self.still.text(line);
        let printed = if still.is_empty() { still } else { format!("\n{still}") };
        self.transcript.push(format!("$ {command}{printed}{status}"));
        raw
    }

    /// A remark in the transcript.
    fn then(&mut self, remark: &str) {
        self.transcript.push(format!("# {remark}"));
    }

    /// Types a command that goes on beside the others.
    fn begins_to_type(&self, arguments: &str) -> Child {
        self.shell(&format!("transcode-controller {arguments}")).spawn().unwrap()
    }

    /// Waits until the controller reports something.
    async fn reports(&self, what: &str, is: impl Fn(&StatusReport) -> bool) {
        let key = status_key("prod");
        let look = async || Ok(self.stack.document::<StatusReport>(&key).await?.filter(&is).map(drop));
        self.stack.wait_for(&format!("the report says: {what}"), LIMIT, look).await.unwrap();
    }

    async fn letters(&self, many: u64) {
        let look = async || {
            let counts = self.stack.queue_counts(&self.stack.deployment.dead_letter_queue).await?;
            Ok((counts.visible == many).then_some(()))
        };
        self.stack.wait_for("dead letters", LIMIT, look).await.unwrap();
    }
}

fn of<'a>(report: &'a StatusReport, key: &str) -> Option<&'a JobStatus> {
    report.jobs.iter().find(|job| job.key.as_deref() == Some(key))
}

/// Messages that wait, that are held, and that are dead.
fn counts(report: &StatusReport) -> [u64; 3] {
    let queue = report.queues.get("default").copied().unwrap_or_default();
    [queue.visible, queue.in_flight, queue.dead_letters.unwrap_or_default()]
}

/// Lines that differ in nothing that stands still are one.
fn changes(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.dedup();
    lines.join("\n")
}

// The gate before ECS works in threads of this process while a command is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_is_played_with_nothing_but_the_commands() {
    let mut day = Day::begins().await;
    day.then(
        "export TRANSCODE_STACK=prod. One task at a time today, so that one upload waits for the other.",
    );
    day.types("settings set launch.max_tasks=1 --why \"a quiet day\"", 0);
    day.reports("one task at a time", |report| report.max_tasks == 1).await;
    day.types("submit good.mp4 --key films/ --wait", 0);
    day.types("submit bad.mp4 --key films/ --wait", 4);
    day.types("explain films/bad.mp4", 0);
    // A service of the customer asks for a profile that nobody has put yet.
    let source = json!({"bucket": day.stack.deployment.source_bucket, "key": "films/good.mp4"});
    let request = json!({"schema": 1, "kind": "transcode.job", "source": source, "profile": "preview"});
    day.stack.send_job(&request.to_string()).await.unwrap();
    day.letters(2).await;

    day.types("submit long.mp4 --key films/", 0);
    let long = |report: &StatusReport| {
        of(report, "films/long.mp4")
            .is_some_and(|job| job.stage == Some(Stage::Transcoding) && job.speed.is_some())
    };
    day.reports("the long one is transcoded", long).await;
    day.types("submit next.mp4 --key films/", 0);
    let waits = |report: &StatusReport| counts(report) == [1, 1, 2];
    day.reports("the next one waits", |report| waits(report) && long(report)).await;
    let list = day.types("list", 0);
    let explain = day.types("explain films/next.mp4", 0);
    let watch = day.begins_to_type("watch films/long.mp4");
    an_evening_without_launches(&mut day).await;
    let watched = watch.wait_with_output().unwrap();
    let watched = changes(&day.still.text(&String::from_utf8(watched.stdout).unwrap()));
    the_next_version(&mut day).await;

    let transcript = day.transcript.join("\n");
    readme::block("docs/operations.md", "day", &transcript);
    readme::shows("list", "list", &day.still.text(&list));
    readme::shows("explain", "explain films/next.mp4", &day.still.text(&explain));
    readme::shows("watch", "watch films/long.mp4 | cat", &watched);
}

/// Pause, and the long one is a mistake.
async fn an_evening_without_launches(day: &mut Day) {
    day.types("pause --why \"the encoder is upgraded tonight\"", 0);
    day.reports("launches pause", |report| report.launches_pause.is_some()).await;
    day.types("explain films/next.mp4", 0);
    day.types("cancel films/long.mp4 --why \"wrong cut\" --wait", 0);
}

/// An update in the pause; what waited and what was dead goes on in the new version.
async fn the_next_version(day: &mut Day) {
    day.then("CloudFormation ends this controller and starts the next version.");
    day.stack.controller().unwrap().stop(Duration::from_secs(30)).unwrap();
    day.stack.start_controller().await.unwrap();
    day.reports("the next one speaks", |report| !report.ended && report.launches_pause.is_some()).await;
    day.types("plan", 0);
    day.types("dead-letters list", 0);
    day.types("profile put preview.toml --why \"the shop asks for it\"", 0);
    day.types("resume --why \"upgraded\"", 0);
    day.types("wait films/next.mp4", 0);
    let moved = day.types("dead-letters redrive --code UNKNOWN_PROFILE", 0);
    let next = moved.split("runs again as job ").nth(1).and_then(|rest| rest.split(',').next()).unwrap();
    day.types(&format!("wait {next}"), 0);
    day.types("dead-letters discard --code NOT_MEDIA --yes | tee discarded.jsonl | wc -l", 0);
    let good = format!("submit s3://{}/films/good.mp4", day.stack.deployment.source_bucket);
    day.types(&good, 0);
    day.reports("rest", |report| report.jobs.is_empty() && counts(report) == [0, 0, 0]).await;
    day.types("list", 0);
}
