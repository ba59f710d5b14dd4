//! S3's conditional writes, step by step, as a publication uses them: `If-None-Match: *` and `If-Match` of a PUT, and of a
//! copy over its target. Each lets exactly one in (S17).

use std::sync::Arc;

use serde_json::json;
use transcode_config::contract::{Attempt, JobSpec, Layout, Published, SCHEMA, SourceObject, SourceOrder};
use transcode_core::protocol::publishing::{Answer, If, Step, Tag};

use super::{Subject, scenarios::spec};

fn upload(subject_key: &str, sequencer: &str) -> String {
    json!({"Records": [{"eventVersion": "2.1", "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "uploads"},
               "object": {"key": subject_key, "size": 1, "eTag": "e", "sequencer": sequencer}}}]})
    .to_string()
}

fn pointer(spec: &JobSpec, serial: u64) -> Box<Published> {
    let order = SourceOrder::of(spec, None, 1);
    Box::new(Published {
        schema: SCHEMA,
        output: spec.output.clone(),
        source: SourceObject { bucket: spec.source.bucket.clone(), key: spec.source.key.clone() },
        job: spec.job.clone(),
        attempt: Attempt::FIRST,
        folder: format!("{}{}", spec.output.prefix, Layout::of(&spec.job).folder(Attempt::FIRST)),
        highest_sequencer: order.sequencer.clone(),
        order,
        serial,
        published_at_ms: 1,
    })
}

async fn written(subject: &mut impl Subject, spec: &Arc<JobSpec>, step: Step) -> bool {
    match subject.publish(spec, step).await {
        Answer::Written(written) => written,
        other => panic!("{other:?}"),
    }
}

/// The tag of what lies under a stable name.
async fn seen(subject: &mut impl Subject, spec: &Arc<JobSpec>) -> Option<Tag> {
    match subject.publish(spec, Step::Look(0)).await {
        Answer::Seen(tag) => tag,
        other => panic!("{other:?}"),
    }
}

/// The pointer: whose, and its tag.
async fn live(subject: &mut impl Subject, spec: &Arc<JobSpec>) -> Option<(Box<Published>, Tag)> {
    match subject.publish(spec, Step::ReadPointer).await {
        Answer::Pointer(pointer) => pointer,
        other => panic!("{other:?}"),
    }
}

/// S3: a condition is checked when the write is carried out, and a write that it refuses changes nothing.
pub(crate) async fn conditions(subject: &mut impl Subject) {
    let bodies = ["0A", "0B"].map(|sequencer| upload("published.mp4", sequencer));
    for body in &bodies {
        subject.post(body).await;
    }
    let [old, new] = bodies.map(|body| spec(&body));
    let never: If = If::Still("\"0123456789abcdef0123456789abcdef\"".into());

    assert_eq!((seen(subject, &old).await, live(subject, &old).await), (None, None));
    let moved = |spec: &JobSpec, serial, condition: If| Step::MovePointer(pointer(spec, serial), condition);
    assert!(!written(subject, &old, moved(&old, 1, never.clone())).await, "If-Match where nothing lies");
    assert!(written(subject, &old, moved(&old, 1, If::Absent)).await);
    assert!(!written(subject, &new, moved(&new, 1, If::Absent)).await, "If-None-Match where something lies");
    assert!(!written(subject, &new, moved(&new, 2, never.clone())).await, "If-Match of another tag");
    let (there, tag) = live(subject, &new).await.unwrap();
    assert_eq!((&there.job, there.serial), (&old.job, 1));
    assert!(written(subject, &new, moved(&new, 2, If::Still(tag.clone()))).await);
    assert!(!written(subject, &new, moved(&new, 2, If::Still(tag))).await, "the tag of before");
    assert_eq!(live(subject, &old).await.map(|(there, _)| there.job.clone()), Some(new.job.clone()));

    assert!(
        !written(subject, &new, Step::Write(0, never.clone())).await,
        "a copy with If-Match where nothing lies"
    );
    assert!(written(subject, &new, Step::Write(0, If::Absent)).await);
    assert!(
        !written(subject, &new, Step::Write(0, If::Absent)).await,
        "a copy with If-None-Match over something"
    );
    assert!(!written(subject, &new, Step::Write(0, never)).await, "a copy with If-Match of another tag");
    let tag = seen(subject, &new).await.unwrap();
    assert_eq!(seen(subject, &old).await, Some(tag.clone()), "one name for both");
    assert!(written(subject, &new, Step::Write(0, If::Still(tag))).await);
}
