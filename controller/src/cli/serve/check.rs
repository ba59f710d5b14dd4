//! `check-config` and `healthcheck`.

use std::path::Path;

use anyhow::ensure;
use transcode_config::Settings;

use crate::cli::{output::say, setup::load};

/// Prints the settings in effect.
pub(crate) fn check_config(file: &Path) -> anyhow::Result<()> {
    say(&toml::to_string_pretty(&load(file)?)?)
}

/// Asks the controller on this machine whether its loop turns.
pub(crate) fn healthcheck(settings: &Settings) -> anyhow::Result<()> {
    let healthy = crate::observe::http::ask_health(settings.http.listen.parse()?)?;
    ensure!(healthy, "the controller is not healthy");
    Ok(())
}
