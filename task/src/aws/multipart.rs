//! Multipart uploads: create, parts, complete, abort.

use std::path::Path;

use aws_sdk_s3::{
    primitives::{ByteStream, Length},
    types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart},
};

use super::{
    error::{AwsError, ErrorClass},
    objects::{Meta, Objects},
};

/// An open multipart upload. Its owner must complete or abort it: its parts are stored and paid for, and no listing
/// of objects shows them.
#[derive(Debug)]
pub struct Multipart<'a> {
    objects: &'a Objects,
    bucket: &'a str,
    key: &'a str,
    id: String,
}

impl<'a> Multipart<'a> {
    /// Opens an upload. After an uncertain error an unknown upload may be open; the bucket's lifecycle rule ends it.
    pub async fn create(
        objects: &'a Objects,
        bucket: &'a str,
        key: &'a str,
        meta: Meta,
    ) -> Result<Self, AwsError> {
        let create = objects.small.create_multipart_upload().bucket(bucket).key(key);
        let create = create.checksum_algorithm(ChecksumAlgorithm::Sha256).content_type(meta.content_type);
        let answer = create.cache_control(meta.cache_control).send().await?;
        let id = answer.upload_id.ok_or_else(|| AwsError::transient("an upload without an id"))?;
        Ok(Self { objects, bucket, key, id })
    }

    /// Uploads part `number` (from 1): `length` bytes of the file from `offset`, with their SHA-256 in Base64.
    pub async fn part(
        &self,
        number: i32,
        path: &Path,
        offset: u64,
        length: u64,
        sha256: &str,
    ) -> Result<CompletedPart, AwsError> {
        let body = ByteStream::read_from().path(path).offset(offset).length(Length::Exact(length));
        let body = body.build().await.map_err(|error| AwsError {
            class: ErrorClass::Rejected,
            status: None,
            code: None,
            message: format!("an output cannot be read: {error}"),
        })?;
        let put = self.objects.transfer.upload_part().bucket(self.bucket).key(self.key).upload_id(&self.id);
        let put =
            put.part_number(number).content_length(i64::try_from(length).unwrap_or(i64::MAX)).body(body);
        let answer = put.checksum_sha256(sha256).send().await?;
        let part = CompletedPart::builder().part_number(number).checksum_sha256(sha256);
        Ok(part.set_e_tag(answer.e_tag).build())
    }

    /// Joins the parts into one object. The answer can take long, because S3 joins them meanwhile.
    pub async fn complete(&self, parts: Vec<CompletedPart>) -> Result<(), AwsError> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let complete = self.objects.transfer.complete_multipart_upload().bucket(self.bucket).key(self.key);
        complete.upload_id(&self.id).multipart_upload(parts).send().await?;
        Ok(())
    }

    /// Discards the parts. An upload that no longer exists is no error.
    pub async fn abort(&self) -> Result<(), AwsError> {
        let abort = self.objects.small.abort_multipart_upload().bucket(self.bucket).key(self.key);
        match abort.upload_id(&self.id).send().await.map_err(AwsError::from) {
            Err(error) if error.class != ErrorClass::NoUpload => Err(error),
            _ => Ok(()),
        }
    }
}
