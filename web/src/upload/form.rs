//! A signed form: one POST of a browser, without any script.
//!
//! Source: "Authenticating requests in browser-based uploads using POST (AWS Signature Version 4)", S3 API reference.
//!
//! S3 has no condition `If-None-Match` for a POST: whoever holds the form can replace what it uploaded until it expires.
//! So a form's key should be new and unguessable, or its time short; a PUT and a multipart upload are written once.

use std::{
    collections::BTreeMap,
    ops::RangeInclusive,
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use aws_smithy_types::date_time::{DateTime, Format};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Serialize;
use serde_json::{Value, json};

use super::words::ObjectWords;
use crate::{WebError, address};

/// Largest file of one POST, in bytes.
const MAX_POST_BYTES: u64 = 5 * (1 << 30);

/// Longest object key, in bytes.
pub(super) const MAX_KEY_BYTES: usize = 1024;

/// Which keys a form may write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyRule {
    /// This one.
    Exactly(String),
    /// Any that begins so; the form's own key adds the name of the file.
    Below(String),
}

/// What a form may upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormPolicy {
    /// Bucket of the sources.
    pub bucket: String,
    /// Its keys.
    pub key: KeyRule,
    /// Smallest and largest size of the file, in bytes.
    pub bytes: RangeInclusive<u64>,
    /// What the media type begins with: `video/`; none for any. The form then needs a field `Content-Type` in front of
    /// the file.
    pub media_type: Option<String>,
    /// The caller's own words: fields of the form that cannot be changed.
    pub words: ObjectWords,
    /// How long the form is valid. The upload has to begin in that time.
    pub expires_in: Duration,
}

/// A form: the fields, in any order, in front of a field `file`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Form {
    /// The form's `action`; its `enctype` is `multipart/form-data`.
    pub url: String,
    /// Its hidden fields.
    pub fields: BTreeMap<String, String>,
}

impl FormPolicy {
    /// Signs the form. `now`: the time of the signature; `credentials`: those of a role that may put these objects.
    pub async fn sign(
        &self,
        s3: &Client,
        credentials: &Credentials,
        now: SystemTime,
    ) -> Result<Form, WebError> {
        let region = s3.config().region().map(|region| region.as_ref().to_owned());
        let region = region.ok_or_else(|| WebError::refused("no Region: set AWS_REGION"))?;
        let url = address::of_bucket(s3, &self.bucket).await?;
        Ok(Form { url, fields: self.fields(credentials, &region, now)? })
    }

