//! L9: one tenant's flood delays no other tenant, shares are kept, and every tenant gets slots.

use transcode_core::{
    protocol::{action::Action, clock::Ms},
    state::ledger::Ledger,
};

use super::{Kept, keep};

/// An upload is claimed at most the time of one slot after it was sent, whatever others have sent before.
pub fn l9_claimed_soon(tenant: &str, waited: Ms, most: Ms) -> Kept {
    keep(waited <= most, "L9", || {
        format!("an upload of {tenant} was claimed after {waited} ms, {most} are allowed")
    })
}

/// While several tenants have work, each has its share of the vCPU-seconds. In thousandths.
pub fn l9_share_is_kept(tenant: &str, had: u64, share: u64, within: u64) -> Kept {
    keep(had.abs_diff(share) <= within, "L9", || {
        format!("{tenant} had {had} of 1000 vCPU-seconds, {share} are its share (within {within})")
    })
}

/// A tenant never has more tasks than it may.
pub fn l9_no_more_than_it_may(tenant: &str, tasks: usize, most: usize) -> Kept {
    keep(tasks <= most, "L9", || format!("{tasks} tasks of {tenant} run, {most} are allowed"))
}

/// SQS does not treat a message that only waits for its turn as a poison message.
pub fn l9_nothing_is_given_up(given_up: usize) -> Kept {
    keep(given_up == 0, "L9", || format!("SQS gave up {given_up} messages that had only been put back"))
}

/// A new tenant with work is passed over by at most as many claims as there are other tenants of its class.
pub fn l9_newcomer_is_next(passed: usize, others: usize) -> Kept {
    keep(passed <= others, "L9", || {
        format!("{passed} claims have passed over a new tenant, and there are {others} others")
    })
}

/// A controller claims nothing for a tenant that has reached its limits.
pub fn l9_limits_are_kept(planned: &[Action], ledger: &Ledger) -> Kept {
    for action in planned {
        let Action::Claim { claim, .. } = action else { continue };
        let Some(job) = ledger.jobs.get(&claim.job) else { continue };
        let Some(account) = ledger.tenants.get(job.tenant) else { continue };
        let usage = ledger.in_flight.tenant(job.tenant).usage;
        let holds = usage.tasks <= account.terms.max_tasks && usage.cpu <= account.terms.max_cpu;
        keep(holds, "L9", || {
            format!("claimed for {} with {usage:?} in flight: {:?}", account.name, account.terms)
        })?;
    }
    Ok(())
}
