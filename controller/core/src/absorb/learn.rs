//! What a reading of the state bucket changes in a job.

use std::{collections::BTreeMap, sync::Arc};

use transcode_config::contract::{Attempt, Claim, Heartbeat, JobSpec, Outcome, Terminal};

use super::change::Change;
use crate::{
    message::Request,
    policy::Policy,
    protocol::clock::{Ms, Now},
    state::{
        failing::Purpose,
        job::{AttemptState, Earlier, Job, TerminalRecord},
    },
    weakness::{Weakness, weak},
};

impl Job {
    /// What its message asks for, as if that had been accepted: only in a weakened protocol.
    pub(super) fn asked_for(&self) -> Option<Arc<JobSpec>> {
        match &self.request {
            Some(Request::Run(asked)) if weak(Weakness::TakesAskedForAccepted) => Some(Arc::clone(asked)),
            _ => None,
        }
    }

    /// Takes in the terminal record, once. `witnessed`: only a reading has shown it.
    pub(super) fn decide(
        &mut self,
        terminal: Arc<Terminal>,
        now: Ms,
        witnessed: bool,
        told: &mut Vec<Change>,
    ) {
        if self.terminal().is_none() {
            let witnessed = witnessed && self.read_at().is_some();
            told.push(Change::JobDecided { terminal: Arc::clone(&terminal), witnessed });
            let attempts = match &terminal.outcome {
                Outcome::Succeeded(_) => &[],
                Outcome::Dead(dead) => dead.attempts.as_slice(),
                Outcome::Superseded(superseded) => {
                    self.superseded_by = superseded.by.clone().or_else(|| self.superseded_by.take());
                    superseded.attempts.as_slice()
                }
                Outcome::Cancelled(cancelled) => cancelled.attempts.as_slice(),
            };
            if let Some(past) = attempts.last() {
                told.push(Change::AttemptOver { job: terminal.job.clone(), past: past.clone() });
            }
            self.record = TerminalRecord::Decided(terminal);
            self.decided_at = now;
        }
    }

    /// Takes in the newest claim and its heartbeat. Returns whether the heartbeat is news.
    pub(super) fn learn_claim(
        &mut self,
        claim: Arc<Claim>,
        heartbeat: Option<Heartbeat>,
        policy: &Policy,
        now: Now,
    ) -> bool {
        let known = self.attempt.as_ref().map(|state| state.claim.attempt);
        if known.is_some_and(|known| known > claim.attempt) {
            return false;
        }
        if known != Some(claim.attempt) {
            let left = (claim.launch_not_after_ms + policy.clock_skew).saturating_sub(now.wall);
            let earlier = self.take_earlier();
            // Another controller or an earlier process claimed it.
            self.failing.take_if(|failing| failing.furthest == Purpose::Claim);
            self.attempt = Some(AttemptState {
                claim,
                expires_at: now.mono + left,
                refused: None,
                launch_retry_at: 0,
                launch_failures: 0,
                heartbeat: None,
                heartbeat_at: now.mono,
                beacon: None,
                progress_at: now.mono,
                known_at: now.mono,
                earlier,
                told: false,
            });
        }
        let (Some(state), Some(heartbeat)) = (self.attempt.as_mut(), heartbeat) else { return false };
        let same = |place: fn(&Heartbeat, &Heartbeat) -> bool| {
            state.heartbeat.as_ref().is_some_and(|known| place(known, &heartbeat))
        };
        if same(|known, new| (&known.task_arn, known.seq) == (&new.task_arn, new.seq)) {
            return false;
        }
        if !same(|known, new| (known.stage, known.percent.to_bits()) == (new.stage, new.percent.to_bits())) {
            state.progress_at = now.mono;
        }
        state.heartbeat = Some(heartbeat);
        state.heartbeat_at = now.mono;
        true
    }

    /// The last heartbeats of earlier attempts, and when they were seen, for the time after a newer attempt becomes
    /// known.
    fn take_earlier(&mut self) -> BTreeMap<Attempt, Earlier> {
        let Some(last) = self.attempt.take() else { return BTreeMap::new() };
        let mut earlier = last.earlier;
        if let Some(heartbeat) = last.heartbeat {
            earlier.insert(last.claim.attempt, Earlier { heartbeat, seen_at: last.heartbeat_at });
        }
        earlier
    }

    pub(super) fn learn_earlier(&mut self, heartbeats: Vec<Heartbeat>, now: Ms) {
        let Some(state) = self.attempt.as_mut() else { return };
        for heartbeat in heartbeats {
            let known =
                state.earlier.get(&heartbeat.attempt).map(|it| (&it.heartbeat.task_arn, it.heartbeat.seq));
            if known != Some((&heartbeat.task_arn, heartbeat.seq)) {
                state.earlier.insert(heartbeat.attempt, Earlier { heartbeat, seen_at: now });
            }
        }
    }
}
