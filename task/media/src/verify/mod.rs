//! The proof: every output is parsed again, from disk, and compared with the plan by named rules.
//!
//! Nothing here uses the packager's records; it reads the same files as players. A broken rule fails the job with
//! `VERIFY_FAILED`, and the report names the rule, the measured and the allowed value.

pub mod dash;
mod event_playlist;
mod listing;
mod master;
pub mod playlist;
mod progressive;
pub mod report;
mod rules;
pub mod track;

use std::{io, path::Path};

use transcode_config::contract::{Failure, FailureCode};

use crate::plan::Plan;

pub use dash::MANIFEST;
pub use event_playlist::check as check_event_playlists;
pub use master::MASTER;
pub use report::{Check, Verification};

/// Checks the package at `root` against `plan`. `folder`: the prefix of its addresses. `measured`: checks from
/// earlier steps, which become part of the report.
pub fn verify(root: &Path, folder: &str, plan: &Plan, measured: Vec<Check>) -> Result<Verification, Failure> {
    let mut report = Verification { checks: measured, ..Verification::default() };
    rules::all(root, folder, plan, &mut report).map_err(|error: io::Error| {
        Failure::new(FailureCode::VerifyFailed, "an output cannot be read again")
            .with("rule", "package.readable")
            .with("measured", error)
            .with("allowed", "every file parses to its end")
    })?;
    report.concluded()
}
