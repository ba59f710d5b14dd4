//! The state bucket: small JSON documents, read, overwritten or created once.

use std::{fmt::Display, time::Duration};

use aws_sdk_s3::{Client, primitives::ByteStream};
use bytes::Bytes;
use transcode_config::contract::{Attempt, JobKey, Layout};

use super::{
    SMALL_CALL,
    error::{AwsError, ErrorClass},
};

/// Largest document that is fetched, in bytes: the contract's own limit. Longer answers are cut there, and then refused
/// by the decoder.
const MAX_BYTES: usize = (1 << 20) + 1;
/// Pages of a listing that are followed. One job has two objects an attempt; 20 pages are 10,000 attempts.
const MAX_PAGES: usize = 20;

/// The result of a create-once write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The object did not exist and was written.
    Created,
    /// An object is there already — perhaps one's own, written by a try whose answer was lost.
    Exists,
}

/// The state of an attempt, by the state bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The job is not decided, and no attempt is newer.
    Current,
    /// The terminal record exists.
    Decided,
    /// A newer attempt's claim exists.
    Superseded(Attempt),
}

/// The documents of the state bucket.
#[derive(Debug, Clone)]
pub struct Documents {
    client: Client,
    bucket: String,
}

impl Documents {
    pub(super) fn new(client: Client, bucket: String) -> Self {
        Self { client, bucket }
    }

    /// The document at `key`; none if there is none.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, AwsError> {
        let answer = match self.client.get_object().bucket(&self.bucket).key(key).send().await {
            Ok(answer) => answer,
            Err(error) => {
                let error = AwsError::from(error);
                return if error.class == ErrorClass::NotFound { Ok(None) } else { Err(error) };
            }
        };
        let mut body = answer.body;
        whole(SMALL_CALL, async || body.next().await).await.map(Some)
    }

    /// Writes `key`, whatever is there. On an error it may have been written, now or a little later.
    pub async fn put(&self, key: &str, body: Vec<u8>) -> Result<(), AwsError> {
        let put = self.client.put_object().bucket(&self.bucket).key(key);
        put.content_type("application/json").body(ByteStream::from(body)).send().await?;
        Ok(())
    }

    /// Removes `key`, whether it is there or not.
    pub async fn remove(&self, key: &str) -> Result<(), AwsError> {
        self.client.delete_object().bucket(&self.bucket).key(key).send().await?;
        Ok(())
    }

    /// Writes `key` if nothing is there. On an [`ErrorClass::Transient`] error it may have been written; on any other error
    /// it was not.
    pub async fn create(&self, key: &str, body: Vec<u8>) -> Result<Put, AwsError> {
        let put = self.client.put_object().bucket(&self.bucket).key(key).if_none_match("*");
        match put.content_type("application/json").body(ByteStream::from(body)).send().await {
            Ok(_) => Ok(Put::Created),
            Err(error) => match AwsError::from(error) {
                error if error.class == ErrorClass::Precondition => Ok(Put::Exists),
                error => Err(error),
            },
        }
    }

    /// Checks whether the job is decided or a newer attempt exists. One listing begins after the attempt's own claim,
    /// so it returns only newer attempts, the specification and the terminal record. Listings of S3 are consistent.
    pub async fn standing(&self, job: &JobKey, attempt: Attempt) -> Result<Standing, AwsError> {
        let layout = Layout::of(job);
        let listing = self.client.list_objects_v2().bucket(&self.bucket).prefix(layout.prefix());
        let mut pages = listing.start_after(layout.claim(attempt)).into_paginator().send();
        let (terminal, mut newest) = (layout.terminal(), None);
        for _ in 0..MAX_PAGES {
            let Some(page) = pages.next().await else { break };
            for key in page?.contents().iter().filter_map(|object| object.key()) {
                if key == terminal {
                    return Ok(Standing::Decided);
                }
                newest = newest.max(layout.attempt_of_claim(key).filter(|other| *other > attempt));
            }
        }
        Ok(newest.map_or(Standing::Current, Standing::Superseded))
    }
}

/// Reads an answer's body, up to the size of a document. The SDK's timeouts end where the body begins.
async fn whole<E: Display>(
    within: Duration,
    mut next: impl AsyncFnMut() -> Option<Result<Bytes, E>>,
) -> Result<Vec<u8>, AwsError> {
    let read = async {
        let mut bytes = Vec::new();
        while let Some(chunk) = next().await {
            let chunk =
                chunk.map_err(|error| AwsError::transient(format!("the answer broke off: {error}")))?;
            let room = MAX_BYTES - bytes.len();
            bytes.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
            if bytes.len() == MAX_BYTES {
                break;
            }
        }
        Ok(bytes)
    };
    let late = |_| Err(AwsError::transient("time ran out within the answer"));
    tokio::time::timeout(within, read).await.unwrap_or_else(late)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[tokio::test]
    async fn of_a_document_that_is_too_large_no_more_is_fetched_than_shows_it() {
        let mut chunks = 0;
        let endless = async || {
            chunks += 1;
            Some(Ok::<_, Infallible>(Bytes::from_static(&[b' '; 10_000])))
        };
        assert_eq!(whole(SMALL_CALL, endless).await.unwrap().len(), MAX_BYTES);
        assert_eq!(chunks, MAX_BYTES.div_ceil(10_000));
    }

    #[tokio::test]
    async fn an_answer_that_never_ends_is_given_up() {
        let never = async || std::future::pending::<Option<Result<_, Infallible>>>().await;
        let error = whole(Duration::from_millis(1), never).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Transient);
    }
}
