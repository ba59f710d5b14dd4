//! The models alone: no controllers, no faults, each call carried out at once. For the tests that compare them with the
//! emulators (`tests/tests/conformance/`).

use std::sync::Arc;

use transcode_config::contract::{Attempt, JobSpec};
use transcode_core::protocol::{
    action::Action,
    clock::Ms,
    fact::Fact,
    publishing::{Answer, Step},
};

use super::{EPOCH, World, calls::Call};
use crate::setup::{Kind, Setup};

impl World {
    /// A world in which nothing happens by itself except the lives of tasks.
    pub fn quiet() -> Self {
        let setup = Setup { controllers: 0, uploads: Vec::new(), long_poll: 0, ..Setup::plain() };
        let mut world = Self::new(setup, &[], false);
        world.faults.on = false;
        world
    }

    /// Sends a message to a job queue.
    pub fn post(&mut self, queue: &str, body: &str) {
        let now = self.now;
        self.send(queue, body.to_owned(), Kind::Jobs, now);
    }

    /// Carries a call out to its end.
    pub fn perform(&mut self, action: Action) -> Vec<Fact> {
        let mut call = Call::direct(action, self.now);
        while let Some(at) = self.carry_out(&mut call) {
            self.pass(at.saturating_sub(self.now));
        }
        call.into_answer()
    }

    /// Carries one step of a publication out.
    pub fn perform_step(&mut self, spec: &Arc<JobSpec>, step: &Step) -> Option<Answer> {
        self.put_spec(spec);
        self.prefix_step(&spec.job, Attempt::FIRST, step)
    }

    /// Lets time pass, with all events that are due.
    pub fn pass(&mut self, ms: Ms) {
        let until = self.now + ms;
        while self.step(until + 1) {}
        self.now = until;
    }

    /// The wall clock of a correct machine (ms since 1970).
    pub fn wall_now(&self) -> Ms {
        EPOCH + self.now
    }
}
