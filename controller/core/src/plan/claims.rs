//! Claims: which jobs get an attempt now, and with which task shape.

use std::sync::Arc;

use transcode_config::contract::{Attempt, Claim, JobKey, JobSpec, PastAttempt, SCHEMA, TaskShape};

use super::{
    output::{AttemptOver, Planner, Scope},
    view::View,
};
use crate::{
    judge::launch_pause::Pause,
    policy::Circumstances,
    protocol::{action::Action, clock::Ms},
    state::{agenda::Requeue, in_flight::Headroom, job::Job, ledger::Definition},
    weakness::{Weakness, weak},
};

/// Note of a launch that only the rate holds back.
pub(super) const TOO_FAST: &str = "waiting to launch: the rate of launches is limited";

/// Note of a job that waits for the end of this pause.
pub(super) fn note(pause: &Pause) -> String {
    format!("launches pause: {pause}")
}

/// A job that could be claimed now if a slot were free.
pub(super) struct Candidate<'a> {
    pub key: &'a JobKey,
    pub job: &'a Job,
    pub spec: &'a Arc<JobSpec>,
    pub history: Vec<PastAttempt>,
    /// When the job is visited next.
    pub requeue: Requeue,
    /// The newest attempt of the job is proven over.
    pub over: Option<AttemptOver>,
}

impl Candidate<'_> {
    /// Ends the visit to the job: it waits for a free slot, or has one.
    pub(super) fn visited(&self, plan: &mut Planner) {
        self.over.into_iter().for_each(|over| plan.attempt_over(over.stage));
        plan.visited(self.key, self.requeue, Some(self.job.rank()));
    }
}

impl<'a> View<'a> {
    /// Claims attempts for as many candidates as there are free slots, the oldest job first. From the jobs in line, it
    /// visits only as many as could be claimed; nothing has changed for the rest.
    pub(super) fn claim(self, plan: &mut Planner, scope: Scope, mut candidates: Vec<Candidate<'a>>) {
        let line = scope == Scope::Due && self.ledger.jobs.anyone_waits();
        if candidates.is_empty() && !line {
            return;
        }
        if plan.breaker_counts() {
            return self.after_the_breaker(plan, candidates);
        }
        let pause = self.hold();
        let mut room = if pause.is_some() { Headroom::NONE } else { self.ledger.room(self.policy) };
        if self.ledger.breaker.open(self.policy).is_some() {
            room.tasks = room.tasks.min(1);
        }
        let (claimed, most) = self.to_be_launched();
        room.tasks = room.tasks.min(most.saturating_sub(claimed));
        plan.hold(match &pause {
            Some((why, _)) => Some(why.clone()),
            None => room.full(),
        });
        if let Some((_, Some(at))) = &pause {
            plan.wake(*at);
        }
        if self.policy.look_ahead.is_some() {
            return self.claim_by_shares(plan, scope, candidates, pause.as_ref(), room);
        }
        if line {
            let most = match plan.held() {
                // The reason to wait has changed, so each job in line needs a new note.
                why if why != self.ledger.held.as_ref() => usize::MAX,
                Some(_) => 0,
                None => room.at_most(self.policy),
            };
            for (key, job) in self.ledger.jobs.in_line(self.now.mono).take(most) {
                candidates.extend(self.visit(plan, key, job));
            }
        }
        candidates.sort_by(|a, b| (a.job.since, a.key).cmp(&(b.job.since, b.key)));
        for candidate in candidates {
            match &pause {
                Some((why, until)) => plan.note(why.clone(), *until),
                None => self.claim_one(plan, &candidate, &mut room),
            }
            candidate.visited(plan);
        }
    }

    /// Leaves claiming to the next turn: only then does the breaker know how the attempts of this turn ended.
    fn after_the_breaker(self, plan: &mut Planner, candidates: Vec<Candidate<'a>>) {
        plan.hold(self.ledger.held.clone());
        plan.wake(self.now.mono + 1);
        for candidate in candidates {
            Candidate { requeue: Requeue::EachTurn, ..candidate }.visited(plan);
        }
    }

