//! Turns the error of an AWS call into a class, and a class into a failure code. The table of error answers is shared with
//! the controller ([`transcode_config::aws`]).

use std::fmt;

use aws_smithy_runtime_api::{client::result::SdkError, http::Response};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use transcode_config::{
    aws::{Meaning, meaning, region_named},
    contract::{Failure, FailureCode},
    escape::one_line,
};

/// Longest error message that is kept, in characters.
const MAX_MESSAGE: usize = 600;

/// What an error means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// The object, or the version that was asked for, is not there.
    NotFound,
    /// The bucket is not there.
    NoBucket,
    /// No permission; a repeated call fails too.
    Denied,
    /// The deployment is wrong: the bucket lies in another Region, say.
    Misconfigured,
    /// A condition did not hold (412). The write was not made — unless an earlier try of it was.
    Precondition,
    /// Another conditional write was in flight (409). Nothing was written; try again.
    Conflict,
    /// The object lies in an archive.
    Archived,
    /// The range lies outside the object.
    Range,
    /// The multipart upload does not exist, or no longer.
    NoUpload,
    /// Too many calls. Try again, slower.
    Throttled,
    /// No answer, or one that says "not now". Try again; **a write may have been made**.
    Transient,
    /// The call was given up because the task is stopping.
    Stopped,
    /// S3 refused the request itself; a repeated call fails too.
    Rejected,
    /// Refused with an unknown code. Nothing was done; the next attempt may succeed or not.
    Unknown,
}

impl ErrorClass {
    /// Whether the same call can succeed later.
    pub fn retryable(self) -> bool {
        matches!(self, Self::Conflict | Self::Throttled | Self::Transient)
    }
}

/// A failed call to AWS.
#[derive(Debug, Clone, thiserror::Error)]
pub struct AwsError {
    /// What it means.
    pub class: ErrorClass,
    /// HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// AWS' own code, such as `NoSuchKey`. `HEAD` answers have none.
    pub code: Option<String>,
    /// What went wrong, for a person.
    pub message: String,
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.code, self.status) {
            (Some(code), _) => write!(f, "{code}: {}", self.message),
            (None, Some(status)) => write!(f, "http {status}: {}", self.message),
            (None, None) => f.write_str(&self.message),
        }
    }
}

/// Whose object a call was about. The same refusal concerns different people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The uploaded object.
    Source,
    /// The image for the overlay.
    Overlay,
    /// The production bucket.
    Output,
    /// The state bucket.
    State,
}

impl AwsError {
    /// An error that did not come from the SDK: no answer in time, or an answer that was cut off.
    pub fn transient(message: impl Into<String>) -> Self {
        Self { class: ErrorClass::Transient, status: None, code: None, message: message.into() }
    }

    /// The error of a call that was given up because the task is stopping.
    pub fn stopped() -> Self {
        Self { class: ErrorClass::Stopped, status: None, code: None, message: "given up: stopping".into() }
    }

    /// The refusal of one of several objects in a call.
    pub fn of_entry(code: Option<&str>, message: &str) -> Self {
        // Such an entry has no status of its own; without a specific code the result is uncertain.
        let class = class_of(meaning(code, 500, message, false));
        Self { class, status: None, code: code.map(str::to_owned), message: one_line(message, MAX_MESSAGE) }
    }

    /// Whether S3 hides an object that is encrypted with a key of the uploader: it answers a HEAD with a bare 400.
    fn needs_a_key(&self) -> bool {
        self.status == Some(400)
            && matches!(self.class, ErrorClass::Rejected | ErrorClass::Unknown)
            && matches!(self.code.as_deref(), None | Some("InvalidRequest"))
    }

    /// The failure to report when this error ends the job's attempt.
    pub fn failure(&self, at: At) -> Failure {
        use FailureCode as F;
        let code = match (at, self.class) {
            (At::Source, ErrorClass::NotFound | ErrorClass::NoBucket) => F::SourceMissing,
            (At::Source, ErrorClass::Denied) => F::SourceDenied,
            (At::Source, ErrorClass::Precondition | ErrorClass::Range) => F::SourceChanged,
            (At::Source, ErrorClass::Archived) => F::SourceArchived,
            (At::Source, _) if self.needs_a_key() => F::SourceDenied,
            (At::Overlay, ErrorClass::NotFound | ErrorClass::NoBucket | ErrorClass::Archived) => {
                F::OverlayMissing
            }
            (At::Overlay, ErrorClass::Denied) => F::OverlayDenied,
            (At::Overlay, _) if self.needs_a_key() => F::OverlayDenied,
            (At::Output | At::State, ErrorClass::Denied) => F::OutputDenied,
            (At::Output | At::State, ErrorClass::NoBucket) | (_, ErrorClass::Misconfigured) => {
                F::ConfigInvalid
            }
            (_, ErrorClass::Stopped) => F::Interrupted,
            (_, class) if class.retryable() => F::StoreUnavailable,
            (_, ErrorClass::Unknown) => F::StoreRefused,
            _ => F::Internal,
        };
        let failure = Failure::new(code, format!("{}: {self}", code.info().meaning));
        match (&self.code, self.status) {
            (Some(code), _) => failure.with("aws_code", code),
            (None, Some(status)) => failure.with("http_status", status),
            (None, None) => failure,
        }
    }
}

