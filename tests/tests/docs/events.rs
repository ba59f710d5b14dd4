//! `docs/events.md`: the kinds of events, and an example of each.

use std::fmt::Write;

use serde_json::json;
use transcode_config::contract::{
    Attempt, EVENT_SOURCE, EventCancel, EventFailure, EventKind, EventObject, EventProgress, EventResult,
    FailureCode, JobEvent, JobKey, SCHEMA, Stage,
};

use super::{check, head, row};

const INTRODUCTION: &str = "# Events of jobs\n\nWith `events.bus` in the [settings](settings.md#events), the controller sends \
    an event for each step of a job to a bus of Amazon EventBridge; rules of the bus bring them to SNS, SQS, Lambda or, as \
    a webhook, to an HTTPS address. Without it nothing is sent and nothing costs.\n\n\
    **Guaranteed (S18):** for each job whose message is deleted, at least one event of its outcome, after its terminal \
    record exists and its stable names are published. A dead job is told before its letter is sent. While the bus does \
    not answer, the message waits for `events.outbox_after_seconds` at most; then the event lies in `outbox/` of the state \
    bucket and is sent when the bus is back. An event may come twice and out of order: drop repeats by `detail.id`.\n\n\
    **Not guaranteed:** all other kinds. Nothing waits for them; the bus gets what the controller happens to see, and what \
    it does not take is dropped (`EventsDropped`). Do not build on them.\n";

const FIELDS: &str = "\nFilter by `source`, `detail-type`, and, where several stacks share a bus, `detail.environment`. \
    `detail` never exceeds 32 KiB. Object keys, words and messages come from strangers: escape them where you show them. \
    `user_metadata` holds the caller's own words: those of the request, else the `x-amz-meta-*` of the object, which the \
    task reads; an event from before it did has none. An event says `succeeded` with the names that lie below \
    `result.prefix`; a job that succeeded behind a newer upload is told as `superseded`, with its own folder as \
    `result.prefix` and no names: its files lie there, as `result.files` lists them, and no viewer is led to them. New \
    fields may come; `schema` grows only if a field changes its meaning.\n\n";

#[test]
fn events() {
    let mut text = format!("{INTRODUCTION}{FIELDS}`source` is `{EVENT_SOURCE}`.\n\n");
    text += &head(&["`detail.kind`", "`detail-type`", "guaranteed", "`detail.id`"]);
    for kind in EventKind::ALL {
        let guaranteed = if kind.is_outcome() { "yes" } else { "" };
        let more = match kind {
            EventKind::Started | EventKind::PlayableEarly => ".<attempt>",
            EventKind::Progress => ".<attempt>.<minute since 1970>",
            _ => "",
        };
        let id = format!("`<job>.<generation>.{kind}{more}`");
        text += &row(&[&format!("`{kind}`"), &format!("`{}`", kind.detail_type()), guaranteed, &id]);
    }
    for event in examples() {
        let envelope =
            json!({"source": EVENT_SOURCE, "detail-type": event.kind.detail_type(), "detail": event});
        let shown = serde_json::to_string_pretty(&envelope).unwrap();
        write!(text, "\n## {}\n\n```json\n{shown}\n```\n", event.kind.detail_type()).unwrap();
    }
    check("events.md", &text);
}

/// One event of each kind.
pub(crate) fn examples() -> Vec<JobEvent> {
    EventKind::ALL.into_iter().map(example).collect()
}

fn example(kind: EventKind) -> JobEvent {
    let job = JobKey::of(&["example"]);
    let prefix = "videos/films/cat.mp4/";
    let folder = format!("{prefix}v-{}-1/", &job.as_str()[..12]);
    let is = |wanted| kind == wanted;
    let attempt = Attempt::FIRST.number();
    let id = match kind {
        EventKind::Started | EventKind::PlayableEarly => format!("{job}.0.{kind}.{attempt}"),
        EventKind::Progress => format!("{job}.0.{kind}.{attempt}.29857634"),
        _ => format!("{job}.0.{kind}"),
    };
    JobEvent {
        schema: SCHEMA,
        id,
        kind,
        environment: "prod".into(),
        job: job.clone(),
        generation: 0,
        at_ms: 1_791_458_040_000,
        asked_at_ms: Some(1_791_457_920_000),
        attempt: (!is(EventKind::Accepted)).then_some(Attempt::FIRST),
        source: Some(EventObject {
            bucket: "prod-uploads".into(),
            key: "films/cat.mp4".into(),
            version_id: None,
        }),
        profile: Some("standard".into()),
        tenant: None,
        user_metadata: serde_json::from_value(json!({"user-id": "42"})).unwrap(),
        progress: is(EventKind::Progress).then_some(EventProgress { stage: Stage::Transcoding, percent: 37 }),
        playable: is(EventKind::PlayableEarly).then(|| EventObject {
            bucket: "prod-videos".into(),
            key: format!("{folder}early.m3u8"),
            version_id: None,
        }),
        result: match kind {
            EventKind::Succeeded => Some(result(prefix, &folder, &NAMES)),
            EventKind::Superseded => Some(result(&folder, &folder, &[])),
            _ => None,
        },
        failure: is(EventKind::Dead).then(|| EventFailure {
            code: FailureCode::NotMedia,
            message: "the file is not a video".into(),
            who: FailureCode::NotMedia.info().who,
        }),
        superseded_by: is(EventKind::Superseded).then(|| JobKey::of(&["newer"])),
        cancelled: is(EventKind::Cancelled)
            .then(|| EventCancel { who: "ann".into(), why: "wrong file".into() }),
    }
}

const NAMES: [&str; 5] = ["poster.jpg", "metadata.json", "manifest.json", "manifest.mpd", "master.m3u8"];

fn result(prefix: &str, folder: &str, names: &[&str]) -> EventResult {
    EventResult {
        bucket: "prod-videos".into(),
        prefix: prefix.into(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        files: format!("{folder}files.json"),
        duration_ms: 93_400,
        bytes: 48_211_904,
        warnings: Some(0),
    }
}
