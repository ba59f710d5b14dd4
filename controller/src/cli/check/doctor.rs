//! `doctor`: the checks of [`crate::doctor`], for people or as JSON.

use std::{process::ExitCode, time::Duration};

use aws_config::BehaviorVersion;
use serde::Serialize;
use transcode_config::Settings;

use crate::{
    aws::query::Query,
    cli::{
        output::{Show, Text},
        setup::Session,
    },
    doctor::{Finding, Status, Ward, examine, render, worst},
};

/// Nothing failed, and some checks gave no result.
const EXIT_UNKNOWN: u8 = 3;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Doctor {
    /// Role whose permissions are checked, by ARN. Default: with a stack its controller's; else the caller's own.
    #[arg(long, value_name = "ARN")]
    role: Option<String>,
    /// Longest time of each check, in seconds.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
}

/// What was found, in the order of the checks.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Findings(Vec<Finding>);

impl Show for Findings {
    fn people(&self, text: &mut Text) {
        for line in render(&self.0).lines() {
            text.line(line);
        }
    }

    /// The checks that did not pass.
    fn names(&self) -> Vec<String> {
        let open = self.0.iter().filter(|finding| finding.status != Status::Ok);
        open.map(|finding| finding.check.to_owned()).collect()
    }
}

impl Doctor {
    pub(crate) async fn run(self, session: Session) -> anyhow::Result<ExitCode> {
        let Session { settings, controller_role, clients, output, .. } = session;
        let role = self.role.or(controller_role);
        let settings = patient(settings, self.timeout);
        let sdk = aws_config::defaults(BehaviorVersion::latest()).load().await;
        let ward = Ward { query: Query::new(sdk, &settings.calls), settings, clients, role };
        let findings = examine(&ward, Duration::from_secs(self.timeout)).await;
        let findings = Findings(findings);
        output.print(&findings)?;
        Ok(match worst(&findings.0) {
            Status::Ok | Status::Warn => ExitCode::SUCCESS,
            Status::Unknown => ExitCode::from(EXIT_UNKNOWN),
            Status::Fail => ExitCode::FAILURE,
        })
    }
}

/// Reduces the settings' call timeouts: a call that outlasts its check would only be reported as a timeout.
fn patient(mut settings: Settings, seconds: u64) -> Settings {
    settings.calls.attempt_seconds = settings.calls.attempt_seconds.min(seconds);
    settings.calls.connect_seconds = settings.calls.connect_seconds.min(seconds);
    settings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::prints;

    #[test]
    fn findings_are_a_line_each_and_names_are_those_to_look_at() {
        let todo = "start the controller: look at its service's events and its log";
        prints(
            "doctor",
            &Findings(vec![
                Finding::ok("identity", "arn:aws:sts::123456789012:assumed-role/operator/anna"),
                Finding::bad("controller.report", Status::Fail, "version 0.1.0 spoke 420 s ago", todo),
                Finding::bad("queues.letters", Status::Warn, "3 dead letters", "`dead-letters list`")
                    .of("default"),
            ]),
        );
    }
}
