//! The tables in `docs/`, and the alarms and the dashboard in the template, are generated from the code that they
//! describe. This test compares them, and with `UPDATE_DOCS=1` writes them. In hand-written documents it checks that
//! the named tests and the links exist.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod costs;
mod events;
mod links;
mod schemas;
mod template;

use std::fmt::Write;

use transcode_config::{
    DEFAULTS,
    aws::{CODES, Meaning},
    contract::{ExitCode, FailureCode, Warning, Who},
    metrics::{Detail, Kind, Metric, MetricInfo, TaskMetric},
};
use transcode_tests::paths;

const REGENERATE: &str = "UPDATE_DOCS=1 cargo test -p transcode-tests --test docs";

/// Compares a document, or writes it.
fn check(name: &str, body: &str) {
    let text =
        format!("<!-- Made by tests/tests/docs from the code. To renew it: {REGENERATE} -->\n\n{body}");
    let path = format!("docs/{name}");
    let found = std::fs::read_to_string(paths::checkout().join(&path)).unwrap_or_default();
    rewrite(&path, &found, &text);
}

/// Compares a file's text with the generated one, or writes it.
fn rewrite(path: &str, found: &str, text: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let path = paths::checkout().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        return;
    }
    let differs = found.lines().zip(text.lines()).find(|(found, expected)| found != expected);
    assert!(found == text, "{path} is not what the code says ({differs:?}). To renew it: {REGENERATE}");
}

/// A row of a table. A bar would end its cell.
fn row(cells: &[&str]) -> String {
    let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |\n", cells.join(" | "))
}

fn head(cells: &[&str]) -> String {
    row(cells) + &row(&vec!["---"; cells.len()])
}

/// A key of `config/controller.toml`.
#[derive(Debug)]
struct Key<'a> {
    table: &'a str,
    name: &'a str,
    value: &'a str,
    /// Without a default: shown commented out.
    example: bool,
    reason: String,
}

/// `name = value`, unless it is prose.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(" = ")?;
    let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    plain.then_some((name, value))
}

/// The keys of the shipped file. A comment stands before its subject: a key, several keys, or a table.
fn keys(text: &str) -> Vec<Key<'_>> {
    let (mut found, mut table, mut reason, mut about_keys) = (Vec::new(), "", Vec::new(), false);
    for line in text.lines() {
        let (content, example) = match line.strip_prefix("# ") {
            Some(content) => (content, true),
            None => (line, false),
        };
        if let Some(name) = content.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            table = name;
            // Of a commented table the reason stands before it and is that of its keys too.
            if !example {
                reason.clear();
            }
        } else if let Some((name, value)) = assignment(content) {
            about_keys = true;
            found.push(Key { table, name, value, example, reason: reason.join(" ") });
        } else if example {
            if std::mem::take(&mut about_keys) {
                reason.clear();
            }
            reason.push(content);
        } else {
            reason.clear();
            about_keys = false;
        }
    }
    found
}

#[test]
fn settings() {
    let mut text = String::from(
        "# Settings\n\nA TOML file, given with `--config`, overrides the defaults, and environment variables override \
         both: `TRANSCODE_LAUNCH__MAX_TASKS=20` sets `launch.max_tasks`. Unknown keys are refused by name; \
         `transcode-controller check-config FILE` prints the result. Names of things in your account have no default; the table shows an example.\n",
    );
    let keys = keys(DEFAULTS);
    let mut table = None;
    for key in &keys {
        if table != Some(key.table) {
            table = Some(key.table);
            let name =
                if key.table.is_empty() { "top level".to_owned() } else { format!("`[{}]`", key.table) };
            write!(text, "\n## {name}\n\n{}", head(&["key", "default", "meaning and reason"])).unwrap();
        }
        let value =
            if key.example { format!("example: `{}`", key.value) } else { format!("`{}`", key.value) };
        text += &row(&[&format!("`{}`", key.name), &value, &key.reason]);
    }
    check("settings.md", &text);

    // Nothing that the file sets was overlooked.
    let defaults: toml::Table = DEFAULTS.parse().unwrap();
    for (table, values) in &defaults {
        all_listed(&keys, table, values.as_table().unwrap());
    }
}

