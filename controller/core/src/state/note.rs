//! Why a job waits.

use std::borrow::Cow;

use crate::protocol::clock::Ms;

/// Why a job is where it is, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// One phrase.
    pub why: Cow<'static, str>,
    /// Nothing happens before this by itself (monotonic), where that is known.
    pub until: Option<Ms>,
}
