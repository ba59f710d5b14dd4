//! The inputs of the planner. Each method is in the module of its subject.

use crate::{policy::Policy, protocol::clock::Now, state::ledger::Ledger};

/// The inputs of the planner.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub policy: &'a Policy,
    pub ledger: &'a Ledger,
    pub now: Now,
}
