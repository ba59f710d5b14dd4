//! The controller: does it speak, and does it hold anything up? From its report in the state bucket.

use std::collections::BTreeMap;

use aws_sdk_sqs::types::QueueAttributeName;
use transcode_config::contract::{JobState, StatusReport, status_key};
use transcode_core::effects::ports::InspectError;

use super::{
    Finding, Status, Ward,
    queues::{attributes, number},
};
use crate::{
    aws::S3Store,
    evidence::{Log, own_words},
    observe::http::Unwritten,
    runtime::wall_ms,
};

/// It writes once a minute at least; after twice that time nobody speaks (ms).
const SILENT_MS: u64 = 120_000;

/// A job that waits longer than this is told (ms).
const LONG_MS: u64 = 3_600_000;

const REPORT: &str = "controller.report";

/// All checks of the report.
pub(super) async fn report(ward: &Ward) -> Vec<Finding> {
    let store = S3Store::new(ward.clients.s3.clone(), &ward.settings);
    let read = store.read::<StatusReport>(&status_key(&ward.settings.environment)).await;
    let report = match read {
        Ok(Some(report)) => report,
        Ok(None) => {
            let todo = "start the controller: look at its service's events and its log";
            let seen = "no controller has ever reported in this environment";
            return vec![Finding::bad(REPORT, Status::Fail, seen, todo)];
        }
        Err(InspectError::Call(error)) if error.message.contains("NoSuchBucket") => {
            let todo = "deploy the template, or correct the settings";
            return vec![Finding::bad(REPORT, Status::Fail, "the state bucket does not exist", todo)];
        }
        Err(InspectError::Call(error)) => return vec![Finding::unread(REPORT, &error)],
        Err(InspectError::Unreadable(why)) => {
            let todo = "use this command in the controller's version or a newer one";
            return vec![Finding::bad(REPORT, Status::Unknown, why, todo)];
        }
        Err(InspectError::Reused(_)) => return Vec::new(),
    };
    let now = wall_ms();
    let evidence = own_words(&ward.settings, &ward.query).await;
    vec![
        spoken(&report, evidence.unwritten().as_ref(), now),
        pauses(&report, now),
        breaker(&report),
        control(&report),
        waiting(&report, now),
        log(&evidence.log, &ward.settings.cluster.controller_log_group, now),
    ]
}

/// Whether more waits than the report says. Apart from the others, so that a queue that does not answer holds up none of
/// them; a report that cannot be read has a finding of its own.
pub(super) async fn trend(ward: &Ward) -> Vec<Finding> {
    let store = S3Store::new(ward.clients.s3.clone(), &ward.settings);
    let read = store.read::<StatusReport>(&status_key(&ward.settings.environment)).await;
    let Ok(Some(report)) = read else { return Vec::new() };
    let counts = counts(ward).await;
    vec![growing(&report, &counts, wall_ms())]
}

/// Messages that wait in each queue now. A queue that cannot be read has a finding of its own.
async fn counts(ward: &Ward) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for (name, queue) in &ward.settings.queues {
        if let Ok(attributes) = attributes(ward, &queue.url).await {
            counts
                .insert(name.clone(), number(&attributes, &QueueAttributeName::ApproximateNumberOfMessages));
        }
    }
    counts
}

fn seconds(ms: u64) -> u64 {
    ms / 1000
}

fn spoken(report: &StatusReport, unwritten: Option<&Unwritten>, now: u64) -> Finding {
    let age = report.age_ms(now);
    if let Some(Unwritten { since_ms, why }) = unwritten {
        let since = seconds(now.saturating_sub(*since_ms));
        let seen = format!("a controller runs and cannot write its report for {since} s: {why}");
        let todo = "remove that cause (a permission, a key, the bucket's policy): until then no job is accepted and none ends";
        return Finding::bad(REPORT, Status::Fail, seen, todo);
    }
    let ended = if report.ended { ", and then ended" } else { "" };
    let seen = format!("version {} spoke {} s ago{ended}", report.version, seconds(age));
    let todo = "nothing goes on before a controller runs: look at its service's events and its log";
    Finding::when(REPORT, age <= SILENT_MS && !report.ended, Status::Fail, seen, todo)
}

