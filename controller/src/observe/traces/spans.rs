//! From changes to spans. Each span is complete when it is made: its begin is in a record, in the message, or in ECS'
//! timestamps, so that no state is kept and a restart loses nothing that another controller could not tell.

use transcode_config::contract::{Attempt, JobKey, Outcome, Span, Terminal};
use transcode_core::{
    absorb::change::Change,
    message::Tenant,
    protocol::{clock::Ms, fact::Refusal, task_view::TaskView},
    state::ledger::Ledger,
};

/// What a change ends. `wall` is now (ms since 1970).
pub(super) fn spans(
    change: &Change,
    ledger: &Ledger,
    wall: Ms,
    key_of: impl Fn(&JobKey) -> Option<String>,
) -> Vec<Span> {
    match change {
        Change::MessageReceived { message, queue, jobs, tenants, sent_at_ms } => {
            let times = (sent_at_ms.unwrap_or(wall), wall);
            let received = |(job, tenant): (&JobKey, &Option<Tenant>)| {
                let span = Span::of_step(job, "received", times).with_text("transcode.queue", Some(queue));
                let span = span.with_text("transcode.tenant", tenant.as_ref().map(|it| &*it.name));
                span.with_text("messaging.message.id", Some(&message.0))
                    .with_text("transcode.key", key_of(job).as_deref())
            };
            jobs.iter().zip(tenants).map(received).collect()
        }
        Change::Launched { job, attempt, task } => {
            let times = (claimed_at(ledger, job, *attempt).unwrap_or(wall), wall);
            let span = Span::of_attempts_step(job, *attempt, "launch", "", times);
            vec![span.with_text("aws.ecs.task.arn", Some(&task.0))]
        }
        Change::LaunchRefused { job, attempt, refusal } => {
            let times = (claimed_at(ledger, job, *attempt).unwrap_or(wall), wall);
            let why = match refusal {
                Refusal::Definitive(reason) => reason.clone(),
                Refusal::Failed(error) => error.to_string(),
            };
            // An attempt may be refused several times: each is a span.
            let span = Span::of_attempts_step(job, *attempt, "launch refused", &wall.to_string(), times);
            vec![span.failed(Some(why))]
        }
        Change::TaskEnded { view, .. } => ended(view, wall),
        Change::JobSettled { terminal, superseded, sent_at_ms } => settled(
            terminal,
            *superseded,
            sent_at_ms.unwrap_or(terminal.written_at_ms),
            wall,
            key_of(&terminal.job).as_deref(),
        ),
        _ => Vec::new(),
    }
}

/// When the newest attempt was claimed, if it is this one.
fn claimed_at(ledger: &Ledger, job: &JobKey, attempt: Attempt) -> Option<Ms> {
    let newest = ledger.jobs.get(job)?.attempt.as_ref()?;
    (newest.claim.attempt == attempt).then_some(newest.claim.created_at_ms)
}

/// The attempt, and the phases of its start by ECS' clock.
fn ended(view: &TaskView, wall: Ms) -> Vec<Span> {
    let Some(identity) = &view.identity else { return Vec::new() };
    let (job, attempt, billed) = (&identity.job, identity.attempt, &view.billed);
    let end = billed.stopped_at.unwrap_or(wall);
    let begin = [billed.created_at, billed.pull_started_at, billed.started_at]
        .into_iter()
        .flatten()
        .next()
        .unwrap_or(end);
    // What ECS says of an end that was no ordinary one; the exit code alone says what the task thought of it.
    let trouble = view.exit_code.filter(|code| *code != 0).map(|code| format!("exit code {code}"));
    let trouble = trouble.or_else(|| view.exit_code.is_none().then(|| view.stopped_reason.clone()).flatten());
    let mut whole = Span::of_attempt(job, attempt, (begin, end))
        .with_text("aws.ecs.task.arn", Some(&view.arn.0))
        .with_text("aws.ecs.stop_code", view.stop_code.as_deref())
        .failed(trouble);
    if let Some(code) = view.exit_code {
        whole = whole.with("process.exit.code", code.into());
    }
    let phases = [
        ("provisioning", billed.created_at, billed.pull_started_at),
        ("pull", billed.pull_started_at, billed.pull_stopped_at),
        ("start", billed.pull_stopped_at, billed.started_at),
    ];
    let phases = phases
        .into_iter()
        .filter_map(|(name, from, to)| Some(Span::of_attempts_step(job, attempt, name, "", (from?, to?))));
    std::iter::once(whole).chain(phases).collect()
}

/// The last step, and the job as a whole.
fn settled(terminal: &Terminal, superseded: bool, asked_at: Ms, wall: Ms, key: Option<&str>) -> Vec<Span> {
    let job = &terminal.job;
    let (outcome, code) = match &terminal.outcome {
        Outcome::Dead(dead) => ("dead", Some(dead.failure.code)),
        Outcome::Superseded(_) => ("superseded", None),
        Outcome::Cancelled(_) => ("cancelled", None),
        Outcome::Succeeded(_) if superseded => ("superseded", None),
        Outcome::Succeeded(_) => ("succeeded", None),
    };
    let settle = Span::of_step(job, "settle", (terminal.written_at_ms, wall));
    let whole = Span::of_job(job, (asked_at, wall))
        .with_text("transcode.key", key)
        .with_text("transcode.outcome", Some(outcome))
        .with_text("transcode.code", code.map(|code| code.info().name))
        .failed(code.map(|code| code.to_string()));
    vec![settle, whole]
}
