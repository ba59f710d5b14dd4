//! `doctor`: the checks of [`crate::doctor`], for people or as JSON.

use std::{process::ExitCode, time::Duration};

use aws_config::BehaviorVersion;
use transcode_config::Settings;

use super::session::{Session, say};
use crate::{
    aws::query::Query,
    doctor::{Status, Ward, examine, render, worst},
};

/// Nothing failed, and some checks gave no result.
const EXIT_UNKNOWN: u8 = 3;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Doctor {
    /// Print findings as JSON.
    #[arg(long)]
    json: bool,
    /// Role whose permissions are checked, by ARN: the controller's. Default: the caller's own.
    #[arg(long, value_name = "ARN")]
    role: Option<String>,
    /// Longest time of each check, in seconds.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
}

impl Doctor {
    pub(super) async fn run(self, session: Session) -> anyhow::Result<ExitCode> {
        let Session { settings, clients, .. } = session;
        let settings = patient(settings, self.timeout);
        let sdk = aws_config::defaults(BehaviorVersion::latest()).load().await;
        let ward = Ward { query: Query::new(sdk, &settings.calls), settings, clients, role: self.role };
        let findings = examine(&ward, Duration::from_secs(self.timeout)).await;
        let text =
            if self.json { serde_json::to_string_pretty(&findings)? + "\n" } else { render(&findings) };
        say(&text)?;
        Ok(match worst(&findings) {
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
