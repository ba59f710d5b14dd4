//! The promises of the job protocol that one controller can check alone, as predicates on its ledger.
//!
//! Most promises need a view of all processes and services, which only the simulator has; these need the ledger alone.
//! A running controller counts violations as `InvariantViolations`. The simulator checks every plan and every fact of
//! its runs, and expects no violation. A violation never stops the controller: it is seen only after it has happened.

use std::fmt;

use transcode_config::contract::{EventKind, JobKey, Outcome, Terminal};

use crate::{
    policy::Policy,
    protocol::{action::Action, fact::Fact, task_view::TaskView},
    state::{
        lease::{Content, Lease},
        ledger::Ledger,
    },
};

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Its id; see the crate's documentation.
    pub id: &'static str,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, self.what)
    }
}

fn broken(id: &'static str, what: impl FnOnce() -> String, is: bool) -> Option<Violation> {
    is.then(|| Violation { id, what: what() })
}

/// Checks a fact before it is absorbed. Returns the promise that the fact breaks, if any.
pub fn of_fact(fact: &Fact, ledger: &Ledger) -> Option<Violation> {
    match fact {
        Fact::Decided { terminal, .. } => written_once(terminal, ledger),
        Fact::Inspected { snapshot, .. } => written_once(snapshot.terminal.as_deref()?, ledger),
        Fact::TaskSeen(view) | Fact::TaskListed(view) => one_task_for_a_claim(view, ledger),
        _ => None,
    }
}

/// S2: the terminal record is written once, so two readings of it are equal.
fn written_once(terminal: &Terminal, ledger: &Ledger) -> Option<Violation> {
    let known = ledger.jobs.get(&terminal.job)?.terminal()?;
    let what = || format!("the terminal record of {} was written again", terminal.job);
    broken("S2", what, known.nonce != terminal.nonce)
}

/// S7: one claim launches one task, however often RunTask is sent.
fn one_task_for_a_claim(view: &TaskView, ledger: &Ledger) -> Option<Violation> {
    let identity = view.identity.as_ref()?;
    let known = &ledger.jobs.get(&identity.job)?.tasks;
    let other = known.iter().find(|(arn, of)| **of == identity.attempt && **arn != view.arn)?;
    let what = || {
        format!("attempt {} of {} has two tasks: {}, {}", identity.attempt, identity.job, view.arn, other.0)
    };
    broken("S7", what, !known.contains_key(&view.arn))
}

/// Checks planned actions. `policy` and `ledger` are those that they were planned from. Returns each broken promise.
pub fn of_plan(actions: &[Action], policy: &Policy, ledger: &Ledger) -> Vec<Violation> {
    actions.iter().filter_map(|action| of_action(action, policy, ledger)).collect()
}

fn of_action(action: &Action, policy: &Policy, ledger: &Ledger) -> Option<Violation> {
    let outcome = |job| Some(&ledger.jobs.get(job)?.terminal()?.outcome);
    match action {
        Action::Delete { lease } => deleted_when_settled(ledger.leases.get(&lease.message)?, policy, ledger),
        Action::Claim { claim, .. } => not_cancelled(&claim.job, ledger),
        Action::Launch { claim } => {
            let what = || format!("{} is decided and would be launched", claim.job);
            broken("S5", what, outcome(&claim.job).is_some()).or_else(|| not_cancelled(&claim.job, ledger))
        }
        Action::Announce { event, .. } => {
            let told = outcome(&event.job).is_some_and(|outcome| tells(event.kind, outcome));
            broken("S18", || format!("{} of {} is no end that its record has", event.kind, event.job), !told)
        }
        Action::Publish { job, winner, .. } => {
            let named =
                matches!(outcome(job), Some(Outcome::Succeeded(known)) if known.attempt == winner.attempt);
            broken(
                "S4",
                || format!("{job}: attempt {} would be published and is not the winner", winner.attempt),
                !named,
            )
        }
        Action::Collect { job, losers, .. } => {
            let lost = match outcome(job) {
                Some(Outcome::Succeeded(won)) => !losers.contains(&won.attempt),
                Some(Outcome::Dead(_) | Outcome::Superseded(_) | Outcome::Cancelled(_)) => true,
                None => false,
            };
            broken("L7", || format!("{job}: folders {losers:?} would be emptied, and not all lost"), !lost)
        }
        Action::DeadLetter(letter) => {
            let dead = matches!(outcome(&letter.job), Some(Outcome::Dead(_)));
            broken("S12", || format!("{} would be dead-lettered and is not dead", letter.job), !dead)
        }
        _ => None,
    }
}

/// S19: no attempt begins once it is known that somebody has cancelled the job.
fn not_cancelled(key: &JobKey, ledger: &Ledger) -> Option<Violation> {
    let cancel = ledger.cancel_of(key, ledger.jobs.get(key)?)?;
    broken("S19", || format!("{key} was cancelled by {} and would be begun", cancel.who), true)
}

/// Whether a kind of event may stand for an outcome. A success behind a newer upload is told as superseded.
pub fn tells(kind: EventKind, outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Succeeded(_) => matches!(kind, EventKind::Succeeded | EventKind::Superseded),
        Outcome::Dead(_) => kind == EventKind::Dead,
        Outcome::Superseded(_) => kind == EventKind::Superseded,
        Outcome::Cancelled(_) => kind == EventKind::Cancelled,
    }
}

