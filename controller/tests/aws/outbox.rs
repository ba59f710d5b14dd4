//! The outbox in the state bucket, on the emulator.

use aws_sdk_s3::primitives::ByteStream;
use transcode_config::contract::outbox_key;
use transcode_controller::aws::S3Store;
use transcode_core::effects::ports::{Store, Waiting};

use crate::support::{Account, event, world};

/// The times of the events behind a key, and where the next reading begins.
async fn waiting(store: &S3Store, after: Option<&str>) -> (Vec<u64>, Option<String>) {
    let Waiting { events, next } = store.waiting("test", after).await.unwrap();
    (events.iter().map(|(_, event)| event.at_ms).collect(), next)
}

async fn lies(world: &Account, key: &str, body: &'static str) {
    let put = world.emulator.clients.s3.put_object().bucket(&world.settings.state.bucket).key(key);
    put.body(ByteStream::from_static(body.as_bytes())).send().await.unwrap();
}

#[tokio::test]
async fn events_wait_once_each_and_the_oldest_is_read_first() {
    let world = world().await;
    let store = S3Store::new(world.clients.s3.clone(), &world.settings);
    for at_ms in (1..=12).rev().chain([3, 3]) {
        store.put_aside(&event(&at_ms.to_string(), at_ms)).await.unwrap();
    }
    let (first, next) = waiting(&store, None).await;
    assert_eq!(first, (1..=10).collect::<Vec<_>>());
    assert_eq!(next, Some(outbox_key(&event("10", 10))));
    assert_eq!(waiting(&store, next.as_deref()).await, (vec![11, 12], None));

    store.take_out(&outbox_key(&event("1", 1))).await.unwrap();
    store.take_out(&outbox_key(&event("1", 1))).await.unwrap();
    assert_eq!(waiting(&store, None).await.0, (2..=11).collect::<Vec<_>>());
    assert_eq!(store.waiting("other", None).await.unwrap(), Waiting::default());
}

#[tokio::test]
async fn what_this_version_cannot_read_stays_and_keeps_nobody() {
    let world = world().await;
    let store = S3Store::new(world.clients.s3.clone(), &world.settings);
    lies(&world, "outbox/test/0000000000000-newer.json", r#"{"schema": 99}"#).await;
    lies(&world, "outbox/test/0000000000001-junk", "no json").await;
    store.put_aside(&event("a", 5)).await.unwrap();
    assert_eq!(waiting(&store, None).await, (vec![5], None));
    let listed = world.emulator.clients.s3.list_objects_v2().bucket(&world.settings.state.bucket);
    assert_eq!(listed.prefix("outbox/").send().await.unwrap().key_count(), Some(3));
}
