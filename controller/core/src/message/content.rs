//! What is inside a body.

use super::{candidate::Candidate, dead_letter::DeadLetterBody};

/// What is inside a body, before it is known under which generation it runs.
pub(super) enum Content {
    Candidates(Vec<Candidate>),
    Ignore(&'static str),
    Park(String),
    /// Came back from the dead-letter queue.
    Redriven(Box<DeadLetterBody>),
}
