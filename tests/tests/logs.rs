//! The output of controller and task for `awslogs`: one JSON object a line, with fields that tell a job's story; and
//! the queries of docs/operations.md use only existing fields.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::Path,
    time::Duration,
};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::Value;
use transcode_config::contract::Outcome;
use transcode_local::{Fault, FaultKind};
use transcode_tests::{Stack, StackOptions, images::Image, paths};

const LIMIT: Duration = Duration::from_mins(4);

/// Object keys of the two uploads. The first would be shown backwards by what shows a log.
const GOOD: &str = "go\u{202e}od \"1\".mp4";
const BAD: &str = "bad.mp4";

/// A log line. A repeated field name is an error: JSON parsers disagree on which of the two counts.
#[derive(Debug)]
struct Line(BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Strict;
        impl<'de> Visitor<'de> for Strict {
            type Value = Line;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line, A::Error> {
                let mut fields = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if fields.contains_key(&name) {
                        return Err(A::Error::custom(format!("{name} comes twice")));
                    }
                    fields.insert(name, value);
                }
                Ok(Line(fields))
            }
        }
        deserializer.deserialize_map(Strict)
    }
}

impl Line {
    /// The text of a field, by its name in Logs Insights: `span.job` is `job` in the object `span`.
    fn text(&self, path: &str) -> Option<&str> {
        let mut names = path.split('.');
        let first = self.0.get(names.next()?)?;
        names.try_fold(first, |value, name| value.get(name))?.as_str()
    }

    fn message(&self) -> &str {
        self.text("message").unwrap_or_default()
    }

    /// The names of all fields, as Logs Insights finds them.
    fn fields(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for (name, value) in &self.0 {
            names.insert(name.clone());
            let inner = value.as_object().into_iter().flat_map(|object| object.keys());
            names.extend(inner.map(|inner| format!("{name}.{inner}")));
        }
        names
    }
}

fn lines(file: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(file).unwrap();
    let line =
        |line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{}: {why}: {line}", file.display()));
    text.lines().map(line).collect()
}

fn once(kind: FaultKind) -> Fault {
    Fault { kind, operation: Some("RunTask".into()), job: None, count: Some(1), one_in: None }
}

/// Launches pause because there is no image, one is refused, a task does not start; then one job succeeds and one
/// fails.
async fn eventful() -> Stack {
    let options = StackOptions { without_image: true, ..StackOptions::default() }
        .setting("launch.cooldown_seconds", "1")
        .setting("observe.resync_seconds", "1")
        .setting("observe.describe_seconds", "1")
        .setting("image.recheck_seconds", "1")
        .setting("calls.receive_wait_seconds", "1")
        .setting("jobs.retry_base_seconds", "1")
        .setting("jobs.retry_cap_seconds", "1");
    let stack = Stack::with(options).await.unwrap();
    stack.fargate.fault(&once(FaultKind::ThrottleWrapped)).await.unwrap();
    let reason = "CannotPullContainerError: no such image".to_owned();
    stack.fargate.fault(&once(FaultKind::StartFailure { reason })).await.unwrap();
    stack.put_source(GOOD, &paths::test_picture(stack.folder()).unwrap()).await.unwrap();
    stack.put_source_body(BAD, b"no video".to_vec()).await.unwrap();
    let log = stack.folder().join("logs/controller.out");
    let paused = async || {
        let text = std::fs::read_to_string(&log)?;
        Ok(text.contains("launches pause: the task's image does not fit").then_some(()))
    };
    stack.wait_for("launches pause", LIMIT, paused).await.unwrap();
    stack.push_image(&Image::default()).await.unwrap();
    for key in [GOOD, BAD] {
        stack.wait_for_terminal_record(key, LIMIT).await.unwrap();
    }
    stack.wait_for_empty_queue(LIMIT).await.unwrap();
    // The controller says so once it has heard that the message is deleted.
    let told = async || {
        let text = std::fs::read_to_string(&log)?;
        Ok(["\"job succeeded\"", "\"job dead\""].iter().all(|end| text.contains(end)).then_some(()))
    };
    stack.wait_for("both ends are told", LIMIT, told).await.unwrap();
    stack
}

/// No log file shows a hidden character as it is.
fn nothing_is_hidden_in(file: &Path) {
    let text = std::fs::read_to_string(file).unwrap();
    assert!(!text.contains('\u{202e}'), "{}", file.display());
}

/// Each line of a task has its identity; returns all lines.
fn of_tasks(stack: &Stack) -> Vec<Line> {
    let mut all = Vec::new();
    for file in stack.fargate.task_logs() {
        nothing_is_hidden_in(&file);
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let task = name.rsplit_once('-').unwrap().0;
        for (number, line) in lines(&file).into_iter().enumerate() {
            // The first line comes before the task has read which object its job is about.
            let key = line.text("span.key").is_some_and(|key| [GOOD, BAD].contains(&key));
            assert!(key || number == 0, "{line:?}");
            assert!(line.text("span.job").is_some_and(|job| job.len() == 32), "{line:?}");
            assert!(line.text("span.attempt").is_some_and(|one| one.parse::<u32>().is_ok()), "{line:?}");
            assert_eq!(line.text("span.task"), Some(task), "{line:?}");
            all.push(line);
        }
    }
    all
}