    /// Claims an attempt if a slot is free for it.
    fn claim_one(self, plan: &mut Planner, candidate: &Candidate<'_>, room: &mut Headroom) {
        self.claim_as(plan, candidate, self.variant(candidate), room);
    }

    /// Claims an attempt of this shape, if a slot is free for it. Returns whether one was.
    pub(super) fn claim_as(
        self,
        plan: &mut Planner,
        candidate: &Candidate<'_>,
        variant: TaskShape,
        room: &mut Headroom,
    ) -> bool {
        match room.take(variant.cpu, self.policy) {
            Err(why) => {
                plan.note(why, None);
                return false;
            }
            Ok(()) if self.fresh(candidate.job) => plan.act(self.new_claim(candidate, variant)),
            Ok(()) => plan.act(candidate.job.inspection(candidate.key)),
        }
        true
    }

    /// Whether the state bucket was read recently enough to write a decision that depends on that reading.
    pub(super) fn fresh(self, job: &Job) -> bool {
        weak(Weakness::DecidesByOldReading) || job.read_lately(self.now.mono)
    }

    /// Why no job may be claimed, and until when (monotonic) if that is known; `None` while claiming is open.
    fn hold(self) -> Option<(String, Option<Ms>)> {
        let (policy, now) = (self.policy, self.now.mono);
        if let Some(pause) = self.ledger.launch_pause(policy, self.now) {
            return Some((note(&pause), pause.until()));
        }
        let (claimed, most) = self.to_be_launched();
        (claimed >= most).then(|| {
            let lasts = policy.launch_interval.saturating_mul((claimed - most + 1) as u64);
            (TOO_FAST.into(), Some(now + lasts))
        })
    }

    /// Number of claims that wait for their launch, and the most that may wait. A claim that the rate does not launch
    /// before its deadline would be wasted.
    fn to_be_launched(self) -> (usize, usize) {
        let lasts =
            if weak(Weakness::ClaimsMoreThanItLaunches) { Ms::MAX } else { self.policy.launch_deadline / 4 };
        let most = (lasts / self.policy.launch_interval.max(1)).saturating_add(1);
        (self.ledger.in_flight.to_be_launched(self.now.wall), usize::try_from(most).unwrap_or(usize::MAX))
    }

    /// The task shape of the next attempt.
    pub(super) fn variant(self, candidate: &Candidate<'_>) -> TaskShape {
        let asked = candidate
            .job
            .asked_at_ms
            .filter(|_| !weak(Weakness::ForgetsAgeWithMessage) || !candidate.job.leases.is_empty());
        let circumstances = Circumstances {
            source_bytes: candidate.spec.source.size,
            age: asked.map_or(0, |asked| self.now.wall.saturating_sub(asked)),
            spot_refused: self.ledger.spot_refused_until > self.now.mono,
        };
        self.policy.variant_after(&candidate.history, circumstances)
    }

    fn new_claim(self, candidate: &Candidate<'_>, variant: TaskShape) -> Action {
        let attempt =
            candidate.job.attempt.as_ref().map_or(Attempt::FIRST, |state| state.claim.attempt.next());
        let (task_definition, image_digest) = match &self.ledger.definition {
            Definition::Fit(pinned) => (pinned.task_definition.clone(), pinned.image_digest.clone()),
            Definition::Unknown(_) | Definition::Unfit(_) => Default::default(),
        };
        let claim = Claim {
            schema: SCHEMA,
            job: candidate.key.clone(),
            attempt,
            task_definition,
            image_digest,
            variant,
            launch_not_after_ms: self.now.wall
                + if weak(Weakness::LaunchesLateClaimsAtOnce) { 0 } else { self.policy.launch_deadline },
            created_at_ms: self.now.wall,
            nonce: format!("{}/{attempt}", self.ledger.instance),
            history: candidate.history.clone(),
        };
        Action::Claim { spec: Arc::clone(candidate.spec), claim: Arc::new(claim) }
    }
}
