//! The outbox in the state bucket: events of outcomes that the bus did not take in time, one object for each.

use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream;
use transcode_config::contract::{JobEvent, encode, outbox_key, outbox_prefix};
use transcode_core::{
    effects::{
        batch::BATCH,
        ports::{InspectError, Waiting},
    },
    protocol::fact::CallError,
};

use super::{class::call_error, state::S3Store};

const PUT: &str = "s3:PutObject";
const LIST: &str = "s3:ListObjectsV2";
const DELETE: &str = "s3:DeleteObject";

impl S3Store {
    /// Writes an event; whoever writes it again writes the same object.
    pub(super) async fn put_event(&self, event: &JobEvent) -> Result<(), CallError> {
        let put = self.clients.write.put_object().bucket(&self.bucket).key(outbox_key(event));
        let put = put.content_type("application/json").body(ByteStream::from(encode(event)));
        put.send().await.map(drop).map_err(|error| call_error(PUT, &error))
    }

    /// Reads the oldest events behind a key, at most as many as one call sends. What this version cannot read stays
    /// where it is, and does not keep the others.
    pub(super) async fn events_behind(
        &self,
        environment: &str,
        after: Option<&str>,
    ) -> Result<Waiting, CallError> {
        let most = i32::try_from(BATCH).unwrap_or(i32::MAX);
        let list = self.clients.read.list_objects_v2().bucket(&self.bucket);
        let list = list.prefix(outbox_prefix(environment)).max_keys(most);
        let page = list.set_start_after(after.map(str::to_owned)).send().await;
        let page = page.map_err(|error| call_error(LIST, &error))?;
        let keys: Vec<&str> = page.contents().iter().filter_map(|object| object.key()).collect();
        let more = page.is_truncated() == Some(true);
        let mut waiting =
            Waiting { next: keys.last().filter(|_| more).map(|key| (*key).to_owned()), ..Waiting::default() };
        for key in keys {
            match self.read::<JobEvent>(key).await {
                Ok(Some(event)) => waiting.events.push((key.to_owned(), Arc::new(event))),
                // Another controller has sent it meanwhile. A document of another job's is no event.
                Ok(None) | Err(InspectError::Reused(_)) => {}
                Err(InspectError::Call(error)) => return Err(error),
                Err(InspectError::Unreadable(reason)) => {
                    tracing::warn!(reason, "an object in the outbox is left alone");
                }
            }
        }
        Ok(waiting)
    }

    /// Removes an event that the bus has.
    pub(super) async fn remove_event(&self, key: &str) -> Result<(), CallError> {
        let delete = self.clients.write.delete_object().bucket(&self.bucket).key(key).send().await;
        delete.map(drop).map_err(|error| call_error(DELETE, &error))
    }
}