impl<E> From<SdkError<E, Response>> for AwsError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    fn from(error: SdkError<E, Response>) -> Self {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let code = error.code().map(str::to_owned);
        let region = other_region(&error);
        let class = match &error {
            SdkError::ServiceError(_) => {
                let words = error.message().unwrap_or_default();
                class_of(meaning(code.as_deref(), status.unwrap_or_default(), words, region.is_some()))
            }
            // The request could not even be built: a fault of this program, or a name that AWS does not allow.
            SdkError::ConstructionFailure(_) => ErrorClass::Rejected,
            // Timeouts, refused or broken connections, credentials that could not be fetched, answers cut short.
            _ => ErrorClass::Transient,
        };
        let what = error.message().map_or_else(|| causes(&error), str::to_owned);
        let headers = error.raw_response().map(Response::headers);
        let id = headers.and_then(|headers| headers.get("x-amz-request-id"));
        let what =
            region.map_or_else(|| what.clone(), |region| format!("{what} (the bucket lies in {region})"));
        let message = id.map_or_else(|| what.clone(), |id| format!("{what} (request {id})"));
        Self { class, status, code, message: one_line(&message, MAX_MESSAGE) }
    }
}

/// The errors from the outermost to the innermost. The SDK's own context would add a whole answer, headers and body.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| (*error).source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The Region that an answer of S3 names, if it differs from the task's own.
fn other_region<E>(error: &SdkError<E, Response>) -> Option<String> {
    let answer = error.raw_response()?;
    let body = answer.body().bytes().and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
    let named = region_named(answer.headers().get("x-amz-bucket-region"), body)?;
    let ours = std::env::var("AWS_REGION").ok();
    (ours.as_deref() != Some(named.as_str())).then_some(named)
}

