//! One suite of scenarios for the simulator's models of SQS, S3 and ECS and for the services' local replacements: the
//! emulator and the local Fargate, through the controller's own adapters. The simulator's proof depends on models that
//! answer as the services do.
//!
//! A subject that answers differently from AWS declares a [`Deviation`], and the suite asserts the deviation: a
//! repaired emulator fails here, and its row in `tests/README.md` can be removed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod publication;
mod scenarios;
mod services;

use std::sync::Arc;

use transcode_config::contract::JobSpec;
use transcode_core::protocol::{
    action::Action,
    fact::Fact,
    publishing::{Answer, Step},
    task_view::TaskArn,
};
use transcode_sim::world::World;

use self::services::Services;

/// How a subject differs from AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deviation {
    /// It accepts a visibility timeout beyond 12 h from the receive.
    TwelveHours,
    /// The handle of a message whose timeout is over, and that nobody has received since, still extends it.
    LapsedHandle,
}

/// The subject of the scenarios.
trait Subject {
    /// Name of its job queue.
    fn queue(&self) -> String;
    /// How it differs.
    fn deviates(&self, how: Deviation) -> bool;
    /// A task that it has never heard of.
    fn unknown_task(&self) -> TaskArn;
    /// Its clock (ms since 1970).
    fn wall(&self) -> u64;
    /// The time between two looks, in its milliseconds.
    fn step(&self) -> u64;
    /// Sends a message to the job queue.
    async fn post(&mut self, body: &str);
    /// Carries a call out.
    async fn call(&mut self, action: Action) -> Vec<Fact>;
    /// Carries one step of the publication of a job's first attempt out.
    async fn publish(&mut self, spec: &Arc<JobSpec>, step: Step) -> Answer;
    /// Lets milliseconds pass.
    async fn pass(&mut self, ms: u64);
    /// Lets hours pass for tokens and records of ended tasks.
    async fn age(&mut self, hours: u64);
}

impl Subject for World {
    fn queue(&self) -> String {
        "jobs".to_owned()
    }

    fn deviates(&self, _how: Deviation) -> bool {
        false
    }

    fn unknown_task(&self) -> TaskArn {
        TaskArn("arn:task/999".into())
    }

    fn wall(&self) -> u64 {
        self.wall_now()
    }

    fn step(&self) -> u64 {
        1000
    }

    async fn post(&mut self, body: &str) {
        let queue = self.queue();
        World::post(self, &queue, body);
    }

    async fn call(&mut self, action: Action) -> Vec<Fact> {
        self.perform(action)
    }

    async fn publish(&mut self, spec: &Arc<JobSpec>, step: Step) -> Answer {
        self.perform_step(spec, &step).unwrap()
    }

    async fn pass(&mut self, ms: u64) {
        World::pass(self, ms);
    }

    async fn age(&mut self, hours: u64) {
        World::pass(self, hours * 3_600_000);
    }
}

#[tokio::test]
async fn the_simulators_models() {
    let mut world = World::quiet();
    scenarios::queue(&mut world).await;
    scenarios::store(&mut world).await;
    publication::conditions(&mut world).await;
    scenarios::cluster(&mut world).await;
}

#[tokio::test]
async fn the_emulator_and_the_local_fargate() {
    let mut services = Services::start().await;
    scenarios::queue(&mut services).await;
    scenarios::store(&mut services).await;
    publication::conditions(&mut services).await;
    scenarios::cluster(&mut services).await;
}