/// The controller's own log: what it complained of last.
fn log(log: &Log, group: &str, now: u64) -> Finding {
    const CHECK: &str = "controller.log";
    match log {
        Log::Unset => Finding::ok(CHECK, "not looked at: cluster.controller_log_group is not set"),
        Log::Unread(why) => {
            let todo = "give whoever runs doctor logs:FilterLogEvents, correct cluster.controller_log_group, or look by hand";
            Finding::bad(CHECK, Status::Unknown, why.clone(), todo)
        }
        Log::Read(lines) => {
            let errors: Vec<_> = lines.iter().filter(|line| line.level == "ERROR").collect();
            let seen = errors.last().map_or_else(
                || "no error within the last hour".to_owned(),
                |line| {
                    let ago = seconds(now.saturating_sub(line.at_ms));
                    format!(
                        "{} errors within the last hour, the newest {ago} s ago: {}",
                        errors.len(),
                        line.says()
                    )
                },
            );
            let todo = format!("remove what it names, unless it has passed; the log is {group}");
            Finding::when(CHECK, errors.is_empty(), Status::Warn, seen, todo)
        }
    }
}

fn pauses(report: &StatusReport, now: u64) -> Finding {
    let pauses =
        [("launches nothing", &report.launches_pause), ("receives nothing", &report.receiving_pause)];
    let told = pauses.into_iter().filter_map(|(what, pause)| {
        let pause = pause.as_ref()?;
        Some(format!("{what} for {} s: {}", seconds(now.saturating_sub(pause.since_ms)), pause.why))
    });
    let draining = report.draining.then(|| "draining".to_owned());
    let told: Vec<_> = told.chain(draining).collect();
    let todo = "remove the cause, or resume what somebody has paused";
    let seen = if told.is_empty() { "none".to_owned() } else { told.join("; ") };
    Finding::when("controller.pause", told.is_empty(), Status::Warn, seen, todo)
}

fn breaker(report: &StatusReport) -> Finding {
    let seen =
        report.breaker.as_ref().map_or_else(|| "closed".to_owned(), |open| format!("open: {}", open.why));
    let todo = "repair what it names: until then one job is tried at a time";
    Finding::when("controller.breaker", report.breaker.is_none(), Status::Warn, seen, todo)
}

fn control(report: &StatusReport) -> Finding {
    let refused = report.control.as_ref().and_then(|control| control.refused.clone());
    let revision = report.control.as_ref().map_or(0, |control| control.revision);
    let seen = match &refused {
        Some(why) => format!("revision {revision} stays in force, a newer document is refused: {why}"),
        None => format!("revision {revision}"),
    };
    let todo = "write it again with this program, or upgrade the controller";
    Finding::when("controller.control", refused.is_none(), Status::Warn, seen, todo)
}

/// Jobs that wait although slots are free, or for a long time.
fn waiting(report: &StatusReport, now: u64) -> Finding {
    const CHECK: &str = "controller.waiting";
    let visible: u64 = report.queues.values().map(|queue| queue.visible).sum();
    let queued = report.jobs.iter().filter(|job| job.state == JobState::Queued);
    let oldest = queued.map(|job| now.saturating_sub(job.asked_at_ms.unwrap_or(job.known_at_ms))).max();
    let seen = format!(
        "{visible} messages in the queues, {} of {} tasks, oldest waiting job {}",
        report.tasks_in_flight,
        report.max_tasks,
        oldest.map_or_else(|| "none".to_owned(), |ms| format!("{} min", ms / 60_000))
    );
    let idle = visible > 0 && report.tasks_in_flight == 0;
    let todo = if idle {
        "messages wait and nothing runs: `explain` one of them, and see the other findings"
    } else {
        "raise launch.max_tasks if that is too long: `list --state queued` shows the jobs and why each waits"
    };
    Finding::when(CHECK, !idle && oldest.is_none_or(|ms| ms < LONG_MS), Status::Warn, seen, todo)
}