/// The task's class for a meaning.
const fn class_of(meaning: Meaning) -> ErrorClass {
    match meaning {
        Meaning::Throttled | Meaning::Capacity => ErrorClass::Throttled,
        Meaning::Passing | Meaning::Uncertain | Meaning::Clock => ErrorClass::Transient,
        Meaning::Conflict => ErrorClass::Conflict,
        Meaning::Denied | Meaning::KeyUnusable => ErrorClass::Denied,
        Meaning::WrongRegion | Meaning::Misconfigured => ErrorClass::Misconfigured,
        Meaning::NoBucket => ErrorClass::NoBucket,
        Meaning::NotFound => ErrorClass::NotFound,
        Meaning::NoUpload => ErrorClass::NoUpload,
        Meaning::Archived => ErrorClass::Archived,
        Meaning::Precondition => ErrorClass::Precondition,
        Meaning::Range => ErrorClass::Range,
        Meaning::Rejected => ErrorClass::Rejected,
        Meaning::Unknown => ErrorClass::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use aws_sdk_s3::{operation::get_object::GetObjectError, primitives::SdkBody};
    use aws_smithy_types::error::ErrorMetadata;

    /// What S3 answered, as the task knows it.
    fn answered(
        status: u16,
        region: Option<&'static str>,
        code: Option<&str>,
        body: &'static str,
    ) -> AwsError {
        let mut answer = Response::new(status.try_into().unwrap(), SdkBody::from(body));
        if let Some(region) = region {
            answer.headers_mut().insert("x-amz-bucket-region", region);
        }
        let mut meta = ErrorMetadata::builder();
        if let Some(code) = code {
            meta = meta.code(code);
        }
        SdkError::service_error(GetObjectError::generic(meta.build()), answer).into()
    }

    #[test]
    fn a_code_says_more_than_its_status() {
        let class = |code: &str, status: u16| answered(status, None, Some(code), "").class;
        assert_eq!(class("InvalidObjectState", 403), ErrorClass::Archived);
        assert_eq!(class("AccessDenied", 403), ErrorClass::Denied);
        assert_eq!(class("NoSuchBucket", 404), ErrorClass::NoBucket);
        assert_eq!(class("ConditionalRequestConflict", 409), ErrorClass::Conflict);
        assert_eq!(class("SlowDown", 503), ErrorClass::Throttled);
        assert_eq!(class("KMS.DisabledException", 400), ErrorClass::Denied);
        assert_eq!(class("KMS.ThrottlingException", 400), ErrorClass::Throttled);
        assert_eq!(class("SomethingNew", 400), ErrorClass::Unknown);
        assert_eq!(class("SomethingNew", 500), ErrorClass::Transient);
    }

    #[test]
    fn without_a_code_the_status_decides() {
        use ErrorClass::{NotFound, Precondition, Range, Throttled, Transient};
        let class = |status: u16| answered(status, None, None, "").class;
        let classes = [404, 405, 412, 416, 429, 500].map(class);
        assert_eq!(classes, [NotFound, NotFound, Precondition, Range, Throttled, Transient]);
    }

    #[test]
    fn a_bucket_in_another_region_is_misconfiguration_at_once_and_names_the_region() {
        for error in [
            answered(301, Some("mars-north-7"), None, ""),
            answered(400, Some("mars-north-7"), None, ""),
            answered(
                301,
                None,
                Some("PermanentRedirect"),
                "<Endpoint>b.s3.mars-north-7.amazonaws.com</Endpoint>",
            ),
            answered(400, None, Some("AuthorizationHeaderMalformed"), "<Region>mars-north-7</Region>"),
        ] {
            assert!(!error.class.retryable(), "{error}");
            for at in [At::Source, At::Overlay, At::Output, At::State] {
                let failure = error.failure(at);
                assert_eq!(failure.code, FailureCode::ConfigInvalid, "{failure}");
                assert!(failure.message.contains("the bucket lies in mars-north-7"), "{failure}");
                assert!(!failure.code.info().retryable, "the next attempt meets the same");
            }
        }
    }

    #[test]
    fn a_refusal_that_nobody_knows_is_neither_blamed_on_aws_nor_on_the_uploader() {
        use transcode_config::contract::Who;

        for error in [answered(400, None, Some("FromTheFuture"), ""), answered(402, None, None, "")] {
            for at in [At::Source, At::Overlay, At::Output, At::State] {
                let failure = error.failure(at);
                assert_eq!(failure.code, FailureCode::StoreRefused, "{failure}");
                assert_eq!(failure.code.info().who, Who::Operator);
            }
        }
    }

    #[test]
    fn a_source_under_the_uploaders_own_key_is_denied() {
        for error in [answered(400, None, None, ""), answered(400, None, Some("InvalidRequest"), "")] {
            assert_eq!(error.failure(At::Source).code, FailureCode::SourceDenied, "{error}");
            assert_eq!(error.failure(At::Overlay).code, FailureCode::OverlayDenied, "{error}");
        }
    }

    #[test]
    fn one_entry_of_many_has_its_own_class() {
        assert_eq!(AwsError::of_entry(Some("AccessDenied"), "no").class, ErrorClass::Denied);
        assert_eq!(AwsError::of_entry(Some("InternalError"), "").class, ErrorClass::Transient);
        assert_eq!(AwsError::of_entry(None, "").class, ErrorClass::Transient);
    }

    /// Whole answers do not belong into logs and terminal records.
    #[test]
    fn an_error_says_what_broke_and_which_request_and_not_the_whole_answer() {
        let answer = |status: u16| {
            let mut answer = Response::new(status.try_into().unwrap(), SdkBody::from("<html>"));
            answer.headers_mut().insert("x-amz-request-id", "R1");
            answer
        };
        let unexplained = GetObjectError::generic(ErrorMetadata::builder().build());
        let error = AwsError::from(SdkError::service_error(unexplained, answer(502)));
        assert_eq!((error.class, error.status), (ErrorClass::Transient, Some(502)));
        assert!(error.message.ends_with("(request R1)"), "{error}");
        assert!(!error.message.contains("<html>") && !error.message.contains("Response"), "{error}");

        let named = ErrorMetadata::builder().code("AccessDenied").message("no").build();
        let error = AwsError::from(SdkError::service_error(GetObjectError::generic(named), answer(403)));
        assert_eq!(error.to_string(), "AccessDenied: no (request R1)");
    }

    #[test]
    fn the_same_refusal_is_reported_to_whom_it_concerns() {
        let denied =
            AwsError { class: ErrorClass::Denied, status: Some(403), code: None, message: "no".into() };
        assert_eq!(denied.failure(At::Source).code, FailureCode::SourceDenied);
        assert_eq!(denied.failure(At::Overlay).code, FailureCode::OverlayDenied);
        assert_eq!(denied.failure(At::Output).code, FailureCode::OutputDenied);
        assert_eq!(denied.failure(At::State).code, FailureCode::OutputDenied);
        let gone = AwsError { class: ErrorClass::Transient, ..denied };
        assert_eq!(gone.failure(At::Source).code, FailureCode::StoreUnavailable);
    }
}
