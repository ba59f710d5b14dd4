//! Settings that cannot be used.

use std::path::Path;

use transcode_config::Settings;

/// The settings cannot be used: not found, not complete, or contradictory. Exit status 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(in crate::cli) struct Refused(pub(super) String);

/// Loads a settings file.
pub(in crate::cli) fn load(file: &Path) -> Result<Settings, Refused> {
    transcode_config::load(file)
        .map_err(|error| Refused(format!("{}: settings refused\n{error}", file.display())))
}