/// In the controller's log, each line about an attempt names it.
fn of_controller(stack: &Stack) -> Vec<Line> {
    let complaints = std::fs::read_to_string(stack.folder().join("logs/controller.log")).unwrap();
    assert_eq!(complaints, "", "everything goes the one way");
    nothing_is_hidden_in(&stack.folder().join("logs/controller.out"));
    let all = lines(&stack.folder().join("logs/controller.out"));
    for line in &all {
        let named = match line.message() {
            "job received" | "job succeeded" | "job dead" => &["job"][..],
            "attempt claimed" | "launch sent" | "launch refused" => &["job", "attempt"],
            "task launched" | "task running" | "task ended" => &["job", "attempt", "task"],
            _ => &[],
        };
        assert!(named.iter().all(|name| line.text(name).is_some()), "{named:?}: {line:?}");
        let key = line.text("key").is_some_and(|key| [GOOD, BAD].contains(&key));
        assert!(key || line.text("job").is_none(), "the object key is missing: {line:?}");
    }
    all
}

/// The result of the query for one job, in its order.
fn story<'a>(all: &'a [Line], job: &str) -> Vec<&'a str> {
    let ours = |line: &&Line| line.text("job") == Some(job) || line.text("span.job") == Some(job);
    let mut found: Vec<_> = all.iter().filter(ours).collect();
    found.sort_by_key(|line| line.text("timestamp"));
    found.into_iter().map(Line::message).collect()
}

/// Whether these come in this order, with any other lines between.
fn in_order(story: &[&str], wanted: &[&str]) -> bool {
    let mut rest = story.iter();
    wanted.iter().all(|one| rest.any(|found| found == one))
}

#[tokio::test]
async fn every_line_is_one_object_and_the_documented_queries_find_what_they_name() {
    let stack = eventful().await;
    let mut all = of_controller(&stack);
    all.extend(of_tasks(&stack));
    for line in &all {
        let always = ["timestamp", "level", "target"].iter().all(|name| line.text(name).is_some());
        assert!(always && line.0.contains_key("message"), "{line:?}");
    }

    for (key, end) in [(GOOD, "job succeeded"), (BAD, "job dead")] {
        let record = stack.record(&stack.job_of(key).await.unwrap().unwrap().job).await.unwrap().unwrap();
        assert_eq!(matches!(record.outcome, Outcome::Succeeded(_)), key == GOOD);
        let story = story(&all, record.job.as_str());
        // "task started" is the task's own word, the others are the controller's.
        let wanted = ["job received", "attempt claimed", "task launched", "task started", "task ended", end];
        assert!(in_order(&story, &wanted), "{story:#?}");
    }

    let document = std::fs::read_to_string(paths::checkout().join("docs/operations.md")).unwrap();
    let queries: Vec<_> =
        document.split("```insights\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(queries.len() >= 6, "{}", queries.len());
    let known: BTreeSet<String> = all.iter().flat_map(Line::fields).collect();
    for query in queries {
        let (fields, texts) = asked_for(query);
        let unknown: Vec<_> =
            fields.iter().filter(|name| !name.starts_with('@') && !known.contains(*name)).collect();
        assert!(unknown.is_empty(), "no line has {unknown:?}:\n{query}");
        for text in texts.iter().filter(|text| !text.contains('…')) {
            let said = |line: &Line| line.message() == text || line.text("level") == Some(text);
            assert!(all.iter().any(said), "no line says {text:?}:\n{query}");
        }
    }
}

/// The fields and the quoted texts of a query. A word before a parenthesis is a function; a name after `as` is the
/// query's own.
fn asked_for(query: &str) -> (BTreeSet<String>, Vec<String>) {
    const WORDS: [&str; 14] = [
        "fields", "filter", "sort", "stats", "limit", "by", "as", "and", "or", "not", "in", "like", "asc",
        "desc",
    ];
    let (mut fields, mut texts, mut own) = (BTreeSet::new(), Vec::new(), BTreeSet::new());
    for (n, part) in query.split('"').enumerate() {
        if n % 2 == 1 {
            texts.push(part.to_owned());
            continue;
        }
        let word = |byte: char| byte.is_alphanumeric() || "@._".contains(byte);
        let (mut rest, mut last) = (part, "");
        while let Some(start) = rest.find(word) {
            rest = &rest[start..];
            let (name, after) = rest.split_at(rest.find(|byte| !word(byte)).unwrap_or(rest.len()));
            rest = after;
            let number = name.starts_with(|first: char| first.is_ascii_digit());
            if last == "as" {
                own.insert(name.to_owned());
            } else if !number && !after.starts_with('(') && !WORDS.contains(&name) {
                fields.insert(name.to_owned());
            }
            last = name;
        }
    }
    fields.retain(|name| !own.contains(name));
    (fields, texts)
}
