//! Tasks that hold no slot, whatever a controller knew before it absorbs these facts.

use transcode_config::contract::Outcome;
use transcode_core::{
    protocol::{fact::Fact, task_view::TaskArn},
    state::ledger::Ledger,
};

/// Tasks that only a heartbeat shows, and whose attempt was over when their job was decided.
pub(super) fn history(facts: &[Fact], ledger: &Ledger) -> Vec<TaskArn> {
    let told = |arn: &TaskArn| {
        facts.iter().any(|fact| match fact {
            Fact::TaskSeen(view) | Fact::TaskListed(view) => view.arn == *arn,
            Fact::Launched { task, .. } => task == arn,
            _ => false,
        })
    };
    let over = facts.iter().filter_map(|fact| {
        let Fact::Inspected { snapshot, .. } = fact else { return None };
        let (terminal, beat) = (snapshot.terminal.as_ref()?, snapshot.heartbeat.as_ref()?);
        let over = match &terminal.outcome {
            Outcome::Succeeded(winner) => winner.attempt == beat.attempt,
            Outcome::Dead(_) | Outcome::Superseded(_) | Outcome::Cancelled(_) => true,
        };
        over.then(|| beat.task_arn.as_deref().map(|arn| TaskArn(arn.into())))?
    });
    over.filter(|arn| !ledger.tasks.contains_key(arn) && !told(arn)).collect()
}
