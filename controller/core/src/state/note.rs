//! Why a job waits.

use std::borrow::Cow;

use crate::{protocol::clock::Ms, state::failing::Purpose};

/// Why a job waits, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The reason, as one phrase.
    pub why: Cow<'static, str>,
    /// The job waits until then at the earliest (monotonic); `None` if no time is known.
    pub until: Option<Ms>,
    /// The job's step, if the job is decided or the step fails.
    pub step: Option<Purpose>,
    /// AWS refuses that step until somebody removes the cause.
    pub refused: bool,
}
