//! S19: a cancelled job is not begun again and never published, and what is paused is not begun.

use transcode_config::contract::{Cancels, Claim, Control, JobKey, Outcome};
use transcode_core::{
    message::Request,
    protocol::{action::Action, clock::Ms},
    state::{lease::Lease, ledger::Ledger},
};

use super::{Kept, keep};
use crate::truth::JobTruth;

/// Whether a control document cancels a job whose message was sent then (ms since 1970).
pub fn names(control: &Control, job: &JobTruth, sent_at_ms: Ms) -> bool {
    let Request::Run(spec) = &job.request else { return false };
    let (bucket, key) = (&spec.source.bucket, &spec.source.key);
    let address = format!("{bucket}/{key}");
    control.cancels.iter().any(|cancel| match &cancel.what {
        Cancels::Job(named) => named == job.key(),
        Cancels::Tenant(tenant) => sent_at_ms < cancel.told.at_ms && address.starts_with(tenant.as_str()),
        Cancels::Prefix { bucket: of, prefix } => {
            sent_at_ms < cancel.told.at_ms && of == bucket && key.starts_with(prefix.as_str())
        }
    })
}

/// Nothing is begun of what is cancelled, paused or drained, or before the document is known (`None`), as far as its
/// controller has heard. `cancelled` gives the job if its controller has heard that it is.
pub fn s19_steered<'a>(
    action: &Action,
    heard: Option<&Control>,
    ledger: &Ledger,
    cancelled: impl Fn(&JobKey) -> Option<&'a JobTruth>,
) -> Kept {
    let whole = heard.is_none_or(|control| control.paused.is_some() || control.drained.is_some());
    let part = |job: &JobKey| heard.is_some_and(|control| part_is_paused(control, job, ledger));
    match action {
        Action::Claim { claim, .. } | Action::Launch { claim } => {
            let job = &claim.job;
            let what = || format!("{} of {job}, which is cancelled or paused", action.name());
            keep(cancelled(job).is_none() && !whole && !part(job), "S19", what)
        }
        Action::Receive { queue, .. } => {
            let paused = heard.is_some_and(|control| control.paused_queues.contains_key(queue));
            keep(!whole && !paused, "S19", || format!("{queue} is paused, and it is received from"))
        }
        Action::GiveUp { job, terminal } => {
            let ends = matches!(terminal.outcome, Outcome::Cancelled(_)) || cancelled(job).is_none();
            keep(ends, "S19", || format!("{job} is cancelled and ends as {:?}", terminal.outcome))
        }
        Action::Extend { lease, .. } => {
            let jobs = ledger.leases.get(&lease.message).into_iter().flat_map(Lease::jobs);
            let mut open = jobs.filter_map(|key| ledger.jobs.get(key)).filter(|job| job.terminal().is_none());
            let drained = heard.is_some_and(|control| control.drained.is_some());
            let kept = drained && open.next().is_some();
            keep(!kept, "S19", || format!("{} is kept in a drain", lease.message.0))
        }
        _ => Ok(()),
    }
}

/// Whether each message of a job is from a paused queue, or its tenant is paused.
fn part_is_paused(control: &Control, key: &JobKey, ledger: &Ledger) -> bool {
    let Some(job) = ledger.jobs.get(key) else { return false };
    let mut queues = job.leases.keys().filter_map(|message| ledger.leases.get(message)).peekable();
    let queue = queues.peek().is_some() && queues.all(|it| control.paused_queues.contains_key(&it.queue));
    let Some(Request::Run(spec)) = &job.request else { return queue };
    let address = format!("{}/{}", spec.source.bucket, spec.source.key);
    queue || control.paused_tenants.keys().any(|tenant| address.starts_with(tenant.as_str()))
}

/// A job ends as cancelled only if somebody wanted that.
pub fn s19_cancel_was_asked(job: &JobTruth, asked: bool) -> Kept {
    keep(asked, "S19", || format!("{} ends as cancelled, and nobody wanted that", job.key()))
}

/// No attempt follows one whose task was stopped to cancel the job.
pub fn s19_never_again(claim: &Claim) -> Kept {
    let stopped = claim.history.iter().find(|past| past.message.contains("cancel:"));
    keep(stopped.is_none(), "S19", || {
        format!("attempt {} of {} was claimed after {stopped:?}", claim.attempt, claim.job)
    })
}
