//! Addresses: percent-encoding of keys, the address of a bucket, and how long a signature may last.

use std::time::Duration;

use aws_sdk_s3::{Client, presigning::PresigningConfig};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::WebError;

/// AWS' longest validity of a signature.
pub(crate) const MAX_EXPIRY: Duration = Duration::from_hours(7 * 24);

/// All but the characters that RFC 3986 leaves alone, and the slash. A `*` is encoded as well: in a policy of
/// CloudFront it would stand for anything.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// A key as the path of an address.
pub(crate) fn encoded(key: &str) -> String {
    utf8_percent_encode(key, PATH).to_string()
}

/// The validity of a signature. Signatures of a role's credentials end with those at the latest.
pub(crate) fn expiring(after: Duration) -> Result<PresigningConfig, WebError> {
    let allowed = 1..=MAX_EXPIRY.as_secs();
    if !allowed.contains(&after.as_secs()) {
        let most = MAX_EXPIRY.as_secs();
        return Err(WebError::refused(format!("an address is valid for 1–{most} seconds, not {after:?}")));
    }
    PresigningConfig::expires_in(after).map_err(|error| WebError::refused(error.to_string()))
}

/// An address that reads one object for a while.
pub(crate) async fn reading(
    s3: &Client,
    bucket: &str,
    key: &str,
    valid: &PresigningConfig,
) -> Result<String, WebError> {
    let signed = s3.get_object().bucket(bucket).key(key).presigned(valid.clone()).await;
    signed.map(|signed| signed.uri().to_owned()).map_err(|error| WebError::call("signing", &error))
}

/// The address of a bucket as the client's own rules make it: Regions, partitions, endpoints of one's own.
pub(crate) async fn of_bucket(s3: &Client, bucket: &str) -> Result<String, WebError> {
    const ANY: &str = "x";
    let valid = expiring(Duration::from_secs(1))?;
    let signed = reading(s3, bucket, ANY, &valid).await?;
    let plain = signed.split('?').next().unwrap_or_default();
    let bucket = plain.strip_suffix(ANY).ok_or_else(|| WebError::refused("the endpoint has no address"))?;
    Ok(bucket.to_owned())
}
