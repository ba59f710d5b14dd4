//! `doctor`: checks a live environment and says what to repair.
//!
//! Each check reads, judges and reports what it saw. The checks run concurrently, each with its own timeout; one that
//! fails or hangs stops no other. No check changes anything or makes a call that costs money.
//!
//! | file | checks |
//! |---|---|
//! | `account` | identity, clock, vCPU quota |
//! | `permissions` | IAM's answer to every call of the controller |
//! | `queues` | job queues, their dead-letter queues, the events queue |
//! | `buckets` | notifications, versioning, the state bucket's policy |
//! | `cluster` | cluster, task definition, image, size of the overrides |
//! | `network` | subnets and their free addresses |

mod account;
mod buckets;
mod cluster;
mod network;
mod permissions;
mod queues;

use std::{fmt::Write, future::Future, pin::Pin, time::Duration};

use serde::Serialize;
use transcode_config::{
    Settings,
    escape::{Place, escaped},
};
use transcode_core::protocol::fact::CallError;

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
        let todo = format!("give whoever runs doctor {}, or look by hand", error.operation);
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

/// Runs all checks, each for at most `patience`.
pub async fn examine(ward: &Ward, patience: Duration) -> Vec<Finding> {
    let checks: [(&'static str, Findings<'_>); 9] = [
        ("account.identity", Box::pin(account::identity(ward))),
        ("account.permissions", Box::pin(permissions::permissions(ward))),
        ("account.quota", Box::pin(account::quota(ward))),
        ("queues", Box::pin(queues::jobs(ward))),
        ("events.queue", Box::pin(queues::events(ward))),
        ("buckets", Box::pin(buckets::buckets(ward))),
        ("cluster", Box::pin(cluster::cluster(ward))),
        ("definition", Box::pin(cluster::definition(ward))),
        ("network.subnets", Box::pin(network::subnets(ward))),
    ];
    let timed = checks.map(|(name, check)| async move {
        match tokio::time::timeout(patience, check).await {
            Ok(findings) => findings,
            Err(_) => vec![Finding::bad(
                name,
                Status::Unknown,
                format!("no answer within {} s", patience.as_secs()),
                "try again; if it stays, look at routes, endpoints and security groups from where doctor runs",
            )],
        }
    });
    futures::future::join_all(timed).await.concat()
}

/// The worst status.
pub fn worst(findings: &[Finding]) -> Status {
    findings.iter().map(|finding| finding.status).max().unwrap_or(Status::Ok)
}

/// For people: one line for each finding, and below it what to do.
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
        let _ = writeln!(text, "{word:<4} {check}{subject}: {}", line(seen));
        if let Some(todo) = todo {
            let _ = writeln!(text, "     -> {}", line(todo));
        }
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
        assert_eq!(text.lines().count(), 3, "the finding, what to do, the counts: {text:?}");
        assert!(!text.chars().any(|c| c != '\n' && hidden(c)), "{text:?}");
    }
}
