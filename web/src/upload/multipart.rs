//! A multipart upload that a browser fills: the caller opens it, signs addresses for parts, and completes it.
//!
//! S3 enforces what an address names: the number of the part, its exact size, and its SHA-256 where the browser told it.
//! The caller completes from S3's own list of parts, so it believes nothing that a browser says about them.

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_s3::{
    Client,
    types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};

use super::{
    form::MAX_KEY_BYTES,
    plan::{Part, PartPlan},
    words::ObjectWords,
};
use crate::{WebError, address};

/// Most addresses of one call.
pub const MAX_BATCH: usize = 100;

/// Most pages of a list of parts; S3 has 1,000 parts on a page.
const MAX_PAGES: usize = 11;

/// An open upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Multipart {
    /// Bucket of the sources.
    pub bucket: String,
    /// Object key.
    pub key: String,
    /// S3's id of it.
    pub id: String,
}

/// A part that an address is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PartRequest {
    /// Its number, from 1.
    pub number: u32,
    /// SHA-256 of its bytes, in Base64: S3 then refuses other bytes. An upload with [`Checksums::Sha256`] needs it.
    #[serde(default)]
    pub sha256: Option<String>,
}

/// Who computes the checksums of an upload's parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksums {
    /// The browser, before it asks for addresses: a part is the same bytes from its memory to the disk of S3.
    Sha256,
    /// S3, of what it received.
    OfS3,
}

/// An address that takes one part, by PUT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartAddress {
    /// The part.
    #[serde(flatten)]
    pub part: Part,
    /// The address.
    pub url: String,
    /// Headers that have to be sent along.
    pub headers: Vec<(String, String)>,
}

/// A part that S3 has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredPart {
    /// Its number, from 1.
    pub number: u32,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its entity tag.
    pub etag: String,
    /// SHA-256 of its bytes, in Base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

impl Multipart {
    /// Opens an upload. `words`: the caller's own, which come back in the events of its job. Nothing is visible below the key before [`Multipart::complete`].
    pub async fn create(
        s3: &Client,
        bucket: &str,
        key: &str,
        media_type: Option<&str>,
        words: &ObjectWords,
        checksums: Checksums,
    ) -> Result<Self, WebError> {
        if key.is_empty() || key.len() > MAX_KEY_BYTES || key.ends_with('/') {
            return Err(WebError::refused(format!(
                "a key has 1–{MAX_KEY_BYTES} bytes and does not end with a slash"
            )));
        }
        let create = s3.create_multipart_upload().bucket(bucket).key(key);
        let algorithm = (checksums == Checksums::Sha256).then_some(ChecksumAlgorithm::Sha256);
        let create = create.set_checksum_algorithm(algorithm).set_metadata(words.metadata());
        let made = create.set_content_type(media_type.map(str::to_owned)).send().await;
        let id = made.map_err(|error| WebError::call("opening the upload", &error))?.upload_id;
        let id = id.ok_or_else(|| WebError::refused("S3 opened an upload without an id"))?;
        Ok(Self { bucket: bucket.to_owned(), key: key.to_owned(), id })
    }

    /// Addresses for some parts: at most [`MAX_BATCH`] of them, valid for `expires_in`.
    pub async fn addresses(
        &self,
        s3: &Client,
        plan: PartPlan,
        wanted: &[PartRequest],
        expires_in: Duration,
    ) -> Result<Vec<PartAddress>, WebError> {
        if wanted.is_empty() || wanted.len() > MAX_BATCH {
            return Err(WebError::refused(format!("1–{MAX_BATCH} parts in a call, not {}", wanted.len())));
        }
        let valid = address::expiring(expires_in)?;
        let mut addresses = Vec::with_capacity(wanted.len());
        for PartRequest { number, sha256 } in wanted {
            let part = plan.part(*number).ok_or_else(|| {
                WebError::refused(format!("part {number}: the file has parts 1–{}", plan.parts()))
            })?;
            let is_sum = |sum: &String| BASE64_STANDARD.decode(sum).is_ok_and(|sum| sum.len() == 32);
            if !sha256.as_ref().is_none_or(is_sum) {
                return Err(WebError::refused(format!("part {number}: sha256 is 32 bytes in Base64")));
            }
            let put = s3.upload_part().bucket(&self.bucket).key(&self.key).upload_id(&self.id);
            let put = put.part_number(i32::try_from(*number).unwrap_or_default());
            let put = put.set_checksum_sha256(sha256.clone());
            let put = put.content_length(i64::try_from(part.length).unwrap_or_default());
            let signed = put.presigned(valid.clone()).await;
            let signed = signed.map_err(|error| WebError::call("signing a part", &error))?;
            // Every client sends these by itself, and a browser lets no script set them.
            let own = |name: &str| ["host", "content-length"].contains(&name);
            let headers = signed.headers().filter(|(name, _)| !own(name));
            let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            addresses.push(PartAddress { part, url: signed.uri().to_owned(), headers });
        }
        Ok(addresses)
    }

