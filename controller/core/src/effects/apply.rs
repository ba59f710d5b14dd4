//! Carrying an action out: one action, one call through one port, the facts that answer it.
//!
//! This module makes no choices and retries nothing: a failed call is a fact, and the planner decides whether the call
//! may be repeated.

use std::sync::Arc;

use transcode_config::contract::{JobEvent, JobKey};

use crate::{
    effects::{
        batch::{Timeout, Work},
        ports::{Bus, Cluster, InspectError, Ports, Queue, Store, Waiting},
    },
    protocol::{
        action::{Action, LeaseRef},
        clock::Ms,
        fact::{CallError, ErrorClass, Fact, MessageId, Refusal, Resolution},
        task_view::TaskArn,
        via::Via,
    },
};

/// Carries one call out. Returns at least one fact for each action in it, whatever happens.
pub async fn carry_out<Q: Queue, C: Cluster, S: Store, B: Bus>(
    work: Work,
    ports: &Ports<Q, C, S, B>,
) -> Vec<Fact> {
    match work {
        Work::One(action) => apply(action, ports).await,
        Work::Deletes(leases) => deletes(&leases, &ports.queue).await,
        Work::Events(bus, events) => announced(&bus, &events, &ports.bus).await,
        Work::Timeouts(all) => timeouts(&all, &ports.queue).await,
    }
}

/// Carries one action out. Returns at least one fact, whatever happens.
#[allow(clippy::too_many_lines, reason = "a table: one arm for each kind of action")]
pub async fn apply<Q: Queue, C: Cluster, S: Store, B: Bus>(
    action: Action,
    ports: &Ports<Q, C, S, B>,
) -> Vec<Fact> {
    match action {
        Action::Receive { queue, max } => vec![match ports.queue.receive(&queue, max).await {
            Ok(messages) => Fact::Received { queue, messages },
            Err(error) => Fact::ReceiveFailed { queue, error },
        }],
        Action::Inspect { job, known } => vec![match ports.store.inspect(&job, known.as_ref()).await {
            Ok(snapshot) => Fact::Inspected { job, snapshot: Box::new(snapshot) },
            Err(error) => not_read(job, error),
        }],
        Action::ReadSpec { job } => vec![match ports.store.spec(&job).await {
            Ok(spec) => Fact::SpecRead { job, spec: spec.map(Box::new) },
            Err(error) => not_read(job, error),
        }],
        Action::Claim { spec, claim } => vec![match ports.store.claim(&spec, &claim).await {
            Ok(there) => Fact::Claimed {
                job: spec.job.clone(),
                claim: Box::new(there.claim),
                spec: there.accepted.then(|| Arc::clone(&spec)),
            },
            Err(error) => not_read(spec.job.clone(), error),
        }],
        Action::Launch { claim } => {
            let (job, attempt) = (claim.job.clone(), claim.attempt);
            vec![match ports.cluster.launch(&claim).await {
                Ok(task) => Fact::Launched { job, attempt, task },
                Err(refusal) => Fact::LaunchRefused { job, attempt, refusal },
            }]
        }
        Action::Describe { tasks } => describe(tasks, &ports.cluster).await,
        Action::Resync => match ports.cluster.list().await {
            Ok(views) => views
                .into_iter()
                .map(|view| Fact::TaskListed(Box::new(view)))
                .chain([Fact::Resynced { complete: true }])
                .collect(),
            Err(error) => {
                vec![Fact::DescribeFailed { tasks: Vec::new(), error }, Fact::Resynced { complete: false }]
            }
        },
        Action::Survey => vec![match ports.store.survey().await {
            Ok(sightings) => Fact::Surveyed { sightings },
            Err(error) => Fact::SurveyFailed { error },
        }],
        Action::Resolve => vec![match ports.cluster.task_definition().await {
            Ok(Resolution::Fit(pinned)) => Fact::Resolved(pinned),
            Ok(Resolution::Unfit(reason)) => Fact::Unfit { reason },
            Err(error) => Fact::ResolveFailed { error },
        }],
        Action::Stop { task, reason } => vec![match ports.cluster.stop(&task, reason).await {
            Ok(()) => Fact::Stopped { task },
            Err(error) => Fact::StopFailed { task, error },
        }],
        Action::GiveUp { job, terminal } => vec![match ports.store.give_up(&terminal).await {
            Ok(there) => Fact::Decided { job, terminal: Box::new(there) },
            Err(error) => not_read(job, error),
        }],
        Action::Publish { job, winner, spec } => {
            vec![match ports.store.publish(&job, spec.as_deref(), &winner).await {
                Ok(publication) => Fact::Published { job, publication },
                Err(error) => not_read(job, error),
            }]
        }
        Action::Index { terminal, spec, asked } => {
            let job = terminal.job.clone();
            vec![match ports.store.index(&terminal, spec.as_deref(), asked.as_deref()).await {
                Ok(()) => Fact::Indexed { job },
                Err(error) => not_read(job, error),
            }]
        }
        Action::Announce { event, via: Via::Bus(bus) } => announced(&bus, &[event], &ports.bus).await,
        Action::Announce { event, via: Via::Outbox } => {
            vec![told(&event, Via::Outbox, ports.store.put_aside(&event).await)]
        }
        Action::Resend { bus, environment, after } => {
            vec![resend(&bus, &environment, after.as_deref(), ports).await]
        }
        Action::Collect { job, spec, losers } => {
            vec![match ports.store.collect(&job, spec.as_deref(), &losers).await {
                Ok(()) => Fact::Collected { job },
                Err(error) => Fact::JobCallFailed { job, error },
            }]
        }
        Action::DeadLetter(letter) => {
            let message = letter.lease.message.clone();
            vec![match ports.queue.dead_letter(&letter).await {
                Ok(()) => Fact::DeadLettered { message, job: letter.job.clone() },
                Err(error) => Fact::MessageCallFailed { message, error },
            }]
        }
        Action::Delete { .. } | Action::Extend { .. } | Action::Release { .. } => match Work::of(action) {
            Work::Deletes(leases) => deletes(&leases, &ports.queue).await,
            Work::Timeouts(all) => timeouts(&all, &ports.queue).await,
            Work::Events(..) | Work::One(_) => Vec::new(),
        },
    }
}

