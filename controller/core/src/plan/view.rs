//! What planning looks at. Its methods stand with their subjects.

use crate::{policy::Policy, protocol::clock::Now, state::ledger::Ledger};

/// What planning looks at.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub policy: &'a Policy,
    pub ledger: &'a Ledger,
    pub now: Now,
}
