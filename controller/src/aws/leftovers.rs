//! Collecting what an attempt left behind in the output bucket (L7): files, and multipart uploads that nobody will
//! complete. Only below the attempt's own folder; the bucket's lifecycle rule is the net under it.

use aws_sdk_s3::{
    operation::abort_multipart_upload::AbortMultipartUploadError,
    types::{Delete, ObjectIdentifier},
};

use super::{
    class::{call_error, entry_error, unless_absent},
    state::{S3Store, failed},
};
use crate::fact::{CallError, Class};

/// Pages of one folder in one go: 10,000 files or uploads, more than a job makes. What is left then goes with the next
/// try.
const MAX_PAGES: usize = 10;

const LIST: &str = "s3:ListObjectsV2";
const DELETE: &str = "s3:DeleteObjects";
const LIST_UPLOADS: &str = "s3:ListMultipartUploads";
const ABORT: &str = "s3:AbortMultipartUpload";

impl S3Store {
    /// Empties a folder: a key prefix with a trailing slash. `Err`: a part of it may be gone.
    pub(super) async fn empty(&self, bucket: &str, folder: &str) -> Result<(), CallError> {
        // An upload that is completed meanwhile lies in the folder, which is emptied after it.
        for _ in 0..MAX_PAGES {
            if self.abort_uploads(bucket, folder).await? {
                return self.delete_files(bucket, folder).await;
            }
        }
        Err(failed(ABORT, Class::Transient, format!("{folder}: more uploads than one go takes")))
    }

    async fn delete_files(&self, bucket: &str, folder: &str) -> Result<(), CallError> {
        for _ in 0..MAX_PAGES {
            // From the beginning each time: what was on the page before is gone.
            let listed = self.clients.read.list_objects_v2().bucket(bucket).prefix(folder).send().await;
            let page = listed.map_err(|error| call_error(LIST, &error))?;
            let keys = page.contents().iter().filter_map(|object| object.key());
            let objects: Vec<_> =
                keys.filter_map(|key| ObjectIdentifier::builder().key(key).build().ok()).collect();
            if objects.is_empty() {
                return Ok(());
            }
            let delete = Delete::builder().set_objects(Some(objects)).quiet(true).build();
            let delete = delete.map_err(|error| failed(DELETE, Class::Permanent, error.to_string()))?;
            let answer = self.clients.write.delete_objects().bucket(bucket).delete(delete).send().await;
            let answer = answer.map_err(|error| call_error(DELETE, &error))?;
            if let Some(error) = answer.errors().first() {
                let (code, message) = (error.code().unwrap_or_default(), error.message().unwrap_or_default());
                return Err(entry_error(DELETE, code, message, false));
            }
            if page.is_truncated() != Some(true) {
                return Ok(());
            }
        }
        Err(failed(DELETE, Class::Transient, format!("{folder}: more files than one go takes")))
    }

    /// Aborts the open uploads of one page. Says whether there was no other page.
    async fn abort_uploads(&self, bucket: &str, folder: &str) -> Result<bool, CallError> {
        let listed = self.clients.read.list_multipart_uploads().bucket(bucket).prefix(folder).send().await;
        let page = listed.map_err(|error| call_error(LIST_UPLOADS, &error))?;
        for upload in page.uploads() {
            let (Some(key), Some(id)) = (upload.key(), upload.upload_id()) else { continue };
            let abort = self.clients.write.abort_multipart_upload().bucket(bucket).key(key).upload_id(id);
            // Completed or aborted meanwhile, where it is not there any more.
            unless_absent(ABORT, abort.send().await, AbortMultipartUploadError::is_no_such_upload)?;
        }
        Ok(page.is_truncated() != Some(true))
    }
}
