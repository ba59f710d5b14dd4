//! Receiving is a decision. Without tenants: no more messages than jobs that can be launched. With tenants: as many as
//! the queue has, to learn which tenants wait.

use super::output::Planner;
use crate::{
    policy::Policy,
    protocol::{action::Action, clock::Now, fact::QueueName},
    state::{away, ledger::Ledger},
    weakness::{Weakness, weak},
};

/// Most messages that are about to be put back at the same time.
const SPARES: usize = 500;

/// Most messages of one receive: SQS' limit.
const RECEIVE_MAX: usize = 10;

pub(super) fn plan(plan: &mut Planner, policy: &Policy, ledger: &Ledger, now: Now) {
    // After a restart the first list of tasks comes before the first receive: running tasks must be known before their
    // messages return.
    if ledger.stands_still(policy) || !ledger.resync.done {
        return;
    }
    let asks = |queue: &QueueName| {
        if ledger.steering.queues.contains_key(queue) {
            return false;
        }
        ledger.receiving.get(queue).is_none_or(|it| it.call.is_none() && it.retry_at <= now.mono)
    };
    let known = policy.queues.keys().filter_map(|queue| ledger.receiving.get(queue));
    known.filter(|it| it.call.is_none() && it.retry_at > now.mono).for_each(|it| plan.wake(it.retry_at));
    if !policy.queues.keys().any(asks) {
        return;
    }
    let asked: usize = ledger
        .receiving
        .values()
        .filter_map(|receiving| receiving.call.map(|(max, _)| usize::from(max)))
        .sum();
    let leases = policy.max_leases.saturating_sub(ledger.held() + asked);
    if leases == 0 {
        return;
    }
    let mut room = room(policy, ledger).saturating_sub(asked).min(leases);
    let mut places =
        if weak(Weakness::NeverLooksAhead) { 0 } else { policy.look_ahead.map_or(0, |_| leases) };
    let mut queues: Vec<(&QueueName, u32)> =
        policy.queues.iter().map(|(name, weight)| (name, *weight)).collect();
    // The queue that has had the smallest part of its share comes first. Otherwise, with room for one message only, an
    // empty queue of great weight would be asked for ever and no other queue.
    let had = |queue: &QueueName| {
        if weak(Weakness::LetsEmptyQueueStarveOthers) {
            0
        } else {
            ledger.receiving.get(queue).map_or(0, |receiving| receiving.served)
        }
    };
    queues.sort_by_key(|(queue, weight)| {
        (had(queue).saturating_mul(1000) / u64::from((*weight).max(1)), std::cmp::Reverse(*weight))
    });
    for (index, (queue, weight)) in queues.iter().enumerate() {
        if !asks(queue) {
            continue;
        }
        let others: u32 = queues.iter().skip(index).map(|(_, weight)| *weight).sum();
        let room_of = if crowded(queue, ledger, now) { room } else { room.max(places) };
        let share = share(room_of, *weight, others).min(RECEIVE_MAX);
        if share > 0 {
            (room, places) = (room.saturating_sub(share), places.saturating_sub(share));
            plan.act(Action::Receive { queue: (*queue).clone(), max: u8::try_from(share).unwrap_or(1) });
        }
    }
}

/// Whether receiving from a queue must stop: so many of its messages were put back that SQS would deliver no more, or
/// so many are about to be put back that the calls for it seem to fail.
fn crowded(queue: &QueueName, ledger: &Ledger, now: Now) -> bool {
    let away = ledger.receiving.get(queue).map_or(0, |receiving| receiving.away.count(now.mono));
    away + ledger.leases.len() >= away::MOST || ledger.spares.len() >= SPARES
}

/// This queue's part of the room; at least one while there is room.
fn share(room: usize, weight: u32, weights: u32) -> usize {
    let part = room * weight as usize / weights.max(1) as usize;
    part.max(usize::from(room > 0))
}

/// Number of messages to receive: free slots, less the jobs that already wait for one, plus one for each task whose
/// message has not come back yet. So finished work is settled even when all slots are taken.
fn room(policy: &Policy, ledger: &Ledger) -> usize {
    let mut free = ledger.room(policy);
    // The number of tasks of the usual size that fit into the rest of the vCPU limit.
    let by_cpu = usize::try_from(free.cpu / u64::from(policy.variant.cpu.max(1))).unwrap_or(usize::MAX);
    free.tasks = free.tasks.min(by_cpu);
    if ledger.breaker.open(policy).is_some() {
        free.tasks = free.tasks.min(1);
    }
    free.tasks.saturating_add(ledger.in_flight.adopted()).saturating_sub(ledger.in_flight.waiting())
}
