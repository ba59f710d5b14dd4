//! The body of a job request.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use transcode_config::{
    contract::{Edit, REQUEST_WITH_FORCE, REQUEST_WITH_LANGUAGE, REQUEST_WITH_METADATA, SPEC_WITH_EDIT},
    escape::net,
};

/// The source and the options of a request.
pub(crate) struct Object<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
    pub(crate) version: Option<&'a str>,
}

/// A job request, as `message/request.rs` reads it.
pub(crate) fn body(
    Object { bucket, key, version }: &Object<'_>,
    profile: Option<&str>,
    edit: &Edit,
    idempotency: Option<&str>,
    force: bool,
) -> String {
    let mut body = json!({"schema": 1, "kind": "transcode.job", "source": {"bucket": bucket, "key": key}});
    if let Some(version) = version {
        body["source"]["version_id"] = (*version).into();
    }
    if let Some(profile) = profile {
        body["profile"] = profile.into();
    }
    if !edit.is_none() {
        body["schema"] = SPEC_WITH_EDIT.into();
    }
    if let Some(clip) = &edit.clip {
        body["clip"] = json!(clip);
    }
    if let Some(overlay) = &edit.overlay {
        body["overlay"] = json!(overlay);
    }
    if let Some(name) = idempotency {
        body["idempotency_key"] = name.into();
    }
    if force {
        (body["schema"], body["force"]) = (REQUEST_WITH_FORCE.into(), true.into());
    }
    // A key may contain characters that SQS refuses; JSON can escape them.
    net(&body.to_string()).into_owned()
}

/// The request with a language for tracks whose language the file does not name.
pub(crate) fn speaking(request: String, language: Option<&str>) -> String {
    let Some((language, mut body)) = language.zip(serde_json::from_str::<Value>(&request).ok()) else {
        return request;
    };
    (body["schema"], body["default_language"]) = (REQUEST_WITH_LANGUAGE.into(), language.into());
    net(&body.to_string()).into_owned()
}

/// The request with the caller's own words.
pub(crate) fn with_words(request: String, words: &BTreeMap<String, String>) -> String {
    let parsed = serde_json::from_str::<Value>(&request).ok().filter(|_| !words.is_empty());
    let Some(mut body) = parsed else { return request };
    (body["schema"], body["user_metadata"]) = (REQUEST_WITH_METADATA.into(), json!(words));
    net(&body.to_string()).into_owned()
}

/// The event of a new object, as the bucket sends it through `EventBridge`: its job is the one that the upload itself
/// asks for.
pub(crate) fn event(bucket: &str, key: &str, version: &str, size: Option<u64>) -> String {
    let mut object = json!({"key": key, "version-id": version});
    if let Some(size) = size {
        object["size"] = size.into();
    }
    let body = json!({
        "version": "0", "source": "aws.s3", "detail-type": "Object Created",
        "detail": {"version": "0", "bucket": {"name": bucket}, "object": object},
    });
    net(&body.to_string()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_along_and_none_leave_the_request_as_it_is() {
        let object = Object { bucket: "b", key: "k", version: None };
        let plain = body(&object, None, &Edit::default(), None, false);
        assert_eq!(with_words(plain.clone(), &BTreeMap::new()), plain);
        let words = BTreeMap::from([("user-id".to_owned(), "42".to_owned())]);
        let sent: Value = serde_json::from_str(&with_words(plain, &words)).unwrap();
        assert_eq!((&sent["schema"], &sent["user_metadata"]), (&json!(5), &json!({"user-id": "42"})));
    }
}
