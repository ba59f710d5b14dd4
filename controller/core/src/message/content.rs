//! What is inside a body.

use super::{candidate::Candidate, dead_letter::DeadLetterBody, ignored::Ignored};

/// What is inside a body, before it is known under which generation it runs.
pub(super) enum Content {
    /// One of the two is not empty.
    Found(Vec<Candidate>, Vec<Ignored>),
    Park(String),
    /// Came back from the dead-letter queue.
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