    /// The parts that S3 has, by number.
    pub async fn parts(&self, s3: &Client) -> Result<Vec<StoredPart>, WebError> {
        let list = s3.list_parts().bucket(&self.bucket).key(&self.key).upload_id(&self.id);
        let mut pages = list.into_paginator().send();
        let mut parts = Vec::new();
        for _ in 0..MAX_PAGES {
            let Some(page) = pages.next().await else { break };
            let page = page.map_err(|error| WebError::call("the upload", &error))?;
            parts.extend(page.parts.unwrap_or_default().into_iter().filter_map(|part| {
                Some(StoredPart {
                    number: u32::try_from(part.part_number?).ok()?,
                    bytes: u64::try_from(part.size?).ok()?,
                    etag: part.e_tag?,
                    sha256: part.checksum_sha256,
                })
            }));
        }
        Ok(parts)
    }

    /// Completes the upload: the object appears, unless there is one of this key. Refused while a part is missing or has
    /// another size than planned.
    pub async fn complete(&self, s3: &Client, plan: PartPlan) -> Result<(), WebError> {
        let there = self.parts(s3).await?;
        let missing = missing(plan, &there);
        if !missing.is_empty() {
            let first: Vec<_> = missing.iter().take(10).map(u32::to_string).collect();
            let (count, first) = (missing.len(), first.join(", "));
            return Err(WebError::refused(format!("{count} parts are missing: {first} …")));
        }
        let parts = there.into_iter().map(|part| {
            let done = CompletedPart::builder().set_e_tag(Some(part.etag)).set_checksum_sha256(part.sha256);
            done.part_number(i32::try_from(part.number).unwrap_or_default()).build()
        });
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
        let complete = s3.complete_multipart_upload().bucket(&self.bucket).key(&self.key);
        let complete = complete.upload_id(&self.id).multipart_upload(parts).if_none_match("*");
        complete.send().await.map_err(|error| WebError::call("the object", &error)).map(|_| ())
    }

    /// Ends the upload and removes its parts. Nothing happens where it is over already.
    pub async fn abort(&self, s3: &Client) -> Result<(), WebError> {
        let abort = s3.abort_multipart_upload().bucket(&self.bucket).key(&self.key).upload_id(&self.id);
        match abort.send().await.map_err(|error| WebError::call("the upload", &error)) {
            Err(WebError::NotFound(_)) | Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// The numbers of the parts of the plan that are not there, or have another size.
fn missing(plan: PartPlan, there: &[StoredPart]) -> Vec<u32> {
    let sizes: BTreeMap<u32, u64> = there.iter().map(|part| (part.number, part.bytes)).collect();
    let parts = (1..=plan.parts()).filter_map(|number| plan.part(number));
    let missing = parts.filter(|part| sizes.get(&part.number) != Some(&part.length));
    missing.map(|part| part.number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_is_away_or_of_another_size_is_missing() {
        let plan = PartPlan::of((10 << 20) + 1).unwrap();
        let stored = |number, bytes| StoredPart { number, bytes, etag: "e".into(), sha256: None };
        let [one, two, three] = [1, 2, 3].map(|number| stored(number, plan.part(number).unwrap().length));
        assert_eq!(missing(plan, &[]), [1, 2, 3]);
        assert_eq!(missing(plan, &[one.clone(), three.clone()]), [2]);
        assert_eq!(missing(plan, &[one.clone(), stored(2, 5), three.clone()]), [2]);
        assert!(missing(plan, &[one, two, three]).is_empty());
    }
}