fn all_listed(keys: &[Key<'_>], table: &str, values: &toml::Table) {
    for (name, value) in values {
        if let Some(inner) = value.as_table() {
            all_listed(keys, &format!("{table}.{name}"), inner);
            continue;
        }
        let listed = keys.iter().any(|key| key.table == table && key.name == name && !key.example);
        assert!(listed, "{table}.{name}");
    }
}

#[test]
fn metrics() {
    let mut text = String::from(
        "# Metrics\n\nIn the namespace of `metrics.namespace`, with the dimension `Environment`. What is counted is sent \
         as zero too, so that alarms do not lack data. A custom metric is paid for by name and dimension: there is none \
         by job. With `metrics.detail = \"basic\"`, the default, CloudWatch gets the metrics that are marked so and no \
         dimension but `Environment`; `full` sends all.\n\n## Controller\n\nSent every `metrics.period_seconds`.\n\n",
    );
    let table = |infos: &mut dyn Iterator<Item = MetricInfo>| {
        let rows: String = infos.map(|info| metric_row(&info)).collect();
        head(&["metric", "basic", "unit", "kind", "one more dimension", "what it says"]) + &rows
    };
    text += &table(&mut Metric::ALL.iter().map(|metric| metric.info()));
    text += &in_prometheus();
    text += "\n## Task\n\nSent once, when the attempt is over. One value for each attempt, where it came that far.\n\n";
    text += &table(&mut TaskMetric::ALL.iter().map(|metric| metric.info()));
    check("metrics.md", &text);
}

/// The controller's metrics as Prometheus sees them.
fn in_prometheus() -> String {
    let mut text = String::from(
        "\n## In Prometheus\n\nWith `metrics.prometheus.listen` the controller serves all of the above at `/metrics`, since its \
         start and whatever `metrics.detail` is. A counter with a label has no total: sum it. A distribution is a histogram \
         with these buckets.\n\n",
    );
    text += &head(&["metric", "name", "label", "buckets up to"]);
    for metric in Metric::ALL {
        let info = metric.info();
        let parts = matches!(metric, Metric::QueueDepth | Metric::QueueInFlight).then(|| "queue".to_owned());
        let label = info.prometheus_label().or(parts).unwrap_or_default();
        let bounds = if info.kind == Kind::Distribution { info.bounds() } else { &[] };
        let bounds: Vec<String> = bounds.iter().map(ToString::to_string).collect();
        text += &row(&[info.name, &format!("`{}`", info.prometheus_name()), &label, &bounds.join(", ")]);
    }
    text
}

fn metric_row(info: &MetricInfo) -> String {
    let kind = match info.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Distribution => "distribution",
    };
    let dimension = info.dimension.unwrap_or_default();
    let basic = if Detail::Basic.sends(info) { "yes" } else { "" };
    row(&[&format!("`{}`", info.name), basic, info.unit.name(), kind, dimension, info.meaning])
}

#[test]
fn exit_codes() {
    let mut text = String::from(
        "# Exit codes\n\n## Task\n\nAn exit code is a hint for people, and for the case that the last heartbeat could not \
         be written; terminal record and heartbeat outrank it. Other codes are not the task's own: 137 is SIGKILL (often \
         memory), 139 a crash, 143 SIGTERM.\n\n",
    );
    text += &head(&["code", "name", "meaning", "failure code, if nothing else is known"]);
    for exit in ExitCode::ALL {
        let taken = exit.failure_code().map(|code| link(code.info().name)).unwrap_or_default();
        text += &row(&[&exit.code().to_string(), &format!("{exit:?}"), exit.meaning(), &taken]);
    }
    text += "\n## Controller\n\n";
    text += &head(&["code", "meaning"]);
    for (code, meaning) in [
        ("0", "done; of `run`: drained after SIGTERM or SIGINT; of `healthcheck`: the loop turns"),
        (
            "1",
            "not done; the reason is on standard error, and nothing on standard output; of `submit` for many objects: some \
             were refused; of `cancel --wait`: a job ended otherwise",
        ),
        ("2", "wrong command line, or settings refused; the key is named"),
        (
            "3",
            "of `doctor`: nothing failed, and something could not be found out; 0 and 1 as above, 1 with all findings",
        ),
        (
            "4",
            "of `wait`, and of `submit --wait` for one job: the job is dead; 0 as above: it succeeded and is published",
        ),
        ("5", "of both: the job is superseded by a newer upload"),
        ("6", "of both: the job was cancelled"),
        ("7", "of `wait`: the time was over first"),
    ] {
        text += &row(&[code, meaning]);
    }
    check("exit-codes.md", &text);
}

/// A failure code, linked to its section.
fn link(name: &str) -> String {
    format!("[{name}](errors.md#{})", name.to_lowercase())
}

#[test]
fn warnings() {
    let mut text = String::from(
        "# Warnings\n\nA package may lack something of its source, or show it in another way. `result.warnings` in `metadata.json` has \
         a line for each such thing: one of these words, a colon, and a sentence with figures. A word never changes its meaning.\n\n",
    );
    text += &head(&["word", "meaning"]);
    for warning in Warning::ALL {
        text += &row(&[&format!("`{warning}`"), warning.meaning()]);
    }
    check("warnings.md", &text);
}

