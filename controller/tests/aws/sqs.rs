//! Queues, on the emulator.

use std::sync::Arc;

use transcode_config::contract::Outcome;
use transcode_controller::aws::Sqs;
use transcode_core::{
    effects::{
        batch::Timeout,
        ports::{Depth, Queue},
    },
    message::DeadLetterBody,
    protocol::{
        action::{DeadLetter, LeaseRef},
        fact::{CallError, ErrorClass, Incoming, MessageId},
    },
};

use crate::{
    stub::Stub,
    support::{Account, clients, dead, job, settings, world},
};

async fn send(world: &Account, body: &str) {
    let url = &world.settings.queues["jobs"].url;
    world.emulator.clients.sqs.send_message().queue_url(url).message_body(body).send().await.unwrap();
}

fn lease(message: &Incoming) -> LeaseRef {
    LeaseRef { queue: "jobs".into(), message: message.id.clone(), receipt: message.receipt.clone() }
}

async fn hold(queue: &Sqs, lease: &LeaseRef, ms: u64) -> Result<bool, CallError> {
    queue.set_visibility(&[Timeout { lease: lease.clone(), ms, keep: true }]).await.remove(0)
}

async fn delete(queue: &Sqs, lease: &LeaseRef) -> Result<bool, CallError> {
    queue.delete(std::slice::from_ref(lease)).await.remove(0)
}

async fn receive(queue: &Sqs) -> Vec<Incoming> {
    queue.receive(&"jobs".to_owned(), 10).await.unwrap()
}

#[tokio::test]
async fn a_message_is_received_held_given_back_and_deleted() {
    let world = world().await;
    let queue = Sqs::new(world.clients.sqs.clone(), &world.settings);
    assert_eq!(receive(&queue).await, []);
    send(&world, "ünïcode \u{1F3AC}").await;
    let first = receive(&queue).await.remove(0);
    assert_eq!(first.body, "ünïcode \u{1F3AC}");
    assert!(first.sent_at_ms.is_some_and(|at| at > 1_600_000_000_000), "{first:?}");
    assert_eq!(receive(&queue).await, [], "it is held");
    assert_eq!(queue.depth(&"jobs".to_owned()).await, Ok(Depth { visible: 0, in_flight: 1, delayed: 0 }));

    assert_eq!(hold(&queue, &lease(&first), 300_000).await, Ok(true));
    assert_eq!(receive(&queue).await, [], "it is still held");
    assert_eq!(hold(&queue, &lease(&first), 0).await, Ok(true));
    let second = receive(&queue).await.remove(0);
    assert_eq!(second.id, first.id);
    assert_ne!(second.receipt, first.receipt);

    assert_eq!(delete(&queue, &lease(&second)).await, Ok(true));
    assert_eq!(queue.depth(&"jobs".to_owned()).await, Ok(Depth { visible: 0, in_flight: 0, delayed: 0 }));
}

#[tokio::test]
async fn a_worthless_handle_is_a_lost_lease_and_no_error() {
    let world = world().await;
    let queue = Sqs::new(world.clients.sqs.clone(), &world.settings);
    send(&world, "x").await;
    let message = receive(&queue).await.remove(0);
    let nonsense = LeaseRef { receipt: "nonsense".into(), ..lease(&message) };
    assert_eq!(hold(&queue, &nonsense, 1000).await, Ok(false));
    assert_eq!(delete(&queue, &nonsense).await, Ok(false));
    assert_eq!(delete(&queue, &lease(&message)).await, Ok(true));
    assert_eq!(hold(&queue, &lease(&message), 1000).await, Ok(false), "deleted meanwhile");
}

