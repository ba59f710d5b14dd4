//! `doctor`: looks at a live environment and says what to do.
//!
//! Each check reads, judges and says what it saw. They run side by side, each with its own time, and one that fails or
//! hangs stops no other. Nothing is changed, and nothing that costs money is called.
//!
//! | file | checks |
//! |---|---|
//! | `account` | identity, clock, vCPU quota |
//! | `permissions` | what IAM says to all that the controller does |
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

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should be.
    Ok,
    /// It works, and will not always.
    Warn,
    /// It could not be found out.
    Unknown,
    /// It does not work, or loses something.
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable name, such as `queues.redrive`.
    pub check: &'static str,
    /// What of several: a queue, a bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// How it came out.
    pub status: Status,
    /// What was seen.
    pub seen: String,
    /// What to do; none where all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub todo: Option<String>,
}

impl Finding {
    /// All is well.
    pub fn ok(check: &'static str, seen: impl Into<String>) -> Self {
        Self { check, subject: None, status: Status::Ok, seen: seen.into(), todo: None }
    }

    /// Something is not.
    pub fn bad(
        check: &'static str,
        status: Status,
        seen: impl Into<String>,
        todo: impl Into<String>,
    ) -> Self {
        Self { check, subject: None, status, seen: seen.into(), todo: Some(todo.into()) }
    }

    /// It could not be read.
    pub fn unread(check: &'static str, error: &CallError) -> Self {
        let todo = format!("give whoever runs doctor {}, or look by hand", error.operation);
        Self::bad(check, Status::Unknown, error.to_string(), todo)
    }

    /// Of several.
    #[must_use]
    pub fn of(self, subject: impl Into<String>) -> Self {
        Self { subject: Some(subject.into()), ..self }
    }

    /// Fine when `holds`, else `status` with what to do.
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

/// What checks look with.
#[derive(Debug)]
pub struct Ward {
    /// The settings that the controller runs with.
    pub settings: Settings,
    /// Clients.
    pub clients: Clients,
    /// Services without a client.
    pub query: Query,
    /// Whose permissions; none: whoever runs doctor.
    pub role: Option<String>,
}

type Findings<'a> = Pin<Box<dyn Future<Output = Vec<Finding>> + 'a>>;

/// Runs all checks, each for `patience` at most.
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

/// The worst of them.
pub fn worst(findings: &[Finding]) -> Status {
    findings.iter().map(|finding| finding.status).max().unwrap_or(Status::Ok)
}

/// For people: one line each, and below it what to do.
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
