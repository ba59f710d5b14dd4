//! The demo's output.

use std::io::{self, Write};

use anyhow::{Context, Result};
use transcode_config::escape::net;

/// Writes a line.
pub(super) fn say(line: &str) -> Result<()> {
    writeln!(io::stdout().lock(), "{}", net(line)).context("standard output")
}

/// A size for people.
pub(super) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}
