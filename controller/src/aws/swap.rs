//! Documents that several writers change: compare and swap by the object's tag.

use aws_sdk_s3::{operation::get_object::GetObjectError, primitives::ByteStream};
use transcode_config::contract::{Document, decode, encode};
use transcode_core::{effects::ports::InspectError, protocol::fact::CallError};

use super::{
    class::{call_error, status, unless_absent},
    state::S3Store,
};

const GET: &str = "s3:GetObject";
const PUT: &str = "s3:PutObject";

impl S3Store {
    /// Reads a document with its tag; `None` if there is no such object.
    pub async fn read_tagged<D: Document>(&self, key: &str) -> Result<Option<(D, String)>, InspectError> {
        let answer = self.clients.read.get_object().bucket(&self.bucket).key(key).send().await;
        let object =
            unless_absent(GET, answer, GetObjectError::is_no_such_key).map_err(InspectError::Call)?;
        let Some(object) = object else { return Ok(None) };
        let tag = object.e_tag().unwrap_or_default().to_owned();
        let bytes = self.body(object.body, D::LIMIT).await?;
        let document = decode(&bytes).map_err(|error| InspectError::Unreadable(format!("{key}: {error}")))?;
        Ok(Some((document, tag)))
    }

    /// Writes a document if the object still has this tag, or, without one, if there is none. `Ok(false)`: somebody else
    /// was first. After an error it may have been written all the same.
    pub async fn swap<D: Document>(
        &self,
        key: &str,
        document: &D,
        tag: Option<&str>,
    ) -> Result<bool, CallError> {
        let put = self.clients.write.put_object().bucket(&self.bucket).key(key);
        let put = match tag {
            Some(tag) => put.if_match(tag),
            None => put.if_none_match("*"),
        };
        let put = put.content_type("application/json").body(ByteStream::from(encode(document)));
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) if matches!(status(&error), Some(404 | 409 | 412)) => Ok(false),
            Err(error) => Err(call_error(PUT, &error)),
        }
    }
}
