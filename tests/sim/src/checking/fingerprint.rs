//! The parts of a state that matter, as a hash.
//!
//! Times become relative to now. The hash keeps the order of a controller's past times and their distances in whole
//! seconds; whether something is due is kept exactly. It omits process names, so that states with exchanged controllers
//! are equal, and counters that change nothing here: in these worlds every failed call waits equally long.

use std::hash::{DefaultHasher, Hash, Hasher};

use transcode_config::contract::{Claim, Heartbeat, Outcome, TaskState, Terminal};
use transcode_core::{
    judge::outcome::unproven,
    protocol::{
        action::Action,
        clock::Ms,
        fact::{Fact, Snapshot},
    },
    state::{
        in_flight::Usage,
        job::{AttemptState, Job, TerminalRecord},
        ledger::Ledger,
        task::TaskRecord,
        tenants::Account,
    },
};

use super::{
    small::AHEAD,
    state::{Controller, State},
};
use crate::setup::SECOND;

fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The tenants' accounts and lines, in the order of their numbers: it decides between accounts that are level. Use counts
/// by its order and by whole vCPU-seconds above the lowest. All tenants here are of one class, so that the accounts of the
/// classes decide nothing.
fn tenants(controller: &Controller, now: Ms) -> Vec<u64> {
    let ledger = &controller.core.ledger;
    let had = |account: &Account| account.standing(Usage::default(), now);
    let mut all: Vec<u64> = ledger.tenants.iter().map(|(_, account)| had(account)).collect();
    all.sort_unstable();
    all.dedup();
    let account = |(number, account): (u32, &Account)| {
        let rank = all.partition_point(|other| *other < had(account));
        let ahead = had(account) - all.first().copied().unwrap_or(0);
        let share = (account.usage.tasks, account.full.is_some(), rank, (ahead / 1024 + SECOND / 2) / SECOND);
        let line: Vec<_> = ledger.jobs.in_line_of(number).map(|(_, key, _)| key).collect();
        hash_of(&(&account.name, share, line, controller.tenancy.newcomers.known(number)))
    };
    ledger.tenants.iter().map(account).collect()
}

/// Whether something is due, and otherwise in how many seconds.
fn due(at: Ms, now: Ms) -> u64 {
    if at <= now { 0 } else { 1 + (at - now + SECOND / 2) / SECOND }
}

/// One controller's current time, and the order of its past times.
struct View {
    now: Ms,
    moments: Vec<Ms>,
}

impl View {
    fn moment(&self, at: Ms) -> (usize, u64, u64) {
        let rank = self.moments.partition_point(|moment| *moment < at);
        let ago = (self.now.saturating_sub(at) + SECOND / 2) / SECOND;
        (rank, ago, due(at, self.now))
    }

    fn maybe(&self, at: Option<Ms>) -> Option<(usize, u64, u64)> {
        at.map(|at| self.moment(at))
    }

    fn due(&self, at: Ms) -> u64 {
        due(at, self.now)
    }
}

fn moments(ledger: &Ledger) -> Vec<Ms> {
    let mut moments = Vec::with_capacity(16);
    for job in ledger.jobs.values() {
        moments.extend([job.since, job.decided_at]);
        moments.extend(job.read_at().into_iter().chain(job.call));
        if let Some(attempt) = &job.attempt {
            moments.extend([attempt.expires_at, attempt.heartbeat_at]);
            if attempt.claim.history.iter().any(unproven) {
                moments.extend(attempt.earlier.values().map(|it| it.seen_at).chain([attempt.known_at]));
            }
            moments.extend(attempt.refused.iter().map(|(at, _)| *at));
        }
    }
    for task in ledger.tasks.values() {
        moments.extend([task.known_at, task.seen_at]);
        moments
            .extend([task.running_at, task.ended_at, task.missing_since, task.stopped_at].iter().flatten());
    }
    let calls = ledger.tasks.values().filter_map(|task| task.describe_call);
    moments.extend(calls.chain(ledger.resync.call).chain(ledger.resolve.call));
    moments.extend(ledger.leases.values().filter_map(|lease| lease.call));
    moments.sort_unstable();
    moments.dedup();
    moments
}

fn claim_print(claim: &Claim, now: Ms) -> impl Hash {
    let history = hash_of(
        &claim
            .history
            .iter()
            .map(|past| (past.attempt, past.budget, past.code, &past.task_arn))
            .collect::<Vec<_>>(),
    );
    (claim.job.as_str().to_owned(), claim.attempt, due(claim.launch_not_after_ms, now + AHEAD), history)
}