async fn deletes<Q: Queue>(leases: &[LeaseRef], queue: &Q) -> Vec<Fact> {
    let answers = queue.delete(leases).await;
    let fact = |(lease, answer)| lease_fact(lease, answer, |message| Fact::Deleted { message });
    leases.iter().zip(answers).map(fact).collect()
}

async fn announced<B: Bus>(name: &Arc<str>, events: &[Arc<JobEvent>], bus: &B) -> Vec<Fact> {
    let answers = bus.put(name, events).await;
    let fact = |(event, answer): (&Arc<JobEvent>, _)| told(event, Via::Bus(Arc::clone(name)), answer);
    events.iter().zip(answers).map(fact).collect()
}

fn told(event: &JobEvent, via: Via, answer: Result<(), CallError>) -> Fact {
    let job = event.job.clone();
    match answer {
        Ok(()) => Fact::Announced { job, kind: event.kind, via },
        Err(error) => Fact::JobCallFailed { job, error },
    }
}

/// Sends what waits in the outbox, and removes only what the bus has taken.
async fn resend<Q, C, S: Store, B: Bus>(
    bus: &str,
    environment: &str,
    after: Option<&str>,
    ports: &Ports<Q, C, S, B>,
) -> Fact {
    let Waiting { events, next } = match ports.store.waiting(environment, after).await {
        Ok(waiting) => waiting,
        Err(error) => return Fact::ResendFailed { error },
    };
    let (mut sent, mut kept) = (0, None);
    let waiting: Vec<_> = events.iter().map(|(_, event)| Arc::clone(event)).collect();
    let answers = if waiting.is_empty() { Vec::new() } else { ports.bus.put(bus, &waiting).await };
    for ((key, _), answer) in events.iter().zip(answers) {
        let gone = match answer {
            Ok(()) => ports.store.take_out(key).await,
            Err(error) => Err(error),
        };
        match (gone, &mut kept) {
            (Ok(()), _) => sent += 1,
            (Err(error), None) => kept = Some((1, error)),
            (Err(_), Some((count, _))) => *count += 1,
        }
    }
    Fact::Resent { sent, kept, next }
}