/// S1, S15, S18, S20: a message is deleted only when all its jobs are settled, listed as ended and announced, and never
/// when this version cannot read it.
fn deleted_when_settled(lease: &Lease, policy: &Policy, ledger: &Ledger) -> Option<Violation> {
    let Content::Jobs(keys) = &lease.content else {
        return broken("S15", || "a message of an unknown version would be deleted".into(), true);
    };
    let unlisted = |key: &&JobKey| ledger.jobs.get(*key).is_some_and(|job| !job.indexed);
    let open = keys.keys().find(|key| {
        let Some(job) = ledger.jobs.get(*key) else { return true };
        match job.terminal().map(|terminal| &terminal.outcome) {
            Some(Outcome::Succeeded(_)) => !job.published,
            Some(Outcome::Dead(_)) => !lease.lettered.contains(*key),
            Some(Outcome::Superseded(_) | Outcome::Cancelled(_)) => false,
            None => true,
        }
    });
    if let Some(open) = open {
        return broken("S1", || format!("a message would be deleted while {open} is not settled"), true);
    }
    if let Some(unlisted) = keys.keys().find(unlisted) {
        let what = || format!("a message would be deleted while the index lacks the end of {unlisted}");
        return broken("S20", what, true);
    }
    let untold = |key: &&JobKey| ledger.jobs.get(*key).is_some_and(|job| !job.announced);
    let untold = keys.keys().find(untold).filter(|_| policy.announcing.is_some())?;
    broken("S18", || format!("a message would be deleted while nobody was told the end of {untold}"), true)
}

#[cfg(test)]
mod tests {
    use transcode_config::{
        contract::{Attempt, Dead, Failure, FailureCode},
        load::from_text,
    };

    use super::*;
    use crate::{
        message::Rules,
        protocol::{
            action::LeaseRef,
            fact::{MessageId, Snapshot},
            task_view::{Billed, Identity, TaskArn, TaskStatus},
        },
        state::{
            job::{Job, TerminalRecord},
            lease::Lease,
        },
    };

    fn job() -> JobKey {
        JobKey::of(&["x"])
    }

    fn dead(nonce: &str) -> Terminal {
        let failure = Failure::new(FailureCode::Empty, "x");
        let dead = Dead { failure, last_task_arn: None, log_link: None, attempts: Vec::new() };
        Terminal {
            schema: 1,
            job: job(),
            nonce: nonce.into(),
            written_at_ms: 0,
            outcome: Outcome::Dead(dead),
        }
    }

    /// One message with this content, and its job with this terminal record.
    fn ledger(content: Content, record: TerminalRecord) -> Ledger {
        let mut ledger = Ledger::new("me", Rules::default());
        let lease = Lease::new("q".into(), content, 0, 0);
        ledger.leases.insert(MessageId("m".into()), lease);
        ledger.jobs.insert(job(), Job { record, ..Job::new(None, 0) });
        ledger
    }

    fn deleting(ledger: &Ledger) -> Vec<&'static str> {
        let lease = LeaseRef { queue: "q".into(), message: MessageId("m".into()), receipt: String::new() };
        let delete = [Action::Delete { lease }];
        of_plan(&delete, &policy(), ledger).iter().map(|violation| violation.id).collect()
    }

    fn policy() -> Policy {
        let settings = concat!(include_str!("../tests/settings.toml"), "events.bus = \"b\"\n");
        Policy::from(&from_text(settings, figment::providers::Env::prefixed("NONE_")).unwrap())
    }

    #[test]
    fn a_message_may_go_when_its_job_is_settled() {
        let content = || Content::Jobs([job()].into());
        assert_eq!(deleting(&ledger(content(), TerminalRecord::Unknown)), ["S1"]);
        let mut decided = ledger(content(), TerminalRecord::Decided(dead("n").into()));
        assert_eq!(deleting(&decided), ["S1"], "no letter yet");
        decided.leases.values_mut().for_each(|lease| {
            lease.lettered.insert(job());
        });
        assert_eq!(deleting(&decided), ["S20"], "not in the index yet");
        decided.jobs.values_mut().for_each(|job| job.indexed = true);
        assert_eq!(deleting(&decided), ["S18"], "nobody was told yet");
        decided.jobs.values_mut().for_each(|job| job.announced = true);
        assert!(deleting(&decided).is_empty());
        assert_eq!(deleting(&ledger(Content::Parked("newer".into()), TerminalRecord::Unknown)), ["S15"]);
    }

    #[test]
    fn a_terminal_record_that_changes_is_noticed() {
        let decided = ledger(Content::Jobs([job()].into()), TerminalRecord::Decided(dead("one").into()));
        let read = |nonce| {
            let snapshot = Snapshot { terminal: Some(dead(nonce).into()), ..Snapshot::default() };
            of_fact(&Fact::Inspected { job: job(), snapshot: Box::new(snapshot) }, &decided)
        };
        assert_eq!(read("one"), None);
        assert_eq!(read("two").map(|violation| violation.id), Some("S2"));
    }

    #[test]
    fn a_second_task_for_one_claim_is_noticed_once() {
        let mut known = ledger(Content::Jobs([job()].into()), TerminalRecord::Unknown);
        known.jobs.values_mut().for_each(|job| {
            job.tasks.put(TaskArn("a".into()), Attempt::FIRST);
        });
        let seen = |arn: &str| {
            let view = TaskView {
                arn: TaskArn(arn.into()),
                version: 1,
                identity: Some(Identity { job: job(), attempt: Attempt::FIRST }),
                status: TaskStatus::Running,
                stopping: false,
                stop_code: None,
                stopped_reason: None,
                exit_code: None,
                container_reason: None,
                started: true,
                billed: Billed::default(),
            };
            Fact::TaskSeen(Box::new(view))
        };
        assert_eq!(of_fact(&seen("a"), &known), None);
        assert_eq!(of_fact(&seen("b"), &known).map(|violation| violation.id), Some("S7"));
        known.jobs.values_mut().for_each(|job| {
            job.tasks.put(TaskArn("b".into()), Attempt::FIRST);
        });
        assert_eq!(of_fact(&seen("b"), &known), None);
    }
}
