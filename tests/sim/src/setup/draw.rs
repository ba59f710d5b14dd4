//! Drawing a seed.

use super::{
    Episode, HOUR, MINUTE, SECOND, Setup, Sort,
    policy::{announcing, draw_policy, rules},
    uploads::uploads,
};
use crate::rng::{Rng, mix};

impl Setup {
    /// Draws all inputs.
    pub fn draw(seed: u64, sort: Sort) -> Self {
        let mut setup = Self::draw_without_tenants(seed, sort);
        // With random numbers of their own, so that other seeds do not change.
        if sort != Sort::Crowd && mix(&[seed, 9]).is_multiple_of(4) {
            setup.draw_tenants(&mut Rng::new(mix(&[seed, 10])));
        }
        if sort != Sort::Crowd && mix(&[seed, 11]).is_multiple_of(4) {
            setup.draw_steering(&mut Rng::new(mix(&[seed, 13])));
        }
        if sort != Sort::Crowd && mix(&[seed, 15]).is_multiple_of(2) {
            setup.draw_bus(&mut Rng::new(mix(&[seed, 16])));
        }
        setup
    }

    /// Events are sent to a bus, which may be away.
    fn draw_bus(&mut self, rng: &mut Rng) {
        self.policy.announcing = Some(announcing(rng.spread(10 * SECOND, HOUR)));
        while rng.chance(0.4) {
            let from = rng.below(self.heal_at);
            let until = from + rng.spread(MINUTE, 12 * HOUR);
            self.episodes.push((Episode::BusAway, from, until.min(self.heal_at)));
        }
    }

    /// Draws all other inputs.
    pub(super) fn draw_without_tenants(seed: u64, sort: Sort) -> Self {
        let mut rng = Rng::new(mix(&[seed, 3]));
        let jobs = match sort {
            Sort::Crowd => 5000,
            Sort::Calm => rng.between(60, 200),
            Sort::Harsh => rng.spread(1, 32),
        };
        let calm = sort != Sort::Harsh;
        let heal_at = if calm { rng.between(6 * HOUR, 48 * HOUR) } else { rng.spread(HOUR, 30 * HOUR) };
        let policy = draw_policy(&mut rng, sort, jobs, heal_at);
        let uploads = uploads(&mut rng, jobs, heal_at, sort);
        let often = |rng: &mut Rng, low, high| if rng.chance(0.5) { rng.spread(low, high) } else { 0 };
        // A calm seed has many jobs and so many effects; a lower rate gives as many crashes in all.
        let rarely = if calm { 16 } else { 1 };
        let pace = if calm { rng.between(5 * SECOND, 20 * SECOND) } else { rng.spread(50, 20 * SECOND) };
        let longest = policy.max_run * 9 / 10;
        let mut setup = Self {
            seed,
            sort,
            rules: rules(&policy),
            controllers: match sort {
                Sort::Harsh => rng.pick(&[1, 2, 3], 1),
                Sort::Calm => rng.pick(&[1, 1, 1, 2, 3], 1),
                Sort::Crowd => 1,
            },
            offset: policy.clock_skew / 2,
            heal_at,
            uploads,
            work: match sort {
                Sort::Calm | Sort::Crowd => (10 * HOUR, longest),
                Sort::Harsh if rng.chance(0.5) => (10 * SECOND, rng.spread(MINUTE, policy.max_run)),
                Sort::Harsh => (10 * SECOND, longest),
            },
            even_work: calm || rng.chance(0.5),
            bad: if calm { rng.pick(&[0, 5, 30], 5) } else { rng.pick(&[0, 5, 30, 100], 5) },
            quota: if rng.chance(0.2) { policy.max_tasks.div_ceil(2) } else { usize::MAX },
            max_receives: if rng.chance(0.1) { 5 } else { 0 },
            crash_every: match sort {
                // The controller that launched the tasks does not see them end.
                Sort::Crowd => 2 * HOUR,
                Sort::Calm => often(&mut rng, 2 * HOUR, 24 * HOUR),
                Sort::Harsh => often(&mut rng, 5 * MINUTE, 8 * HOUR),
            },
            crash_at_effect: if rng.chance(0.3) { rng.spread(5 * rarely, 500 * rarely) } else { 0 },
            pause_every: often(&mut rng, 30 * MINUTE, 12 * HOUR),
            episodes: Vec::new(),
            redrives: Vec::new(),
            definitions: Vec::new(),
            foreign: Vec::new(),
            steering: Vec::new(),
            stops_by_hand: Vec::new(),
            pace,
            slack: if calm { policy.heartbeat_stale / 12 } else { pace },
            long_poll: if calm { policy.visibility } else { rng.spread(MINUTE, HOUR).max(heal_at / 100) }
                .min(policy.visibility / 4),
            hints: rng.chance(0.6),
            jumps: rng.chance(0.3),
            newer: if rng.chance(0.1) { 4 } else { 0 },
            slow_answers: 8,
            ordinary: false,
            expected: Vec::new(),
            old: rng.chance(0.1),
            policy,
        };
        setup.draw_times(&mut rng);
        setup
    }

    fn draw_times(&mut self, rng: &mut Rng) {
        let kinds = [
            Episode::StateDenied,
            Episode::Credentials,
            Episode::BrownOut,
            Episode::HintsDead,
            Episode::AllDown,
            Episode::WritesDenied,
        ];
        for kind in kinds {
            if rng.chance(0.12) {
                let from = rng.below(self.heal_at);
                let until = from + rng.spread(5 * MINUTE, 5 * HOUR);
                self.episodes.push((kind, from, until.min(self.heal_at)));
            }
        }
        for (times, rate) in
            [(&mut self.redrives, 0.3), (&mut self.definitions, 0.2), (&mut self.foreign, 0.2)]
        {
            while rng.chance(rate) {
                times.push(rng.below(self.heal_at));
            }
        }
    }
}