#[test]
fn errors() {
    let mut text = String::from(
        "# Failure codes\n\nA job that failed has one of these in its terminal record, its dead letter, its heartbeat and the \
         logs; `JobsDead` counts them in its dimension `Code`. A code never changes its meaning. A version reads a code that it does \
         not know as `INTERNAL`.\n\n",
    );
    let who = |who: Who| match who {
        Who::Uploader => "the uploader",
        Who::Operator => "the operator",
        Who::Aws => "nobody: AWS",
    };
    text += &head(&["code", "tried again", "who can act"]);
    for code in FailureCode::ALL {
        let info = code.info();
        let again = if info.retryable { "yes" } else { "no" };
        text += &row(&[&format!("[{0}](#{1})", info.name, info.name.to_lowercase()), again, who(info.who)]);
    }
    for code in FailureCode::ALL {
        let info = code.info();
        let again = if info.retryable { "It is tried again." } else { "It is not tried again." };
        write!(
            text,
            "\n## {}\n\n{}. {again} Who can act: {}. Exit code {}.\n\n**What to do:** {}.\n",
            info.name,
            capital(info.meaning),
            who(info.who),
            info.exit.code(),
            info.remedy,
        )
        .unwrap();
    }
    text += "\n## What the answers of AWS mean\n\nController and task read errors of AWS by one table. A code that it does not \
             hold is judged by its HTTP status: 301 and 308 are a wrong Region, 401 and 403 a missing permission, 408, 429 and \
             5xx pass, any other refusal is unknown.\n\n";
    text += &head(&["meaning", "what happened", "codes"]);
    for meaning in Meaning::ALL {
        let codes = CODES.iter().filter(|(of, _)| of == meaning).flat_map(|(_, codes)| codes.iter());
        let codes: Vec<_> = codes.map(|code| format!("`{code}`")).collect();
        text += &row(&[meaning.info().name, meaning.info().text, &codes.join(", ")]);
    }
    check("errors.md", &text);
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Every `file.rs::function` of a text.
fn named_tests(text: &str) -> Vec<(&str, &str)> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted
        .filter_map(|name| name.split_once("::"))
        .filter(|(file, _)| file.strip_suffix(".rs").is_some())
        .collect()
}

/// Whether a source has this function and it is a test: attributes are on the lines right above it.
fn is_test(source: &str, function: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let named = format!("fn {function}(");
    let found = lines.iter().position(|line| line.trim_start_matches("async ").starts_with(&named));
    let above = lines.iter().take(found.unwrap_or(0)).rev();
    let mut above = above.take_while(|line| line.starts_with("#[") || line.starts_with("//"));
    above.any(|line| *line == "#[test]" || line.starts_with("#[tokio::test"))
}

/// A document's text; fails if a test or a file that it names does not exist.
fn with_tests_that_exist(document: &str) -> String {
    let source = |file| std::fs::read_to_string(paths::checkout().join(file)).unwrap_or_default();
    let text = source(document);
    for (file, function) in named_tests(&text) {
        assert!(is_test(&source(file), function), "{document}: no test {function} in {file}");
    }
    let quoted = text.split('`').skip(1).step_by(2);
    for file in quoted.filter(|name| name.contains('/') && name.strip_suffix(".rs").is_some()) {
        assert!(!source(file).is_empty(), "{document}: no file {file}");
    }
    text
}

#[test]
fn what_the_security_document_names_is_there() {
    let text = with_tests_that_exist("SECURITY.md");
    assert!(named_tests(&text).len() >= 4, "the table of layers names its tests");
}

#[test]
fn a_function_that_is_no_test_shows_nothing() {
    let source = "#[tokio::test]\n#[allow(dead_code)]\n/// Says so.\nasync fn one() {}\n\n#[allow(x)]\nfn two() {}\n#[test]\nfn three() {}";
    let found = ["one", "two", "three", "four"].map(|name| is_test(source, name));
    assert_eq!(found, [true, false, true, false]);
}

/// Each row of the tables whose heads begin with `head` names a test.
fn each_row_is_shown_by_a_test(document: &str, head: &str) {
    let text = with_tests_that_exist(document);
    let tables = text.split("\n\n").filter(|block| block.starts_with(head));
    let rows: Vec<&str> = tables.flat_map(|table| table.lines().skip(2)).collect();
    assert!(!rows.is_empty());
    for row in rows {
        assert!(!named_tests(row).is_empty(), "{document} shows nothing for: {row}");
    }
}

#[test]
fn each_answer_to_what_hurts_elsewhere_is_shown_by_a_test() {
    each_row_is_shown_by_a_test("docs/why.md", "| problem");
}

#[test]
fn each_kind_of_input_is_shown_by_a_test() {
    each_row_is_shown_by_a_test("docs/media.md", "| input");
}

/// The document is hand-written; the test checks that the named tests exist.
#[test]
fn guarantees() {
    let text = with_tests_that_exist("docs/guarantees.md");
    let ids = (1..=16).map(|n| format!("S{n}")).chain((1..=8).map(|n| format!("L{n}")));
    for id in ids {
        let row = text.lines().find(|line| line.starts_with(&format!("| {id} |")));
        assert!(
            row.is_some_and(|row| !named_tests(row).is_empty()),
            "docs/guarantees.md shows nothing for {id}"
        );
    }
}
