//! Queues, on the emulator.

use std::sync::Arc;

use transcode_config::contract::Outcome;
use transcode_controller::{
    action::{DeadLetter, LeaseRef},
    aws::Sqs,
    fact::{Class, Incoming},
    message::DeadLetterBody,
    ports::{Depth, Queue},
};

use crate::support::{World, dead, job, world};

async fn send(world: &World, body: &str) {
    let url = &world.settings.queues["jobs"].url;
    world.emulator.clients.sqs.send_message().queue_url(url).message_body(body).send().await.unwrap();
}

fn lease(message: &Incoming) -> LeaseRef {
    LeaseRef { queue: "jobs".into(), message: message.id.clone(), receipt: message.receipt.clone() }
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

    assert_eq!(queue.set_visibility(&lease(&first), 300_000).await, Ok(true));
    assert_eq!(receive(&queue).await, [], "it is still held");
    assert_eq!(queue.set_visibility(&lease(&first), 0).await, Ok(true));
    let second = receive(&queue).await.remove(0);
    assert_eq!(second.id, first.id);
    assert_ne!(second.receipt, first.receipt);

    assert_eq!(queue.delete(&lease(&second)).await, Ok(true));
    assert_eq!(queue.depth(&"jobs".to_owned()).await, Ok(Depth { visible: 0, in_flight: 0, delayed: 0 }));
}

#[tokio::test]
async fn a_worthless_handle_is_a_lost_lease_and_no_error() {
    let world = world().await;
    let queue = Sqs::new(world.clients.sqs.clone(), &world.settings);
    send(&world, "x").await;
    let message = receive(&queue).await.remove(0);
    let nonsense = LeaseRef { receipt: "nonsense".into(), ..lease(&message) };
    assert_eq!(queue.set_visibility(&nonsense, 1000).await, Ok(false));
    assert_eq!(queue.delete(&nonsense).await, Ok(false));
    assert_eq!(queue.delete(&lease(&message)).await, Ok(true));
    assert_eq!(queue.set_visibility(&lease(&message), 1000).await, Ok(false), "deleted meanwhile");
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_a_wrong_deployment() {
    let world = world().await;
    let mut settings = world.settings.clone();
    settings.queues.get_mut("jobs").unwrap().url.push_str("-gone");
    let queue = Sqs::new(world.clients.sqs.clone(), &settings);
    let error = queue.receive(&"jobs".to_owned(), 1).await.unwrap_err();
    assert_eq!(error.class, Class::Misconfigured, "{error}");
    let unknown = queue.receive(&"another".to_owned(), 1).await.unwrap_err();
    assert_eq!(unknown.class, Class::Permanent, "{unknown}");
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
