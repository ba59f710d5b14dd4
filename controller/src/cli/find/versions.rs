//! The versions of a source object.

use aws_sdk_s3::types::{EncodingType, ObjectVersion};

use crate::{aws::written, cli::setup::Session};

/// Versions of the object, the newest first. Empty without permission to list them, or if the object is gone; then the
/// search finds the jobs.
pub(crate) async fn versions(session: &Session, bucket: &str, key: &str) -> Vec<ObjectVersion> {
    let list = session.clients.s3.read.list_object_versions().bucket(bucket).prefix(key);
    let Ok(page) = list.encoding_type(EncodingType::Url).send().await else { return Vec::new() };
    // The key itself comes before all keys that begin with it.
    let is_own = |listed: &str| {
        written("s3:ListObjectVersions", listed, page.encoding_type()).is_ok_and(|it| it == key)
    };
    let own = page.versions().iter().filter(|version| version.key().is_some_and(is_own));
    own.cloned().collect()
}

/// The newest version of an object; `None` if it is gone, or without permission to look.
pub(crate) async fn newest(session: &Session, bucket: &str, key: &str) -> Option<ObjectVersion> {
    let versions = versions(session, bucket, key).await;
    versions.into_iter().find(|version| version.is_latest() == Some(true))
}
