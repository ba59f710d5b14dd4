//! The control document: a reading that costs a condition while nothing changes, and never more than the limit.

use transcode_config::contract::{Control, Document, control_key};
use transcode_controller::aws::control::{ControlReader, Reading};

use crate::{
    stub::{Answer, Stub},
    support::{Account, clients, settings, world},
};

async fn put(world: &Account, body: &str) {
    let put = world.emulator.clients.s3.put_object().bucket("state").key(control_key("test"));
    put.body(body.to_owned().into_bytes().into()).send().await.unwrap();
}

#[tokio::test]
async fn a_document_is_fetched_once_for_each_change_and_its_removal_is_noticed() {
    let world = world().await;
    let mut reader = ControlReader::new(world.clients.s3.read.clone(), &world.settings);
    assert_eq!(reader.read().await, Ok(Reading::Absent));
    for document in ["first", "second", "first"] {
        put(&world, document).await;
        assert_eq!(reader.read().await, Ok(Reading::Document(document.into())));
        assert_eq!(reader.read().await, Ok(Reading::Unchanged), "304, and no body");
    }
    let delete = world.emulator.clients.s3.delete_object().bucket("state").key(control_key("test"));
    delete.send().await.unwrap();
    assert_eq!(reader.read().await, Ok(Reading::Absent));
    put(&world, "first").await;
    assert_eq!(reader.read().await, Ok(Reading::Document("first".into())), "the tag of before is forgotten");
}

#[tokio::test]
async fn of_a_document_that_is_too_large_no_more_is_fetched_than_shows_it() {
    let settings = settings();
    // More than the limit of a document, and then silence.
    let stub = Stub::start([Answer::Flood]).await;
    let mut reader = ControlReader::new(clients(&stub.endpoint, &settings).s3.read.clone(), &settings);
    let Ok(Reading::Document(bytes)) = reader.read().await else { panic!("it waits for the rest") };
    assert_eq!(bytes.len(), Control::LIMIT + 1);
    assert!(Control::read(&bytes).is_err());
}