fn terminal(terminal: &Terminal) -> impl Hash {
    match &terminal.outcome {
        Outcome::Succeeded(winner) => (0, winner.attempt.number() as usize, None),
        Outcome::Dead(dead) => (1, dead.attempts.len(), Some(dead.failure.code)),
        Outcome::Superseded(superseded) => (2, superseded.attempts.len(), None),
        Outcome::Cancelled(cancelled) => (3, cancelled.attempts.len(), None),
    }
}

fn heartbeat(beat: &Heartbeat) -> impl Hash {
    // Every reading of a working task shows a new heartbeat; its number does not matter.
    (beat.attempt, beat.task_arn.clone(), beat.seq.min(2), matches!(beat.state, TaskState::Failed { .. }))
}

fn job(job: &Job, view: &View) -> impl Hash {
    let record = match &job.record {
        TerminalRecord::Unknown => (0, None, None),
        TerminalRecord::Absent(at) => (1, Some(view.moment(*at)), None),
        TerminalRecord::Decided(there) => {
            (2, Some(view.moment(job.decided_at)), Some(hash_of(&terminal(there))))
        }
    };
    let attempt = job.attempt.as_ref().map(|attempt| {
        hash_of(&(
            claim_print(&attempt.claim, view.now),
            view.moment(attempt.expires_at),
            attempt.refused.as_ref().map(|(at, _)| view.moment(*at)),
            view.due(attempt.launch_retry_at),
            attempt.heartbeat.as_ref().map(heartbeat),
            view.moment(attempt.heartbeat_at),
            // Used only if an earlier attempt ended in silence.
            attempt.claim.history.iter().any(unproven).then(|| earlier(attempt, view)),
        ))
    });
    let flags = (
        job.request.is_some(),
        job.published,
        (job.indexed, job.announced),
        job.collected,
        job.claiming,
        job.unreadable.is_some(),
        job.put_back,
        job.attributed,
    );
    let aside = job.failing.as_ref().and_then(|failing| failing.aside_at).map(|at| view.due(at));
    let calls = (view.maybe(job.call), view.due(job.retry_at()), view.due(job.inspect_at), aside);
    let held = (job.leases.len(), hash_of(&job.tasks), view.moment(job.since).0);
    (record, attempt, flags, calls, held)
}

fn earlier(attempt: &AttemptState, view: &View) -> impl Hash + use<> {
    let signs: Vec<_> = attempt
        .earlier
        .values()
        .map(|it| (hash_of(&heartbeat(&it.heartbeat)), view.moment(it.seen_at)))
        .collect();
    (view.moment(attempt.known_at), signs)
}

fn task(task: &TaskRecord, view: &View) -> impl Hash {
    let seen = task.view.as_ref().map(|view| (view.version, view.status, view.exit_code));
    let ends = (view.maybe(task.ended_at), view.maybe(task.missing_since), view.maybe(task.stopped_at));
    let times = (view.moment(task.known_at), view.moment(task.seen_at), view.maybe(task.running_at));
    let calls = (
        task.stop_call,
        view.maybe(task.describe_call),
        view.due(task.stop_retry_at),
        view.due(task.describe_at),
    );
    (task.attempt, seen, times, ends, calls)
}

fn ledger(ledger: &Ledger, now: Ms) -> u64 {
    let view = View { now, moments: moments(ledger) };
    let mut hasher = DefaultHasher::new();
    for (key, known) in ledger.jobs.iter() {
        (key, job(known, &view)).hash(&mut hasher);
    }
    for (arn, known) in ledger.tasks.iter() {
        (arn, task(known, &view)).hash(&mut hasher);
    }
    for (message, lease) in ledger.leases.iter() {
        let call = (view.maybe(lease.call), view.due(lease.retry_at), view.due(lease.settle_at()));
        (message, &lease.receipt, &lease.lettered, call, lease.renewed, lease.spare.is_some())
            .hash(&mut hasher);
    }
    ledger.letters.hash(&mut hasher);
    for receiving in ledger.receiving.values() {
        (receiving.call.map(|(max, _)| max), view.due(receiving.retry_at)).hash(&mut hasher);
    }
    (ledger.unsteered, view.maybe(ledger.outbox.away_since), ledger.outbox.holds).hash(&mut hasher);
    for periodic in [&ledger.resync, &ledger.resolve, &ledger.outbox.resend] {
        (view.maybe(periodic.call), periodic.done, view.due(periodic.due_at)).hash(&mut hasher);
    }
    (view.due(ledger.cooldown_until), view.due(ledger.spot_refused_until), ledger.refusals.min(8))
        .hash(&mut hasher);
    hasher.finish()
}

