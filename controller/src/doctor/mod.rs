//! `doctor`: checks a live environment and says what to repair.
//!
//! Each check reads, judges and reports what it saw. The caller's identity comes first: without one all the others would
//! fail for the same reason. The rest runs concurrently, each with its own timeout; one that fails or hangs stops no other. No check changes anything or makes a call that costs money.
//!
//! | file | checks |
//! |---|---|
//! | `account` | identity, clock, vCPU quota |
//! | `controller` | whether it speaks, pauses, its breaker, what waits |
//! | `permissions` | IAM's answer to every call of the controller |
//! | `queues` | job queues, their dead-letter queues, the events queue |
//! | `bus` | the bus of jobs' events, its rules, the outbox |
//! | `buckets` | notifications, versioning, the state bucket's policy |
//! | `cluster` | cluster, task definition, image, size of the overrides |
//! | `network` | subnets and their free addresses |

mod account;
mod buckets;
mod bus;
mod cluster;
mod controller;
mod network;
mod permissions;
mod queues;

use std::{fmt::Write, future::Future, pin::Pin, time::Duration};

use serde::Serialize;
use transcode_config::{
    Settings,
    escape::{Place, escaped},
};
use transcode_core::protocol::fact::{CallError, ErrorClass};

use crate::aws::{Clients, query::Query};

/// Result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should be.
    Ok,
    /// It works now and may fail later.
    Warn,
    /// The check gave no result.
    Unknown,
    /// It does not work, or it loses something.
    Fail,
}

/// The result for one checked thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable name, such as `queues.redrive`.
    pub check: &'static str,
    /// Which of several: a queue, a bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Result of the check.
    pub status: Status,
    /// What the check saw.
    pub seen: String,
    /// What to do; `None` if all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub todo: Option<String>,
}

impl Finding {
    /// A check that passed.
    pub fn ok(check: &'static str, seen: impl Into<String>) -> Self {
        Self { check, subject: None, status: Status::Ok, seen: seen.into(), todo: None }
    }

    /// A check that did not pass.
    pub fn bad(
        check: &'static str,
        status: Status,
        seen: impl Into<String>,
        todo: impl Into<String>,
    ) -> Self {
        Self { check, subject: None, status, seen: seen.into(), todo: Some(todo.into()) }
    }

    /// A check whose read failed.
    pub fn unread(check: &'static str, error: &CallError) -> Self {
        let todo = match error.class {
            ErrorClass::Uncertain | ErrorClass::Transient | ErrorClass::Throttled => {
                "AWS did not answer: look at the network and at AWS_ENDPOINT_URL, and run it again".to_owned()
            }
            _ => format!("give whoever runs doctor {}, or look by hand", error.operation),
        };
        Self::bad(check, Status::Unknown, error.to_string(), todo)
    }

    /// Sets the subject.
    #[must_use]
    pub fn of(self, subject: impl Into<String>) -> Self {
        Self { subject: Some(subject.into()), ..self }
    }

    /// Ok if `holds`; else `status` with what to do.
    fn when(
        check: &'static str,
        holds: bool,
        status: Status,
        seen: impl Into<String>,
        todo: impl Into<String>,
    ) -> Self {
        if holds { Self::ok(check, seen) } else { Self::bad(check, status, seen, todo) }
    }
}

/// The inputs of the checks.
#[derive(Debug)]
pub struct Ward {
    /// The settings that the controller runs with.
    pub settings: Settings,
    /// Clients.
    pub clients: Clients,
    /// Calls services without an SDK client.
    pub query: Query,
    /// Role whose permissions are checked; `None`: the caller's.
    pub role: Option<String>,
}

type Findings<'a> = Pin<Box<dyn Future<Output = Vec<Finding>> + 'a>>;

/// Runs all checks, each for at most `patience`. Without an identity it stops there.
pub async fn examine(ward: &Ward, patience: Duration) -> Vec<Finding> {
    let mut findings = timed("account.identity", Box::pin(account::identity(ward)), patience).await;
    if findings.iter().any(|finding| finding.check == "account.identity" && finding.status != Status::Ok) {
        return findings;
    }
    let checks: [(&'static str, Findings<'_>); 11] = [
        ("controller.report", Box::pin(controller::report(ward))),
        ("controller.growing", Box::pin(controller::trend(ward))),
        ("account.permissions", Box::pin(permissions::permissions(ward))),
        ("account.quota", Box::pin(account::quota(ward))),
        ("queues", Box::pin(queues::jobs(ward))),
        ("events.queue", Box::pin(queues::events(ward))),
        ("events.bus", Box::pin(bus::bus(ward))),
        ("buckets", Box::pin(buckets::buckets(ward))),
        ("cluster", Box::pin(cluster::cluster(ward))),
        ("definition", Box::pin(cluster::definition(ward))),
        ("network.subnets", Box::pin(network::subnets(ward))),
    ];
    let all = checks.map(|(name, check)| timed(name, check, patience));
    findings.extend(futures::future::join_all(all).await.concat());
    findings
}

async fn timed(name: &'static str, check: Findings<'_>, patience: Duration) -> Vec<Finding> {
    let Ok(findings) = tokio::time::timeout(patience, check).await else {
        let seen = format!("no answer within {} s", patience.as_secs());
        let todo =
            "try again; if it stays, look at routes, endpoints and security groups from where doctor runs";
        return vec![Finding::bad(name, Status::Unknown, seen, todo)];
    };
    findings
}

/// The worst status.
pub fn worst(findings: &[Finding]) -> Status {
    findings.iter().map(|finding| finding.status).max().unwrap_or(Status::Ok)
}

/// For people: one line for each finding, with what to do behind it.
pub fn render(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { check, subject, status, seen, todo } in findings {
        let word = match status {
            Status::Ok => "ok",
            Status::Warn => "WARN",
            Status::Unknown => "????",
            Status::Fail => "FAIL",
        };
        let line = |words: &str| escaped(words, Place::Line).into_owned();
        let subject = subject.as_ref().map(|subject| format!(" {}", line(subject))).unwrap_or_default();
        // Writing to a string cannot fail.
        let todo = todo.as_ref().map(|todo| format!(" -> {}", line(todo))).unwrap_or_default();
        let _ = writeln!(text, "{word:<4} {check}{subject}: {}{todo}", line(seen));
    }
    let count = |wanted| findings.iter().filter(|finding| finding.status == wanted).count();
    let _ = writeln!(
        text,
        "{} ok, {} to look at, {} failed, {} not found out",
        count(Status::Ok),
        count(Status::Warn),
        count(Status::Fail),
        count(Status::Unknown)
    );
    text
}

#[cfg(test)]
mod tests {
    use transcode_config::escape::hidden;

    use super::*;

    #[test]
    fn what_aws_says_of_strangers_names_is_one_line_and_hides_nothing() {
        let words: String = (0..=0x0010_ffff).filter_map(char::from_u32).filter(|c| hidden(*c)).collect();
        let finding = Finding {
            check: "buckets.source",
            subject: Some(words.clone()),
            status: Status::Fail,
            seen: words.clone(),
            todo: Some(words),
        };
        let text = render(&[finding]);
        assert_eq!(text.lines().count(), 2, "the finding with what to do, and the counts: {text:?}");
        assert!(!text.chars().any(|c| c != '\n' && hidden(c)), "{text:?}");
    }
}
