//! Reading the control document, as cheaply as it can be read every few seconds: S3 answers 304 while it is unchanged.

use std::time::Duration;

use aws_sdk_s3::{Client, operation::get_object::GetObjectError};
use transcode_config::{
    contract::{Control, Document, control_key},
    settings::Settings,
};
use transcode_core::protocol::fact::{CallError, ErrorClass};

use super::{
    class::{status, unless_absent},
    state::{collect, failed},
};

const GET: &str = "s3:GetObject";

/// The answer to one reading.
#[derive(Debug, PartialEq, Eq)]
pub enum Reading {
    /// It is what it was at the reading before.
    Unchanged,
    /// Nobody has written one, or it was removed.
    Absent,
    /// Its bytes.
    Document(Vec<u8>),
}

/// Reads the control document of one environment.
#[derive(Debug)]
pub struct ControlReader {
    client: Client,
    bucket: String,
    key: String,
    body_timeout: Duration,
    /// Entity tag of the last reading; `None` before the first, and where there was none.
    tag: Option<String>,
}

impl ControlReader {
    /// A reader that has read nothing yet.
    pub fn new(client: Client, settings: &Settings) -> Self {
        Self {
            client,
            bucket: settings.state.bucket.clone(),
            key: control_key(&settings.environment),
            body_timeout: Duration::from_secs(settings.calls.attempt_seconds),
            tag: None,
        }
    }

    /// Reads it, if it has changed since the last reading that succeeded.
    pub async fn read(&mut self) -> Result<Reading, CallError> {
        let request = self.client.get_object().bucket(&self.bucket).key(&self.key);
        let answer = request.set_if_none_match(self.tag.clone()).send().await;
        if answer.as_ref().err().and_then(status) == Some(304) {
            return Ok(Reading::Unchanged);
        }
        let Some(object) = unless_absent(GET, answer, GetObjectError::is_no_such_key)? else {
            self.tag = None;
            return Ok(Reading::Absent);
        };
        let bytes = tokio::time::timeout(self.body_timeout, collect(object.body, Control::LIMIT + 1)).await;
        let bytes = bytes.unwrap_or_else(|_| Err("time ran out within the body".into()));
        let bytes = bytes.map_err(|message| failed(GET, ErrorClass::Transient, message))?;
        self.tag = object.e_tag;
        Ok(Reading::Document(bytes))
    }
}
