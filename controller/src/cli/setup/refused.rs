//! Settings that cannot be used.

use std::path::Path;

use transcode_config::Settings;

/// The settings cannot be used: not found, not complete, or contradictory. Exit status 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(pub(super) String);

impl Refused {
    /// For this reason.
    pub(crate) fn because(why: &anyhow::Error) -> Self {
        Self(format!("settings refused: {why:#}"))
    }
}

/// Loads a settings file.
pub(crate) fn load(file: &Path) -> Result<Settings, Refused> {
    transcode_config::load(file)
        .map_err(|error| Refused(format!("{}: settings refused\n{error}", file.display())))
}
