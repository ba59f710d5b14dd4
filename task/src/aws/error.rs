//! The one place that turns what an AWS call ended with into a class, and a class into a failure code.

use std::fmt;

use aws_smithy_runtime_api::{client::result::SdkError, http::Response};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use transcode_config::contract::{Failure, FailureCode};

/// What an error means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The object, or the version that was asked for, is not there.
    NotFound,
    /// The bucket is not there.
    NoBucket,
    /// Not allowed; the same call will not be allowed a second later either.
    Denied,
    /// A condition did not hold (412). The write was not made — unless an earlier try of it was.
    Precondition,
    /// Another conditional write was in flight (409). Nothing was written; try again.
    Conflict,
    /// The object lies in an archive.
    Archived,
    /// The range lies outside the object.
    Range,
    /// The multipart upload is not known (any more).
    NoUpload,
    /// Too many calls. Try again, slower.
    Throttled,
    /// No answer, or one that says "not now". Try again; **a write may have been made**.
    Transient,
    /// The call was given up because the task is to stop.
    Stopped,
    /// Anything else: trying again gives the same.
    Rejected,
}

impl Class {
    /// Whether the same call can succeed later.
    pub fn retryable(self) -> bool {
        matches!(self, Self::Conflict | Self::Throttled | Self::Transient)
    }
}

/// How a call to AWS ended, if not well.
#[derive(Debug, Clone, thiserror::Error)]
pub struct AwsError {
    /// What it means.
    pub class: Class,
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

/// Whose object a call was about: the same refusal is a different person's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The uploaded object.
    Source,
    /// The picture to lay over it.
    Overlay,
    /// The production bucket.
    Output,
    /// The state bucket.
    State,
}

impl AwsError {
    /// An error that did not come from the SDK: no answer in time, or an answer that was cut off.
    pub fn transient(message: impl Into<String>) -> Self {
        Self { class: Class::Transient, status: None, code: None, message: message.into() }
    }

    /// The task is to stop; the call was given up.
    pub fn stopped() -> Self {
        Self { class: Class::Stopped, status: None, code: None, message: "given up: stopping".into() }
    }

