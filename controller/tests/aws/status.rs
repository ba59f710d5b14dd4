//! The report on the emulator: of several controllers, the one that started last is heard.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use transcode_controller::{
    aws::{
        StatusWriter,
        status::Written::{self, Ours, Theirs},
    },
    events::{Events, Metric},
    observe::{
        Slot,
        http::{self, Notes, Status},
    },
};
use transcode_core::protocol::fact::ErrorClass;

use crate::{
    stub::{Answer, Stub},
    support::{Account, clients, settings, world},
};

fn writer(world: &Account, instance: &str, started_at_ms: u64) -> StatusWriter {
    StatusWriter::new(world.clients.s3.clone(), &world.settings, instance, started_at_ms)
}

/// What the controller says of itself.
async fn notes(status: &Arc<Status>) -> Notes {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let served = tokio::spawn(http::serve(listener, Arc::clone(status), stop.clone()));
    let notes = tokio::task::spawn_blocking(move || http::ask_notes(address)).await.unwrap().unwrap();
    stop.cancel();
    served.await.unwrap();
    notes
}

async fn write(writer: &mut StatusWriter, text: &'static str, last: bool) -> Written {
    writer.write(Bytes::from_static(text.as_bytes()), last).await.unwrap()
}

async fn there(world: &Account) -> String {
    let get = world.emulator.clients.s3.get_object().bucket("state").key("status/test/status.json");
    let body = get.send().await.unwrap().body.collect().await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn an_old_controllers_report_never_replaces_the_new_ones() {
    let world = world().await;
    let (mut old, mut new) = (writer(&world, "old", 1_000), writer(&world, "new", 2_000));
    assert_eq!(write(&mut old, "old 1", false).await, Ours);
    assert_eq!(write(&mut old, "old 2", false).await, Ours);
    assert_eq!(write(&mut new, "new 1", false).await, Ours, "whatever an older one wrote");
    assert_eq!(write(&mut old, "old 3", false).await, Theirs);
    assert_eq!(write(&mut old, "old 4", true).await, Theirs, "the last one neither");
    assert_eq!(there(&world).await, "new 1");
    assert_eq!(write(&mut new, "new 2", true).await, Ours);
    assert_eq!(write(&mut old, "old 5", false).await, Ours, "the new one has ended");
    assert_eq!(there(&world).await, "old 5");
}

#[tokio::test]
async fn a_controller_takes_over_what_a_killed_one_and_anybody_else_left() {
    let world = world().await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let mut killed = writer(&world, "killed", 1_000);
    write(&mut killed, "killed", false).await;
    let mut next = writer(&world, "next", u64::try_from(now).unwrap());
    assert_eq!(write(&mut next, "next 1", false).await, Ours);
    // Somebody wrote or deleted the object by hand.
    let s3 = &world.emulator.clients.s3;
    let put = s3.put_object().bucket("state").key("status/test/status.json");
    put.body(b"{}".to_vec().into()).send().await.unwrap();
    assert_eq!(write(&mut next, "next 2", false).await, Ours);
    s3.delete_object().bucket("state").key("status/test/status.json").send().await.unwrap();
    assert_eq!(write(&mut next, "next 3", false).await, Ours);
    assert_eq!(there(&world).await, "next 3");
}

#[tokio::test]
async fn a_report_that_cannot_be_written_ends_nothing() {
    let denied = Answer::Say(403, "<Error><Code>AccessDenied</Code><Message>no</Message></Error>".into());
    let stub = Stub::start([denied]).await;
    let settings = settings();
    let s3 = clients(&stub.endpoint, &settings).s3;
    let mut writer = StatusWriter::new(s3.clone(), &settings, "me", 1);
    let error = writer.write(Bytes::from_static(b"x"), false).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Misconfigured, "{error}");

    let (slot, events) = (Arc::new(Slot::default()), Arc::new(Events::new()));
    let writer = StatusWriter::new(s3, &settings, "me", 1);
    let status = Arc::new(Status::default());
    let running = tokio::spawn(writer.run(Arc::clone(&slot), Arc::clone(&events), Arc::clone(&status)));
    slot.put(Bytes::from_static(b"x"));
    slot.close();
    running.await.unwrap();
    let unwritten = notes(&status).await.unwritten.expect("commands learn it from the controller itself");
    assert!(unwritten.why.starts_with("s3:"), "{unwritten:?}");
    assert_eq!(events.registry().count(Metric::ReconcileErrors), 0, "it is no error of a job");

    let silent = Stub::start([Answer::BlackHole]).await;
    let mut writer = StatusWriter::new(clients(&silent.endpoint, &settings).s3, &settings, "me", 1);
    let error = writer.write(Bytes::from_static(b"x"), false).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Uncertain, "the write ends by itself: {error}");
}
