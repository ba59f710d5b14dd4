//! Collects an attempt's leftovers in the output bucket (L7): files, and open multipart uploads. Only below the
//! attempt's own folder; the bucket's lifecycle rule removes the rest.

use aws_sdk_s3::{
    operation::abort_multipart_upload::AbortMultipartUploadError,
    types::{Delete, EncodingType, ObjectIdentifier},
};
use transcode_config::aws::{fits_xml, url_decoded};
use transcode_core::protocol::fact::{CallError, ErrorClass};

use super::{
    class::{call_error, entry_error, unless_absent},
    state::{S3Store, failed},
};

/// Most pages of one folder in one call: 10,000 files or uploads, more than a job makes. The next call removes the
/// rest.
const MAX_PAGES: usize = 10;

const LIST: &str = "s3:ListObjectsV2";
const DELETE: &str = "s3:DeleteObjects";
const DELETE_ONE: &str = "s3:DeleteObject";
const LIST_UPLOADS: &str = "s3:ListMultipartUploads";
const ABORT: &str = "s3:AbortMultipartUpload";

impl S3Store {
    /// Empties a folder: a key prefix with a trailing slash. `Err`: a part of it may be gone.
    pub(super) async fn empty(&self, bucket: &str, folder: &str) -> Result<(), CallError> {
        // Uploads first: an upload that is completed meanwhile becomes a file in the folder, which is emptied next.
        for _ in 0..MAX_PAGES {
            if self.abort_uploads(bucket, folder).await? {
                return self.delete_files(bucket, folder).await;
            }
        }
        Err(failed(ABORT, ErrorClass::Transient, format!("{folder}: more uploads than one go takes")))
    }

    async fn delete_files(&self, bucket: &str, folder: &str) -> Result<(), CallError> {
        for _ in 0..MAX_PAGES {
            // From the beginning each time: the files of the page before are gone.
            let list = self.clients.read.list_objects_v2().bucket(bucket).prefix(folder);
            let listed = list.encoding_type(EncodingType::Url).send().await;
            let page = listed.map_err(|error| call_error(LIST, &error))?;
            let keys = page.contents().iter().filter_map(|object| object.key());
            let keys = keys.map(|key| written(LIST, key, page.encoding_type()));
            let keys: Vec<String> = keys.collect::<Result<_, _>>()?;
            if keys.is_empty() {
                return Ok(());
            }
            let (together, alone): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| fits_xml(key));
            self.delete_together(bucket, &together).await?;
            for key in alone {
                let deleted = self.clients.write.delete_object().bucket(bucket).key(key).send().await;
                deleted.map_err(|error| call_error(DELETE_ONE, &error))?;
            }
            if page.is_truncated() != Some(true) {
                return Ok(());
            }
        }
        Err(failed(DELETE, ErrorClass::Transient, format!("{folder}: more files than one go takes")))
    }

    async fn delete_together(&self, bucket: &str, keys: &[String]) -> Result<(), CallError> {
        let objects: Vec<_> =
            keys.iter().filter_map(|key| ObjectIdentifier::builder().key(key).build().ok()).collect();
        if objects.is_empty() {
            return Ok(());
        }
        let delete = Delete::builder().set_objects(Some(objects)).quiet(true).build();
        let delete = delete.map_err(|error| failed(DELETE, ErrorClass::Permanent, error.to_string()))?;
        let answer = self.clients.write.delete_objects().bucket(bucket).delete(delete).send().await;
        let answer = answer.map_err(|error| call_error(DELETE, &error))?;
        let Some(error) = answer.errors().first() else { return Ok(()) };
        let (code, message) = (error.code().unwrap_or_default(), error.message().unwrap_or_default());
        Err(entry_error(DELETE, code, message, false))
    }

    /// Aborts the open uploads of one page. Returns whether this was the last page.
    async fn abort_uploads(&self, bucket: &str, folder: &str) -> Result<bool, CallError> {
        let list = self.clients.read.list_multipart_uploads().bucket(bucket).prefix(folder);
        let listed = list.encoding_type(EncodingType::Url).send().await;
        let page = listed.map_err(|error| call_error(LIST_UPLOADS, &error))?;
        for upload in page.uploads() {
            let (Some(key), Some(id)) = (upload.key(), upload.upload_id()) else { continue };
            let key = written(LIST_UPLOADS, key, page.encoding_type())?;
            let abort = self.clients.write.abort_multipart_upload().bucket(bucket).key(key).upload_id(id);
            // "No such upload": it was completed or aborted meanwhile.
            unless_absent(ABORT, abort.send().await, AbortMultipartUploadError::is_no_such_upload)?;
        }
        Ok(page.is_truncated() != Some(true))
    }
}

/// Decodes a key of a list. A server that does not know the encoding omits it from the answer.
pub(crate) fn written(
    operation: &'static str,
    key: &str,
    encoding: Option<&EncodingType>,
) -> Result<String, CallError> {
    if encoding != Some(&EncodingType::Url) {
        return Ok(key.to_owned());
    }
    url_decoded(key).ok_or_else(|| failed(operation, ErrorClass::Unknown, format!("{key}: no key of UTF-8")))
}
