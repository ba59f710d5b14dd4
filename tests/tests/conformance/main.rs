//! One suite of scenarios for the simulator's models of SQS, S3 and ECS and for what stands in for the services here: the
//! emulator and the local Fargate, through the controller's own adapters. What the simulator proves rests on its models
//! answering as the services do.
//!
//! Where a subject answers otherwise than AWS, it says so in [`Deviation`], and the suite asserts the deviation: an
//! emulator that has been put right fails here, and its row in `tests/README.md` can go.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod scenarios;
mod services;

use transcode_core::protocol::{action::Action, fact::Fact, task_view::TaskArn};
use transcode_sim::world::World;

use self::services::Services;

/// How a subject differs from AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deviation {
    /// A visibility timeout beyond 12 h from the receive is taken.
    TwelveHours,
    /// The handle of a message whose timeout is over, and which nobody has received since, still extends it.
    LapsedHandle,
}

/// What the scenarios are played on.
trait Subject {
    /// Name of its job queue.
    fn queue(&self) -> String;
    /// How it differs.
    fn deviates(&self, how: Deviation) -> bool;
    /// A task that it has never heard of.
    fn unknown_task(&self) -> TaskArn;
    /// Its clock (ms since 1970).
    fn wall(&self) -> u64;
    /// How long to wait between two looks, in its milliseconds.
    fn step(&self) -> u64;
    /// Sends a message to the job queue.
    async fn post(&mut self, body: &str);
    /// Carries a call out.
    async fn call(&mut self, action: Action) -> Vec<Fact>;
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
    scenarios::cluster(&mut world).await;
}

#[tokio::test]
async fn the_emulator_and_the_local_fargate() {
    let mut services = Services::start().await;
    scenarios::queue(&mut services).await;
    scenarios::store(&mut services).await;
    scenarios::cluster(&mut services).await;
}
