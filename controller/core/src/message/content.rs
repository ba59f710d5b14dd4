//! The content of a body.

use super::{candidate::Candidate, dead_letter::DeadLetterBody, ignored::Ignored};

/// The content of a body, before the generation of its jobs is known.
pub(super) enum Content {
    /// Jobs, and records that ask for none. At least one of the two lists is not empty.
    Found(Vec<Candidate>, Vec<Ignored>),
    Park(String),
    /// A dead letter that a redrive sent back.
    Redriven(Box<DeadLetterBody>),
}

impl Content {
    pub(super) fn one(candidate: Candidate) -> Self {
        Self::Found(vec![candidate], Vec::new())
    }

    pub(super) fn ignored(ignored: Ignored) -> Self {
        Self::Found(Vec::new(), vec![ignored])
    }
}