    /// The failure to report when this error ends the job's attempt.
    pub fn failure(&self, at: At) -> Failure {
        use FailureCode as F;
        let code = match (at, self.class) {
            (At::Source, Class::NotFound | Class::NoBucket) => F::SourceMissing,
            (At::Source, Class::Denied) => F::SourceDenied,
            (At::Source, Class::Precondition | Class::Range) => F::SourceChanged,
            (At::Source, Class::Archived) => F::SourceArchived,
            // What S3 says when the object is encrypted with a key that only the uploader has.
            (At::Source, Class::Rejected) if self.status == Some(400) => F::SourceDenied,
            (At::Overlay, Class::NotFound | Class::NoBucket | Class::Archived) => F::OverlayMissing,
            (At::Overlay, Class::Denied) => F::OverlayDenied,
            (At::Overlay, Class::Rejected) if self.status == Some(400) => F::OverlayDenied,
            (At::Output | At::State, Class::Denied) => F::OutputDenied,
            (At::Output | At::State, Class::NoBucket) => F::ConfigInvalid,
            (_, Class::Stopped) => F::Interrupted,
            (_, class) if class.retryable() => F::StoreUnavailable,
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
        let class = match &error {
            SdkError::ServiceError(_) => class_of(code.as_deref(), status),
            // The request could not even be built: a fault of ours, or a name that AWS does not allow.
            SdkError::ConstructionFailure(_) => Class::Rejected,
            // Timeouts, refused or broken connections, credentials that could not be fetched, answers cut short.
            _ => Class::Transient,
        };
        let what = error.message().map_or_else(|| causes(&error), str::to_owned);
        let headers = error.raw_response().map(Response::headers);
        let id = headers.and_then(|headers| headers.get("x-amz-request-id"));
        let message = id.map_or_else(|| what.clone(), |id| format!("{what} (request {id})"));
        Self { class, status, code, message: message.chars().take(500).collect() }
    }
}

/// What broke, from the outside in. The SDK's own context would add a whole answer, headers and body.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| (*error).source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The table. Codes first: a status is shared by errors that mean different things. `HEAD` answers have no body and
/// so no code; for them the status decides.
fn class_of(code: Option<&str>, status: Option<u16>) -> Class {
    match code {
        // A version id that names a delete marker answers 405.
        Some("NoSuchKey" | "NoSuchVersion" | "NotFound" | "MethodNotAllowed") => Class::NotFound,
        Some("NoSuchBucket") => Class::NoBucket,
        Some("NoSuchUpload") => Class::NoUpload,
        Some("PreconditionFailed") => Class::Precondition,
        Some("ConditionalRequestConflict" | "OperationAborted") => Class::Conflict,
        Some("InvalidObjectState") => Class::Archived,
        Some("InvalidRange") => Class::Range,
        Some(
            "SlowDown"
            | "ServiceUnavailable"
            | "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "RequestLimitExceeded"
            | "TooManyRequestsException"
            | "KMS.ThrottlingException",
        ) => Class::Throttled,
        // The body did not arrive as it was sent, or the credentials ran out between two refreshes.
        Some(
            "BadDigest"
            | "XAmzContentSHA256Mismatch"
            | "IncompleteBody"
            | "RequestTimeout"
            | "InternalError"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "RequestTimeTooSkewed",
        ) => Class::Transient,
        Some(
            "AccessDenied"
            | "AccessDeniedException"
            | "AllAccessDisabled"
            | "AccountProblem"
            | "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "KMS.DisabledException"
            | "KMS.NotFoundException"
            | "KMS.InvalidStateException",
        ) => Class::Denied,
        _ => class_of_status(status),
    }
}

fn class_of_status(status: Option<u16>) -> Class {
    match status {
        Some(404 | 405) => Class::NotFound,
        Some(401 | 403) => Class::Denied,
        Some(408) => Class::Transient,
        Some(409) => Class::Conflict,
        Some(412) => Class::Precondition,
        Some(416) => Class::Range,
        Some(429 | 503) => Class::Throttled,
        Some(400..=499) => Class::Rejected,
        _ => Class::Transient,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_says_more_than_its_status() {
        assert_eq!(class_of(Some("InvalidObjectState"), Some(403)), Class::Archived);
        assert_eq!(class_of(Some("AccessDenied"), Some(403)), Class::Denied);
        assert_eq!(class_of(Some("NoSuchBucket"), Some(404)), Class::NoBucket);
        assert_eq!(class_of(Some("ConditionalRequestConflict"), Some(409)), Class::Conflict);
        assert_eq!(class_of(Some("SlowDown"), Some(503)), Class::Throttled);
        assert_eq!(class_of(Some("SomethingNew"), Some(400)), Class::Rejected);
    }

    #[test]
    fn without_a_code_the_status_decides() {
        assert_eq!(class_of(None, Some(404)), Class::NotFound);
        assert_eq!(class_of(None, Some(405)), Class::NotFound);
        assert_eq!(class_of(None, Some(412)), Class::Precondition);
        assert_eq!(class_of(None, Some(500)), Class::Transient);
        assert_eq!(class_of(None, None), Class::Transient);
    }

    /// Whole answers do not belong into logs and registers.
    #[test]
    fn an_error_says_what_broke_and_which_request_and_not_the_whole_answer() {
        use aws_sdk_s3::{operation::get_object::GetObjectError, primitives::SdkBody};
        use aws_smithy_types::error::ErrorMetadata;

        let answer = |status: u16| {
            let mut answer = Response::new(status.try_into().unwrap(), SdkBody::from("<html>"));
            answer.headers_mut().insert("x-amz-request-id", "R1");
            answer
        };
        let unexplained = GetObjectError::generic(ErrorMetadata::builder().build());
        let error = AwsError::from(SdkError::service_error(unexplained, answer(502)));
        assert_eq!((error.class, error.status), (Class::Transient, Some(502)));
        assert!(error.message.ends_with("(request R1)"), "{error}");
        assert!(!error.message.contains("<html>") && !error.message.contains("Response"), "{error}");

        let named = ErrorMetadata::builder().code("AccessDenied").message("no").build();
        let error = AwsError::from(SdkError::service_error(GetObjectError::generic(named), answer(403)));
        assert_eq!(error.to_string(), "AccessDenied: no (request R1)");
    }

    #[test]
    fn the_same_refusal_is_reported_to_whom_it_concerns() {
        let denied = AwsError { class: Class::Denied, status: Some(403), code: None, message: "no".into() };
        assert_eq!(denied.failure(At::Source).code, FailureCode::SourceDenied);
        assert_eq!(denied.failure(At::Overlay).code, FailureCode::OverlayDenied);
        assert_eq!(denied.failure(At::Output).code, FailureCode::OutputDenied);
        assert_eq!(denied.failure(At::State).code, FailureCode::OutputDenied);
        let gone = AwsError { class: Class::Transient, ..denied };
        assert_eq!(gone.failure(At::Source).code, FailureCode::StoreUnavailable);
    }
}