    /// The signed fields. Pure.
    fn fields(
        &self,
        credentials: &Credentials,
        region: &str,
        now: SystemTime,
    ) -> Result<BTreeMap<String, String>, WebError> {
        self.check()?;
        let (Some(at), Some(until)) = (written(now), written(now + self.expires_in)) else {
            return Err(WebError::refused("the clock is outside of the calendar"));
        };
        // The same time in its short form.
        let stamp = at.replace(['-', ':'], "");
        let day = stamp.get(..8).unwrap_or_default();
        let id = credentials.access_key_id();
        let mut fields = BTreeMap::from([
            ("x-amz-algorithm", "AWS4-HMAC-SHA256".to_owned()),
            ("x-amz-credential", format!("{id}/{day}/{region}/s3/aws4_request")),
            ("x-amz-date", stamp.clone()),
            ("success_action_status", "201".to_owned()),
        ]);
        if let Some(token) = credentials.session_token() {
            fields.insert("x-amz-security-token", token.to_owned());
        }
        let words: Vec<(String, &str)> =
            self.words.entries().map(|(name, value)| (format!("x-amz-meta-{name}"), value)).collect();
        for (name, value) in &words {
            fields.insert(name, (*value).to_owned());
        }
        // Each field of a form but the policy, its signature and the file has to be named by a condition.
        let mut conditions: Vec<Value> = fields.iter().map(|(name, value)| json!({ *name: value })).collect();
        conditions.push(json!({ "bucket": self.bucket }));
        conditions.push(json!(["content-length-range", self.bytes.start(), self.bytes.end()]));
        let key = match &self.key {
            KeyRule::Exactly(key) => {
                conditions.push(json!(["eq", "$key", key]));
                key.clone()
            }
            KeyRule::Below(prefix) => {
                conditions.push(json!(["starts-with", "$key", prefix]));
                format!("{prefix}${{filename}}")
            }
        };
        fields.insert("key", key);
        if let Some(kind) = &self.media_type {
            conditions.push(json!(["starts-with", "$Content-Type", kind]));
        }
        let policy = json!({ "expiration": until, "conditions": conditions }).to_string();
        let policy = BASE64_STANDARD.encode(policy);
        let key = generate_signing_key(credentials.secret_access_key(), now, region, "s3");
        fields.insert("x-amz-signature", calculate_signature(key, policy.as_bytes()));
        fields.insert("policy", policy);
        Ok(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    fn check(&self) -> Result<(), WebError> {
        let (least, most) = (*self.bytes.start(), *self.bytes.end());
        if least == 0 || least > most || most > MAX_POST_BYTES {
            return Err(WebError::refused(format!(
                "a form takes 1–{MAX_POST_BYTES} bytes, not {least}–{most}: larger files are sent in parts"
            )));
        }
        address::expiring(self.expires_in)?;
        let (KeyRule::Exactly(key) | KeyRule::Below(key)) = &self.key;
        if key.len() > MAX_KEY_BYTES || (key.is_empty() && matches!(self.key, KeyRule::Exactly(_))) {
            return Err(WebError::refused(format!("a key has 1–{MAX_KEY_BYTES} bytes")));
        }
        // S3 puts the file's name there in an exact key too.
        if key.contains("${filename}") {
            return Err(WebError::refused("${filename} in a key is replaced by S3"));
        }
        Ok(())
    }
}

/// A time as ISO 8601 has it, in whole seconds.
fn written(at: SystemTime) -> Option<String> {
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    DateTime::from_secs(i64::try_from(seconds).ok()?).fmt(Format::DateTime).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(key: KeyRule) -> FormPolicy {
        FormPolicy {
            bucket: "sources".into(),
            key,
            bytes: 1..=1000,
            media_type: Some("video/".into()),
            words: ObjectWords::new(BTreeMap::from([("user".into(), "42".into())])).unwrap(),
            expires_in: Duration::from_mins(15),
        }
    }

    fn signed(policy: &FormPolicy) -> (BTreeMap<String, String>, Value) {
        let credentials = Credentials::new("AKID", "secret", Some("token".into()), None, "test");
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(402_864);
        let fields = policy.fields(&credentials, "eu-central-1", now).unwrap();
        let text = BASE64_STANDARD.decode(&fields["policy"]).unwrap();
        (fields, serde_json::from_slice(&text).unwrap())
    }

    #[test]
    fn the_policy_names_each_field_and_its_limits() {
        let (fields, text) = signed(&policy(KeyRule::Below("in/".into())));
        assert_eq!(text["expiration"], "2015-12-17T00:15:00Z");
        let conditions = text["conditions"].as_array().unwrap();
        for wanted in [
            json!({"bucket": "sources"}),
            json!(["content-length-range", 1, 1000]),
            json!(["starts-with", "$key", "in/"]),
            json!(["starts-with", "$Content-Type", "video/"]),
            json!({"x-amz-security-token": "token"}),
            json!({"x-amz-meta-user": "42"}),
            json!({"x-amz-credential": "AKID/20151217/eu-central-1/s3/aws4_request"}),
        ] {
            assert!(conditions.contains(&wanted), "{wanted} is not in {text}");
        }
        assert_eq!(fields["key"], "in/${filename}");
        assert_eq!(fields["x-amz-meta-user"], "42");
        assert_eq!(fields["x-amz-signature"].len(), 64);
        let (fields, text) = signed(&policy(KeyRule::Exactly("in/a.mp4".into())));
        assert!(
            text["conditions"].as_array().unwrap().contains(&json!(["eq", "$key", "in/a.mp4"])),
            "{text}"
        );
        assert_eq!(fields["key"], "in/a.mp4");
    }

    #[test]
    fn a_form_that_s3_would_not_keep_to_is_not_signed() {
        let exact = policy(KeyRule::Exactly("a".into()));
        let bad = [
            FormPolicy { bytes: 0..=9, ..exact.clone() },
            #[allow(clippy::reversed_empty_ranges, reason = "what is refused")]
            FormPolicy { bytes: 9..=8, ..exact.clone() },
            FormPolicy { bytes: 1..=MAX_POST_BYTES + 1, ..exact.clone() },
            FormPolicy { key: KeyRule::Exactly(String::new()), ..exact.clone() },
            FormPolicy { key: KeyRule::Exactly("a${filename}".into()), ..exact.clone() },
            FormPolicy { key: KeyRule::Below("k".repeat(1025)), ..exact.clone() },
            FormPolicy { expires_in: Duration::ZERO, ..exact.clone() },
            FormPolicy { expires_in: Duration::from_hours(200), ..exact },
        ];
        for policy in bad {
            assert!(matches!(policy.check(), Err(WebError::Refused(_))), "{policy:?}");
        }
    }
}