/// Row 14 of the fault catalogue.
#[tokio::test]
async fn of_a_batch_each_entry_has_its_own_answer_and_the_others_are_carried_out() {
    let world = world().await;
    let queue = Sqs::new(world.clients.sqs.clone(), &world.settings);
    for body in ["one", "two", "three"] {
        send(&world, body).await;
    }
    let mut messages = Vec::new();
    while messages.len() < 3 {
        messages.extend(receive(&queue).await);
    }
    let [one, two, three] = messages.as_slice() else { panic!("{messages:?}") };
    let stale = LeaseRef { receipt: "nonsense".into(), ..lease(two) };
    let timeout = |lease: LeaseRef, ms| Timeout { lease, ms, keep: ms > 0 };
    let set = [timeout(lease(one), 60_000), timeout(stale.clone(), 60_000), timeout(lease(three), 0)];
    assert_eq!(queue.set_visibility(&set).await, [Ok(true), Ok(false), Ok(true)]);
    let back = receive(&queue).await.remove(0);
    assert_eq!(back.id, three.id, "it was given back");

    assert_eq!(queue.delete(&[stale, lease(&back), lease(one)]).await, [Ok(false), Ok(true), Ok(true)]);
    let left = Depth { visible: 0, in_flight: 1, delayed: 0 };
    assert_eq!(queue.depth(&"jobs".to_owned()).await, Ok(left), "the one whose handle was stale");
}

#[tokio::test]
async fn a_batch_that_gets_no_answer_is_in_doubt_entry_by_entry() {
    let stub = Stub::start([Stub::error(503, "ServiceUnavailable", "later")]).await;
    let settings = settings();
    let queue = Sqs::new(clients(&stub.endpoint, &settings).sqs, &settings);
    let lease =
        |id: &str| LeaseRef { queue: "jobs".into(), message: MessageId(id.into()), receipt: "r".into() };
    let answers = queue.delete(&[lease("a"), lease("b")]).await;
    let classes: Vec<_> = answers.iter().map(|answer| answer.as_ref().map_err(|error| error.class)).collect();
    assert_eq!(classes, [Err(ErrorClass::Uncertain), Err(ErrorClass::Uncertain)]);
    assert_eq!(stub.sent().len(), 1, "what changes the world is not sent again by itself");
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_a_wrong_deployment() {
    let world = world().await;
    let mut settings = world.settings.clone();
    settings.queues.get_mut("jobs").unwrap().url.push_str("-gone");
    let queue = Sqs::new(world.clients.sqs.clone(), &settings);
    let error = queue.receive(&"jobs".to_owned(), 1).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Misconfigured, "{error}");
    let unknown = queue.receive(&"another".to_owned(), 1).await.unwrap_err();
    assert_eq!(unknown.class, ErrorClass::Permanent, "{unknown}");
}

#[tokio::test]
async fn a_dead_letter_arrives_whole_even_when_the_original_is_huge() {
    let world = world().await;
    let queue = Sqs::new(world.clients.sqs.clone(), &world.settings);
    for (name, body) in [("small", "{\"a\": \"b\"}".to_owned()), ("huge", "\"".repeat(1 << 20))] {
        send(&world, "x").await;
        let message = receive(&queue).await.remove(0);
        let job = job(name);
        let Outcome::Dead(dead) = dead(&job, "n").outcome else { panic!("not dead") };
        let letter = DeadLetter {
            lease: lease(&message),
            job: job.clone(),
            generation: 3,
            body: Arc::from(body.as_str()),
            dead: dead.clone(),
        };
        queue.dead_letter(&letter).await.unwrap();
        let url = &world.settings.queues["jobs"].dead_letter_url;
        let received = world.emulator.clients.sqs.receive_message().queue_url(url).send().await.unwrap();
        let read: DeadLetterBody = serde_json::from_str(received.messages()[0].body().unwrap()).unwrap();
        assert_eq!((read.job, read.generation, read.dead), (job, 3, dead));
        assert_eq!(read.original_cut, name == "huge");
        assert!(body.starts_with(&read.original));
        let handle = received.messages()[0].receipt_handle().unwrap();
        world
            .emulator
            .clients
            .sqs
            .delete_message()
            .queue_url(url)
            .receipt_handle(handle)
            .send()
            .await
            .unwrap();
    }
}