/// Queues that have grown since the report counted them, while every task is taken or none runs: more comes than is made.
fn growing(report: &StatusReport, counts: &BTreeMap<String, u64>, now: u64) -> Finding {
    let full = report.tasks_in_flight >= report.max_tasks || report.tasks_in_flight == 0;
    let grown = counts.iter().filter_map(|(name, &waits)| {
        let before = report.queues.get(name).filter(|before| before.visible < waits)?;
        let ago = seconds(now.saturating_sub(before.counted_at_ms));
        Some(format!("queue {name}: {} messages waited {ago} s ago, {waits} wait now", before.visible))
    });
    let grown: Vec<_> = grown.filter(|_| full).collect();
    let seen = if grown.is_empty() {
        "no queue grows while all tasks are taken".to_owned()
    } else {
        grown.join("; ")
    };
    let todo = "more comes than is made: look again in some minutes; if it goes on, raise launch.max_tasks (`doctor` shows \
                the quota), or hold a sender back with `pause --tenant`";
    Finding::when("controller.growing", grown.is_empty(), Status::Warn, seen, todo)
}

#[cfg(test)]
mod tests {
    use transcode_config::contract::{BreakerStatus, ControlStatus, PauseStatus, QueueStatus};

    use super::*;
    use crate::evidence::Line;

    const NOW: u64 = 1_795_489_200_000;

    fn report() -> StatusReport {
        StatusReport { written_at_ms: NOW - 5_000, max_tasks: 10, ..StatusReport::default() }
    }

    #[test]
    fn a_queue_that_grows_while_all_tasks_are_taken_is_named() {
        let queue = QueueStatus { visible: 12, counted_at_ms: NOW - 40_000, ..QueueStatus::default() };
        let full =
            StatusReport { queues: [("default".to_owned(), queue)].into(), tasks_in_flight: 10, ..report() };
        let now = |waits: u64| [("default".to_owned(), waits), ("new".to_owned(), 9)].into();
        let grown = growing(&full, &now(30), NOW);
        assert_eq!(
            (grown.status, grown.seen.as_str()),
            (Status::Warn, "queue default: 12 messages waited 40 s ago, 30 wait now")
        );
        assert_eq!(growing(&full, &now(12), NOW).status, Status::Ok);
        let free = StatusReport { tasks_in_flight: 3, ..full };
        assert_eq!(
            growing(&free, &now(30), NOW).status,
            Status::Ok,
            "slots are free: they are being launched"
        );
    }

    #[test]
    fn what_makes_jobs_stand_still_is_named() {
        let pause = Some(PauseStatus { why: "paused by anna".into(), since_ms: NOW - 60_000 });
        let paused = pauses(&StatusReport { launches_pause: pause, ..report() }, NOW);
        assert_eq!(paused.seen, "launches nothing for 60 s: paused by anna");
        let unwritten = Unwritten { since_ms: NOW - 60_000, why: "s3:PutObject: AccessDenied".into() };
        let line = |level: &str| Line {
            at_ms: NOW - 9_000,
            level: level.into(),
            message: "a step is refused".into(),
            job: None,
            why: None,
        };
        let open = BreakerStatus { why: "ten jobs failed".into(), probe_at_ms: NOW };
        let refused = ControlStatus { revision: 3, refused: Some("of schema 9".into()) };
        let queue = QueueStatus { visible: 12, ..QueueStatus::default() };
        let idle = StatusReport { queues: [("default".to_owned(), queue)].into(), ..report() };
        for (finding, status) in [
            (spoken(&report(), None, NOW), Status::Ok),
            (spoken(&report(), None, NOW + 420_000), Status::Fail),
            (spoken(&StatusReport { ended: true, ..report() }, None, NOW), Status::Fail),
            (spoken(&report(), Some(&unwritten), NOW), Status::Fail),
            (log(&Log::Unset, "", NOW), Status::Ok),
            (log(&Log::Unread("no".into()), "g", NOW), Status::Unknown),
            (log(&Log::Read(vec![line("WARN")]), "g", NOW), Status::Ok),
            (log(&Log::Read(vec![line("ERROR"), line("WARN")]), "g", NOW), Status::Warn),
            (pauses(&report(), NOW), Status::Ok),
            (paused, Status::Warn),
            (breaker(&report()), Status::Ok),
            (breaker(&StatusReport { breaker: Some(open), ..report() }), Status::Warn),
            (control(&report()), Status::Ok),
            (control(&StatusReport { control: Some(refused), ..report() }), Status::Warn),
            (waiting(&report(), NOW), Status::Ok),
            (waiting(&idle, NOW), Status::Warn),
            (waiting(&StatusReport { tasks_in_flight: 1, ..idle }, NOW), Status::Ok),
        ] {
            assert_eq!(finding.status, status, "{finding:?}");
        }
    }
}
