//! What the controller does with the events of jobs: it sends them, and keeps them while the bus is away.

use std::sync::atomic::{AtomicBool, Ordering};

use transcode_tests::{
    Stack,
    listener::Listener,
    proxy::{Call, Interceptor, Treatment},
};

use super::LIMIT;

/// Takes the bus away from the controller.
#[derive(Debug, Default)]
pub(super) struct Bus {
    away: AtomicBool,
}

impl Interceptor for Bus {
    fn request(&self, call: &Call) -> Treatment {
        let refused = call.operation == "PutEvents" && self.away.load(Ordering::Relaxed);
        if refused { Treatment::Deny } else { Treatment::Forward }
    }
}

/// Its outcome goes into the outbox, and from there to the bus.
pub(super) async fn a_job_while_the_bus_is_away(stack: &Stack, bus: &Bus, listener: &Listener) {
    let ended = async |key: &str| {
        stack.put_source_body(key, b"no video".to_vec()).await.unwrap();
        let terminal = stack.wait_for_terminal_record(key, LIMIT).await.unwrap();
        stack.wait_for_empty_queue(LIMIT).await.unwrap();
        terminal.job
    };
    bus.away.store(true, Ordering::Relaxed);
    let late = ended("late.mp4").await;
    assert_eq!(listener.events(&late).await.unwrap(), []);
    bus.away.store(false, Ordering::Relaxed);
    let next = ended("next.mp4").await;
    for job in [late, next] {
        let dead = |events: &[_]| !events.is_empty();
        listener.until("the outcome is told", &job, dead).await.unwrap();
    }
    let empty = async || {
        let left = stack.objects(&stack.deployment.state_bucket, "outbox/").await?;
        Ok(left.is_empty().then_some(()))
    };
    stack.wait_for("the outbox is empty", LIMIT, empty).await.unwrap();
}
