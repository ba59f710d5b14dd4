//! A named world.

use transcode_core::policy::Policy;

use super::Setup;
use crate::fault::Fault;

/// A world with a name.
#[derive(Debug)]
pub struct Named {
    /// The promise or the situation.
    pub name: &'static str,
    /// The inputs.
    pub setup: Setup,
    /// The faults and their rates.
    pub faults: &'static [(Fault, f64)],
}

/// A world of good jobs: the plain scenario with this policy and these differences.
pub(super) fn world(
    name: &'static str,
    faults: &'static [(Fault, f64)],
    numbers: impl FnOnce(Policy) -> Policy,
    rest: impl FnOnce(Setup) -> Setup,
) -> Named {
    let plain = Setup::plain();
    let policy = numbers(plain.policy);
    Named { name, setup: rest(Setup { policy, bad: 0, ..plain }), faults }
}
