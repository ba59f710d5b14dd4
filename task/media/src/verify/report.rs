//! The checks and their results.

use serde::Serialize;
use transcode_config::contract::{Failure, FailureCode};

/// One rule, applied to one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Stable id of the rule, such as `video.frames`.
    pub rule: &'static str,
    /// The object of the check, such as `video/720p`.
    pub subject: String,
    /// The measured value, as text.
    pub measured: String,
    /// The allowed value or range, as text.
    pub allowed: String,
    /// Whether it holds.
    pub passed: bool,
    /// Whether it is only a warning: a broken one is reported, and the package stays valid.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub advisory: bool,
}

/// The report that lies beside the result as `verification.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Verification {
    /// Whether every rule holds.
    pub passed: bool,
    pub checks: Vec<Check>,
}

impl Verification {
    /// Records a check.
    #[allow(clippy::needless_pass_by_value, reason = "numbers and texts alike, most of them made for it")]
    pub fn check(
        &mut self,
        rule: &'static str,
        subject: &str,
        passed: bool,
        measured: impl ToString,
        allowed: impl ToString,
    ) {
        self.checks.push(Check {
            rule,
            subject: subject.to_owned(),
            measured: measured.to_string(),
            allowed: allowed.to_string(),
            passed,
            advisory: false,
        });
    }

    /// Records that `measured` must lie within `tolerance` of `wanted`. In seconds.
    pub fn near(&mut self, rule: &'static str, subject: &str, measured: f64, wanted: f64, tolerance: f64) {
        let passed = (measured - wanted).abs() <= tolerance + 1e-6;
        self.check(rule, subject, passed, format!("{measured:.6}"), format!("{wanted:.6} ± {tolerance:.6}"));
    }

    /// Records that two values must be the same.
    pub fn same<T: PartialEq + ToString>(
        &mut self,
        rule: &'static str,
        subject: &str,
        measured: &T,
        wanted: &T,
    ) {
        self.check(rule, subject, measured == wanted, measured.to_string(), wanted.to_string());
    }

    /// The report, or a failure that names the first rule that does not hold.
    pub fn concluded(mut self) -> Result<Self, Failure> {
        let broken: Vec<_> = self.checks.iter().filter(|check| !check.passed && !check.advisory).collect();
        if let Some(first) = broken.first() {
            return Err(Failure::new(
                FailureCode::VerifyFailed,
                format!("{} does not hold for {}", first.rule, first.subject),
            )
            .with("rule", first.rule)
            .with("subject", &first.subject)
            .with("measured", &first.measured)
            .with("allowed", &first.allowed)
            .with("broken_rules", broken.len()));
        }
        self.passed = true;
        Ok(self)
    }
}
