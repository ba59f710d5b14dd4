//! `docs/schema/` against what a run has written, and against documents that are wrong, by a validator that is not ours.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use transcode_config::contract::{EventResult, status_key};
use transcode_tests::{Stack, paths};

/// Checks the cases of standard input: schema, document, whether it must pass, and what it is.
const VALIDATE: &str = r"
import json, sys
from jsonschema import Draft202012Validator
wrong = []
for schema, document, passes, what in json.load(sys.stdin):
    schema = json.load(open(schema))
    Draft202012Validator.check_schema(schema)
    errors = [error.message for error in Draft202012Validator(schema).iter_errors(document)]
    if passes == bool(errors):
        wrong.append([what, errors[:3]])
sys.exit(json.dumps(wrong) if wrong else 0)
";

/// A document and its schema's name.
struct Case(&'static str, Value);

fn validate(cases: &[(String, Value, bool, String)]) {
    let python = paths::tool("test/bin/python").unwrap();
    let mut child = Command::new(python)
        .args(["-c", VALIDATE])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(serde_json::to_string(cases).unwrap().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The documents of a run, and of those who ask for jobs.
async fn written(stack: &Stack, envelopes: &[Value], result: &EventResult) -> Vec<Case> {
    let read = async |bucket: &str, key: &str| -> Value {
        serde_json::from_slice(&stack.read(bucket, key).await.unwrap().unwrap()).unwrap()
    };
    let events = envelopes.iter().map(|envelope| Case("event", envelope["detail"].clone()));
    let mut cases: Vec<Case> = events.collect();
    cases.push(Case("files", read(&result.bucket, &result.files).await));
    for name in ["metadata", "manifest"] {
        cases.push(Case(name, read(&result.bucket, &format!("{}{name}.json", result.prefix)).await));
    }
    let status = status_key(&stack.deployment.environment);
    cases.push(Case("status", read(&stack.deployment.state_bucket, &status).await));
    let toml = |text: &str| serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap();
    cases.push(Case("settings", toml(&std::fs::read_to_string(stack.plan.config()).unwrap())));
    cases.push(Case("settings", toml(transcode_config::DEFAULTS)));
    for profile in ["standard", "hevc", "av1", "audio", "apple-full", "vertical"] {
        let path = paths::checkout().join(format!("config/profiles/{profile}.toml"));
        cases.push(Case("profile", toml(&std::fs::read_to_string(path).unwrap())));
    }
    let request = json!({"schema": 5, "kind": "transcode.job", "source": {"bucket": "b", "key": "k"},
        "clip": {"start_ms": 5}, "user_metadata": {"user": "42"}});
    cases.extend(["request", "message"].map(|name| Case(name, request.clone())));
    let object = json!({"key": "a", "size": 5, "eTag": "e", "sequencer": "01", "more": 1});
    let record = json!({"eventVersion": "2.1", "eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "b"}, "object": object}});
    cases.push(Case("message", json!({"Records": [record]})));
    let detail = json!({"version": "0", "bucket": {"name": "b"}, "object": {"key": "a", "version-id": "v"}});
    cases.push(Case(
        "message",
        json!({"version": "0", "source": "aws.s3", "detail-type": "Object Created", "detail": detail}),
    ));
    cases
}

/// A place of a document, and what does not belong there; nothing: the place is left out.
const WRONG: [(&str, &str, Option<&str>); 15] = [
    ("event", "id", None),
    ("event", "kind", Some("\"done\"")),
    ("event", "job", Some("\"0123\"")),
    ("event", "attempt", Some("0")),
    ("files", "files", None),
    ("files", "attempt", Some("\"one\"")),
    ("metadata", "source", None),
    ("manifest", "hls", Some("{}")),
    ("status", "jobs", Some("{}")),
    ("settings", "launch", Some("{\"max_task\": 3}")),
    ("settings", "events", Some("{\"kinds\": [\"all\"]}")),
    ("profile", "codec", Some("\"vp9\"")),
    ("request", "schema", Some("6")),
    ("request", "profil", Some("\"hevc\"")),
    ("message", "source", Some("\"aws.ec2\"")),
];

/// The examples of the documents: place, schema, document.
fn examples() -> Vec<(String, &'static str, Value)> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(paths::checkout().join("docs")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "md") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for block in text.split("```json\n").skip(1) {
            let json = block.split("```").next().unwrap();
            let document: Value =
                serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"));
            let place = format!("{}: {json}", path.display());
            match document.get("detail") {
                Some(detail) => found.push((place, "event", detail.clone())),
                None => {
                    found.extend(["request", "message"].map(|name| (place.clone(), name, document.clone())));
                }
            }
        }
    }
    found
}

#[test]
fn every_example_of_the_documents_passes_its_schema() {
    let examples = examples();
    assert!(examples.len() >= 12, "{} examples", examples.len());
    let case = |(place, name, document): (String, &str, Value)| (schema(name), document, true, place);
    validate(&examples.into_iter().map(case).collect::<Vec<_>>());
}

/// Each event passes its schema.
pub(crate) fn are_events(envelopes: &[Value]) {
    let case = |envelope: &Value| {
        let kind = envelope["detail"]["kind"].to_string();
        (schema("event"), envelope["detail"].clone(), true, format!("the event {kind} is refused"))
    };
    assert!(!envelopes.is_empty());
    validate(&envelopes.iter().map(case).collect::<Vec<_>>());
}

/// The file of a schema.
fn schema(name: &str) -> String {
    paths::checkout().join(format!("docs/schema/{name}.schema.json")).display().to_string()
}

/// Each document passes its schema, and each wrong one does not.
pub(crate) async fn hold(stack: &Stack, envelopes: &[Value], result: &EventResult) {
    let written = written(stack, envelopes, result).await;
    let mut cases = Vec::new();
    for Case(name, document) in &written {
        cases.push((schema(name), document.clone(), true, format!("{name} is refused")));
    }
    for (name, place, instead) in WRONG {
        let Case(_, document) = written.iter().rfind(|Case(of, _)| *of == name).unwrap();
        let mut document = document.clone();
        let fields = document.as_object_mut().unwrap();
        match instead {
            Some(instead) => drop(fields.insert(place.to_owned(), serde_json::from_str(instead).unwrap())),
            None => drop(fields.remove(place)),
        }
        cases.push((schema(name), document, false, format!("{name} passes with {place} {instead:?}")));
    }
    validate(&cases);
}
