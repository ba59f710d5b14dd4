//! Jobs whose controller cannot write, or launches nothing.

use transcode_core::effects::ports::Depth;

use super::*;
use crate::observe::http::{Notes, Unwritten, Waiting};

/// The state bucket takes nothing, so the report is of before the job, and no record of it is new.
#[test]
fn a_job_whose_controller_cannot_write_is_explained_by_its_own_word() {
    let refused = "s3:PutObject: AccessDenied: kms:GenerateDataKey";
    let why = format!("claiming an attempt fails (4 calls): {refused}");
    let own = Waiting { why, until_ms: Some(NOW + 2_000), step: Some("claim".into()), refused: true };
    let unwritten = Some(Unwritten { since_ms: NOW - MINUTE, why: refused.into() });
    let jobs = [(job().to_string(), own)].into();
    let notes = Notes { unwritten, jobs, ..Notes::default() };
    let depth = Depth { visible: 0, in_flight: 1, delayed: 0 };
    let evidence =
        Evidence { notes: Some(notes), queues: vec![("default".into(), depth)], ..Evidence::default() };
    let told = explain_with(
        None,
        StatusReport { written_at_ms: NOW - 70_000, ..StatusReport::default() },
        Some(&evidence),
    );
    assert!(told.starts_with("A controller runs, and cannot write its report since"), "{told}");
    has(&told, &["70 s old", refused, "step `claim`", "You can act", "1 in flight"]);
    // It was decided just before: that all is done must not be said.
    let record = decided(won());
    let report = StatusReport { written_at_ms: NOW - 70_000, ..StatusReport::default() };
    let told = explain_with(Some(&record), report, Some(&evidence));
    assert!(!told.contains("It is done") && !told.contains("Nobody has to act"), "{told}");
    let report = StatusReport { written_at_ms: NOW - 70_000, ..StatusReport::default() };
    let told = explain_with(Some(&dead(FailureCode::NotMedia)), report, Some(&evidence));
    has(&told, &["NOT_MEDIA", "The job is not settled yet", "step `claim`", refused]);
    // Without its own word, on another machine: the report is of before the end, also where it mentions the job.
    for jobs in [Vec::new(), waiting("the task is alive", None, None, false).jobs] {
        let report = StatusReport { jobs, written_at_ms: NOW - 70_000, ..StatusReport::default() };
        let told = explain_with(Some(&dead(FailureCode::NotMedia)), report, Some(&Evidence::default()));
        has(&told, &["It is dead", "70 s old, is of before that", "within a minute"]);
        assert!(!told.contains("the task is alive"), "{told}");
    }
    // A controller that answers and does not name it has settled it.
    let idle = Evidence { notes: Some(Notes::default()), ..Evidence::default() };
    let report = StatusReport { written_at_ms: NOW - 70_000, ..StatusReport::default() };
    let told = explain_with(Some(&dead(FailureCode::NotMedia)), report, Some(&idle));
    assert!(told.contains("The same version would fail again") && !told.contains("not settled"), "{told}");
}

/// ECS refuses RunTask for a permission: nobody may be told that nobody has to act.
#[test]
fn a_pause_of_launches_is_something_to_act_on() {
    let refused = "launches pause: ECS refused one: AccessDeniedException: iam:PassRole";
    let jobs = waiting(refused, None, None, false).jobs;
    let pause = PauseStatus { why: "ECS refused one".into(), since_ms: NOW - MINUTE };
    let mut claimed = record(None);
    claimed.attempts[0].claim.launch_not_after_ms = NOW + 4 * MINUTE;
    let report = StatusReport { jobs, launches_pause: Some(pause), ..StatusReport::default() };
    let told = explain(Some(&claimed), report);
    has(
        &told,
        &[
            "waits for ECS to start one",
            "iam:PassRole",
            "you can act: nothing is launched until it is mended",
        ],
    );
    assert!(!told.contains("Nobody has to act"), "{told}");
    let launching = explain(Some(&claimed), waiting("the task is alive", None, None, false));
    has(&launching, &["waits for ECS to start one", "Nobody has to act before that"]);
}
