//! The one table from a failed call to its [`Class`].
//!
//! Codes are matched, not texts. Text is looked at only where one code carries different troubles, and only together
//! with that code. What is not in the table is judged by its HTTP status, on the safe side: an answer that does not
//! say whether the call was carried out is [`Class::Uncertain`].

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::fact::{CallError, Class};

/// Longest error message that is kept, in characters. Enough for AWS' own texts; a page of HTML is cut.
const MAX_MESSAGE: usize = 600;

/// How a call failed, reduced to what its class depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble<'a> {
    /// The request could not be made, so it was not sent.
    NotSent,
    /// There were no credentials to sign it with, so it was not sent.
    NoCredentials,
    /// Connection failed or broke, or time ran out.
    NoAnswer,
    /// An answer that cannot be read.
    Garbled,
    /// An error answer.
    Refused {
        /// AWS' error code, where the answer has one.
        code: Option<&'a str>,
        /// HTTP status.
        status: u16,
        /// AWS' message.
        message: &'a str,
    },
}

/// One code that carries different troubles: `(code, part of the text, class)`. First match wins; the code's own row
/// in [`CODES`] is for all other texts.
#[rustfmt::skip]
const TEXTS: &[(&str, &str, Class)] = &[
    // A throttle of something behind ECS, which the SDK does not see as one.
    ("InvalidParameterException", "ErrorCode: Throttling", Class::Throttled),
    ("InvalidParameterException", "Rate exceeded", Class::Throttled),
    ("ClientException", "Rate exceeded", Class::Throttled),
    // Quotas: of vCPUs, of tasks, of tasks in PROVISIONING.
    ("ClientException", "limit on the number of", Class::Capacity),
    ("ClientException", "PROVISIONING", Class::Capacity),
    ("InvalidParameterException", "limit on the number of", Class::Capacity),
    ("ClientException", "Capacity is unavailable", Class::Capacity),
    ("ServerException", "Capacity is unavailable", Class::Capacity),
    // The revision that this attempt is pinned to is gone; the next attempt pins another.
    ("ClientException", "TaskDefinition", Class::Permanent),
    ("InvalidParameterException", "TaskDefinition", Class::Permanent),
];

/// Codes, of all services.
#[rustfmt::skip]
const CODES: &[(&str, Class)] = &[
    // Rate. Nothing was done.
    ("Throttling", Class::Throttled),
    ("ThrottlingException", Class::Throttled),
    ("ThrottledException", Class::Throttled),
    ("RequestThrottled", Class::Throttled),
    ("RequestThrottledException", Class::Throttled),
    ("RequestLimitExceeded", Class::Throttled),
    ("TooManyRequestsException", Class::Throttled),
    ("BandwidthLimitExceeded", Class::Throttled),
    ("KmsThrottled", Class::Throttled),
    ("SlowDown", Class::Throttled),
    // Quotas. Nothing was done.
    ("OverLimit", Class::Capacity),
    ("LimitExceededException", Class::Capacity),
    // Passing. Nothing was done.
    ("ConditionalRequestConflict", Class::Transient),
    ("OperationAborted", Class::Transient),
    ("ExpiredToken", Class::Transient),
    ("ExpiredTokenException", Class::Transient),
    ("RequestExpired", Class::Transient),
    // They do not say whether it was done.
    ("ServerException", Class::Uncertain),
    ("InternalError", Class::Uncertain),
    ("InternalFailure", Class::Uncertain),
    ("InternalServiceFault", Class::Uncertain),
    ("ServiceUnavailable", Class::Uncertain),
    ("RequestTimeout", Class::Uncertain),
    ("RequestTimeoutException", Class::Uncertain),
    // The deployment is wrong: an operator must act.
    ("AccessDenied", Class::Misconfigured),
    ("AccessDeniedException", Class::Misconfigured),
    ("UnauthorizedOperation", Class::Misconfigured),
    ("NotAuthorized", Class::Misconfigured),
    ("AllAccessDisabled", Class::Misconfigured),
    ("AccountProblem", Class::Misconfigured),
    ("BlockedException", Class::Misconfigured),
    ("OptInRequired", Class::Misconfigured),
    ("InvalidClientTokenId", Class::Misconfigured),
    ("UnrecognizedClientException", Class::Misconfigured),
    ("InvalidAccessKeyId", Class::Misconfigured),
    ("SignatureDoesNotMatch", Class::Misconfigured),
    ("InvalidSignatureException", Class::Misconfigured),
    ("IncompleteSignature", Class::Misconfigured),
    ("MissingAuthenticationToken", Class::Misconfigured),
    ("RequestTimeTooSkewed", Class::Misconfigured),
    ("ClusterNotFoundException", Class::Misconfigured),
    ("PlatformUnknownException", Class::Misconfigured),
    ("PlatformTaskDefinitionIncompatibilityException", Class::Misconfigured),
    ("UnsupportedFeatureException", Class::Misconfigured),
    // Of RunTask, all but the overrides comes from the settings: subnets, groups, providers.
    ("InvalidParameterException", Class::Misconfigured),
    ("NoSuchBucket", Class::Misconfigured),
    ("PermanentRedirect", Class::Misconfigured),
    ("AuthorizationHeaderMalformed", Class::Misconfigured),
    ("IllegalLocationConstraintException", Class::Misconfigured),
    ("AWS.SimpleQueueService.NonExistentQueue", Class::Misconfigured),
    ("QueueDoesNotExist", Class::Misconfigured),
    ("InvalidAddress", Class::Misconfigured),
    ("InvalidSecurity", Class::Misconfigured),
    // The same call will be refused again.
    ("ClientException", Class::Permanent),
    ("ConflictException", Class::Permanent),
    ("InvalidParameterValue", Class::Permanent),
    ("InvalidParameterCombination", Class::Permanent),
    ("MissingParameter", Class::Permanent),
    ("ValidationError", Class::Permanent),
    ("ValidationException", Class::Permanent),
    ("InvalidRequest", Class::Permanent),
    ("InvalidMessageContents", Class::Permanent),
    ("ReceiptHandleIsInvalid", Class::Permanent),
    ("NoSuchKey", Class::Permanent),
    ("NoSuchVersion", Class::Permanent),
    ("InvalidObjectState", Class::Permanent),
    ("PreconditionFailed", Class::Permanent),
    ("EntityTooLarge", Class::Permanent),
];

