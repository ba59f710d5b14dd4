//! What planning looks at. Its methods stand with their subjects.

use crate::{clock::Now, ledger::Ledger, policy::Policy};

/// What planning looks at.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub policy: &'a Policy,
    pub ledger: &'a Ledger,
    pub now: Now,
}
