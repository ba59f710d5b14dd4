//! An audio track that was converted to one format.

use std::{ffi::OsString, path::PathBuf};

use crate::process::local;

/// A converted track.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Even {
    pub file: PathBuf,
    /// When its first sample is played, in seconds from where reading begins.
    pub start: f64,
}

impl Even {
    /// The options that open it instead of the source's track.
    pub fn input(&self) -> Vec<OsString> {
        let fixed = ["-protocol_whitelist", "file", "-format_whitelist", "matroska", "-itsoffset"];
        let mut args = fixed.map(OsString::from).to_vec();
        args.push(format!("{:.6}", self.start).into());
        args.push("-i".into());
        args.push(local(&self.file));
        args
    }
}