/// The class of a trouble.
pub fn classify(trouble: Trouble<'_>) -> Class {
    let (code, status, message) = match trouble {
        Trouble::NotSent => return Class::Permanent,
        // Credentials come and go (a metadata endpoint that is slow, an expired session): degraded, not broken.
        Trouble::NoCredentials => return Class::Transient,
        Trouble::NoAnswer | Trouble::Garbled => return Class::Uncertain,
        Trouble::Refused { code, status, message } => (code.unwrap_or_default(), status, message),
    };
    let by_text = TEXTS.iter().find(|(known, text, _)| *known == code && message.contains(text));
    let by_code = || CODES.iter().find(|(known, _)| *known == code).map(|(_, class)| *class);
    by_text.map(|(_, _, class)| *class).or_else(by_code).unwrap_or_else(|| by_status(status))
}

/// For codes that the table does not know.
fn by_status(status: u16) -> Class {
    match status {
        429 => Class::Throttled,
        401 | 403 => Class::Misconfigured,
        408 | 500.. => Class::Uncertain,
        _ => Class::Permanent,
    }
}

/// A failed call, as the rest of the controller knows it.
pub fn call_error<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> CallError
where
    E: Error + ProvideErrorMetadata + 'static,
{
    let trouble = match error {
        SdkError::ConstructionFailure(_) => Trouble::NotSent,
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(source) if lacks_credentials(source) => Trouble::NoCredentials,
            _ => Trouble::NoAnswer,
        },
        SdkError::ServiceError(service) => Trouble::Refused {
            code: service.err().code(),
            status: service.raw().status().as_u16(),
            message: service.err().message().unwrap_or_default(),
        },
        SdkError::ResponseError(_) => Trouble::Garbled,
        _ => Trouble::NoAnswer,
    };
    let what = match trouble {
        Trouble::Refused { code: Some(code), message, .. } => format!("{code}: {message}"),
        Trouble::Refused { code: None, status, .. } => format!("HTTP {status}"),
        _ => {
            status(error).map_or_else(|| causes(error), |status| format!("HTTP {status}: {}", causes(error)))
        }
    };
    let message = request_id(error).map_or_else(|| what.clone(), |id| format!("{what} (request {id})"));
    CallError { operation, class: classify(trouble), message: one_line(&message) }
}

/// What broke, from the outside in. The SDK's own context would add a whole answer, headers and body.
fn causes(error: &(dyn Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| (*error).source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// What AWS' support asks for; S3's name for it differs.
fn request_id<E>(error: &SdkError<E, HttpResponse>) -> Option<&str> {
    let headers = error.raw_response()?.headers();
    headers.get("x-amzn-requestid").or_else(|| headers.get("x-amz-request-id"))
}

/// What was asked for, or none where the answer is that it is not there.
pub(super) fn unless_absent<T, E>(
    operation: &'static str,
    answer: Result<T, SdkError<E, HttpResponse>>,
    absent: impl FnOnce(&E) -> bool,
) -> Result<Option<T>, CallError>
where
    E: Error + ProvideErrorMetadata + 'static,
{
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.as_service_error().is_some_and(absent) => Ok(None),
        Err(error) => Err(call_error(operation, &error)),
    }
}

/// An entry of a batch that failed by itself. `ours`: SQS calls it the sender's fault.
pub(super) fn entry_error(operation: &'static str, code: &str, message: &str, ours: bool) -> CallError {
    let status = if ours { 400 } else { 500 };
    let class = classify(Trouble::Refused { code: Some(code), status, message });
    CallError { operation, class, message: one_line(&format!("{code}: {message}")) }
}

/// HTTP status of the answer; none where there was none.
pub(super) fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

fn lacks_credentials(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| (*error).source())
        .any(|error| error.downcast_ref::<CredentialsError>().is_some())
}

/// One line without control characters, not longer than [`MAX_MESSAGE`]: other people's texts end in our logs.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_MESSAGE).collect()
}

#[cfg(test)]
#[path = "class_tests.rs"]
mod tests;