async fn timeouts<Q: Queue>(timeouts: &[Timeout], queue: &Q) -> Vec<Fact> {
    let answers = queue.set_visibility(timeouts).await;
    let fact = |(timeout, answer): (&Timeout, _)| {
        lease_fact(&timeout.lease, answer, |message| {
            if timeout.keep {
                Fact::Extended { message, for_ms: timeout.ms }
            } else {
                Fact::Released { message }
            }
        })
    };
    timeouts.iter().zip(answers).map(fact).collect()
}

/// The facts that answer an action whose call took longer than any call may. The call may have had its effect.
pub fn gave_up(action: &Action, after_ms: Ms) -> Vec<Fact> {
    let error = CallError {
        operation: action.name(),
        class: ErrorClass::Uncertain,
        message: format!("no answer within {} s", after_ms / 1000),
    };
    vec![failed(action, error)]
}

/// The fact that answers an action whose call failed as a whole.
pub fn failed(action: &Action, error: CallError) -> Fact {
    match action {
        Action::Receive { queue, .. } => Fact::ReceiveFailed { queue: queue.clone(), error },
        Action::Inspect { job, .. }
        | Action::ReadSpec { job }
        | Action::GiveUp { job, .. }
        | Action::Publish { job, .. }
        | Action::Collect { job, .. } => Fact::JobCallFailed { job: job.clone(), error },
        Action::Claim { spec, .. } => Fact::JobCallFailed { job: spec.job.clone(), error },
        Action::Index { terminal, .. } => Fact::JobCallFailed { job: terminal.job.clone(), error },
        Action::Announce { event, .. } => Fact::JobCallFailed { job: event.job.clone(), error },
        Action::Resend { .. } => Fact::ResendFailed { error },
        Action::Launch { claim } => Fact::LaunchRefused {
            job: claim.job.clone(),
            attempt: claim.attempt,
            refusal: Refusal::Failed(error),
        },
        Action::Describe { tasks } => Fact::DescribeFailed { tasks: tasks.clone(), error },
        Action::Resync => Fact::Resynced { complete: false },
        Action::Survey => Fact::SurveyFailed { error },
        Action::Resolve => Fact::ResolveFailed { error },
        Action::Stop { task, .. } => Fact::StopFailed { task: task.clone(), error },
        Action::DeadLetter(letter) => {
            Fact::MessageCallFailed { message: letter.lease.message.clone(), error }
        }
        Action::Delete { lease } | Action::Extend { lease, .. } | Action::Release { lease, .. } => {
            Fact::MessageCallFailed { message: lease.message.clone(), error }
        }
    }
}

async fn describe<C: Cluster>(tasks: Vec<TaskArn>, cluster: &C) -> Vec<Fact> {
    match cluster.describe(&tasks).await {
        Ok(answers) => answers
            .into_iter()
            .map(|(arn, view)| {
                view.map_or_else(|| Fact::TaskMissing(arn), |view| Fact::TaskSeen(Box::new(view)))
            })
            .collect(),
        Err(error) => vec![Fact::DescribeFailed { tasks, error }],
    }
}

fn not_read(job: JobKey, error: InspectError) -> Fact {
    match error {
        InspectError::Call(error) => Fact::JobCallFailed { job, error },
        InspectError::Unreadable(reason) => Fact::Unreadable { job, reason },
        InspectError::Reused(spec) => Fact::SpecRead { job, spec: Some(spec) },
    }
}

fn lease_fact(
    lease: &LeaseRef,
    answer: Result<bool, CallError>,
    taken: impl FnOnce(MessageId) -> Fact,
) -> Fact {
    let message = lease.message.clone();
    match answer {
        Ok(true) => taken(message),
        Ok(false) => Fact::LeaseLost { message },
        Err(error) => Fact::MessageCallFailed { message, error },
    }
}
