//! The identity of this task, and the start checks (S8).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio_util::sync::CancellationToken;
use transcode_config::contract::{
    Attempt, Claim, Document, Failure, FailureCode, JobKey, JobSpec, Layout, decode,
};

use super::ending::End;
use crate::{
    aws::{At, Documents},
    retry::{Patience, retry},
};

/// Which attempt at which job this task is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Identity {
    pub job: JobKey,
    /// Number of the attempt, from 1.
    pub attempt: Attempt,
}

/// The order for this task, from the state bucket.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) spec: JobSpec,
    /// The claim of this attempt.
    pub(crate) claim: Claim,
}

impl Identity {
    fn layout(&self) -> Layout<'_> {
        Layout::of(&self.job)
    }
}

/// Reads the order, or returns why there is nothing to do. Does no work and writes nothing.
pub(crate) async fn check(
    documents: &Documents,
    me: &Identity,
    stop: &CancellationToken,
) -> Result<Order, End> {
    still_current(documents, me, stop).await?;
    let claim: Claim = read(documents, &me.layout().claim(me.attempt), stop).await?;
    let spec: JobSpec = read(documents, &me.layout().spec(), stop).await?;
    if claim.job != me.job || claim.attempt != me.attempt || spec.job != me.job {
        return Err(refused("the specification or the claim is of another job or attempt"));
    }
    let order = Order { spec, claim };
    in_time(&order.claim)?;
    Ok(order)
}

/// Whether the attempt may continue: the job is not decided, and no attempt is newer.
pub(crate) async fn still_current(
    documents: &Documents,
    me: &Identity,
    stop: &CancellationToken,
) -> Result<(), End> {
    let look = || documents.standing(&me.job, me.attempt);
    let standing =
        retry(Patience::START, "look at the job", stop, look).await.map_err(End::aws(At::State))?;
    End::of_standing(standing).map_or(Ok(()), Err)
}

/// Whether the launch came in time, by this task's own clock.
///
/// Checked again after the first heartbeat: the controller gives an attempt up only if this moment is past and there
/// is no heartbeat, so it sees a heartbeat that was written before.
pub(crate) fn in_time(claim: &Claim) -> Result<(), End> {
    let (now, limit) = (now_ms(), claim.launch_not_after_ms);
    if now < limit {
        return Ok(());
    }
    let late = Duration::from_millis(now - limit).as_secs();
    Err(End::Superseded(format!("launched {late} s after its deadline")))
}

async fn read<D: Document>(documents: &Documents, key: &str, stop: &CancellationToken) -> Result<D, End> {
    let bytes =
        retry(Patience::START, D::NAME, stop, || documents.get(key)).await.map_err(End::aws(At::State))?;
    let Some(bytes) = bytes else { return Err(refused(format!("there is no {} at {key}", D::NAME))) };
    decode(&bytes).map_err(|error| refused(error.to_string()))
}

fn refused(why: impl Into<String>) -> End {
    Failure::new(FailureCode::ConfigInvalid, why).into()
}

/// The wall clock, in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