fn action(action: &Action, now: Ms) -> u64 {
    let name = action.name();
    match action {
        Action::Receive { max, .. } => hash_of(&(name, max)),
        Action::Inspect { job, .. } | Action::ReadSpec { job } | Action::Publish { job, .. } => {
            hash_of(&(name, job))
        }
        Action::Claim { claim, .. } | Action::Launch { claim } => hash_of(&(name, claim_print(claim, now))),
        Action::Describe { tasks } => hash_of(&(name, tasks)),
        Action::Stop { task, .. } => hash_of(&(name, task)),
        Action::GiveUp { job, terminal: record } => hash_of(&(name, job, terminal(record))),
        Action::DeadLetter(letter) => hash_of(&(name, &letter.job, &letter.lease.receipt)),
        Action::Delete { lease } | Action::Extend { lease, .. } | Action::Release { lease, .. } => {
            hash_of(&(name, &lease.receipt))
        }
        Action::Index { terminal: record, .. } => hash_of(&(name, terminal(record))),
        Action::Announce { event, via } => hash_of(&(name, &event.job, event.kind, via)),
        Action::Resend { after, .. } => hash_of(&(name, after)),
        Action::Collect { job, losers, .. } => hash_of(&(name, job, losers)),
        Action::Resync | Action::Survey | Action::Resolve => hash_of(&name),
    }
}

fn fact(fact: &Fact, now: Ms) -> u64 {
    match fact {
        Fact::Inspected { job, snapshot } => {
            let Snapshot { claim, heartbeat: beat, earlier, terminal: record } = &**snapshot;
            let claim = claim.as_ref().map(|claim| claim_print(claim, now));
            let earlier: Vec<u64> = earlier.iter().map(|beat| hash_of(&heartbeat(beat))).collect();
            hash_of(&(0, job, claim, beat.as_ref().map(heartbeat), earlier, record.as_deref().map(terminal)))
        }
        Fact::Claimed { claim, .. } => hash_of(&(1, claim_print(claim, now))),
        Fact::Decided { job, terminal: record } => hash_of(&(2, job, terminal(record))),
        Fact::TaskSeen(view) => hash_of(&(3, &view.arn, view.version, view.exit_code)),
        Fact::TaskListed(view) => hash_of(&(4, &view.arn, view.version, view.exit_code)),
        // All other actions have no times.
        other => hash_of(&format!("{other:?}")),
    }
}

/// The same hash for the same calls in any order.
fn sorted(hashes: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut hashes: Vec<u64> = hashes.collect();
    hashes.sort_unstable();
    hashes
}

fn controller(controller: &Controller, now: Ms) -> u64 {
    let calls = sorted(controller.calls.iter().map(|call| action(call, now)));
    let answers = sorted(
        controller
            .answers
            .iter()
            .map(|facts| hash_of(&facts.iter().map(|it| fact(it, now)).collect::<Vec<_>>())),
    );
    let wake = controller.wake.map(|at| due(at, now));
    let known = (ledger(&controller.core.ledger, now), controller.heard);
    hash_of(&(known, tenants(controller, now), calls, answers, wake))
}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let now = self.now;
        sorted(self.controllers.iter().map(|it| controller(it, now))).hash(hasher);
        sorted(self.wire.iter().map(|it| action(it, now))).hash(hasher);
        self.messages.hash(hasher);
        for job in &self.jobs {
            for claim in &job.claims {
                claim_print(claim, now).hash(hasher);
            }
            job.terminal.as_deref().map(terminal).hash(hasher);
            (job.published, job.letters, job.indexed, job.told, &job.refused).hash(hasher);
        }
        for task in &self.tasks {
            (task.job, task.claim.attempt, task.phase, &task.token).hash(hasher);
            (task.stopping, task.stop_reason, task.by_hand).hash(hasher);
            due(task.claim.launch_not_after_ms, now + AHEAD).hash(hasher);
        }
        (self.wanted, self.put_aside, self.left, self.broken).hash(hasher);
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        hash_of(self) == hash_of(other)
    }
}
