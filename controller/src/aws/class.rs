//! Maps a failed call of the SDK to its [`ErrorClass`], by the table that the task uses too
//! ([`transcode_config::aws`]).

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use transcode_config::{
    aws::{Meaning, meaning, region_named},
    escape::one_line,
};
use transcode_core::protocol::fact::{CallError, ErrorClass};

/// Longest error message that is kept, in characters. AWS' own texts are shorter; a page of HTML is cut.
pub(super) const MAX_MESSAGE: usize = 600;

/// The begin of the text of a call that was not sent because there were no credentials.
pub(crate) const NO_CREDENTIALS: &str = "there are no AWS credentials";

/// The SDK's words before what each provider of credentials says.
const ATTEMPTED: &str = "Attempted:";

/// The SDK's words about a provider of credentials that nobody has set up here.
const NOT_SET_UP: &str = "the credential provider was not enabled";

/// How a call failed, reduced to the fields that decide its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SdkFailure<'a> {
    /// The request could not be built, so it was not sent.
    NotSent,
    /// There were no credentials for the signature, so it was not sent.
    NoCredentials,
    /// The connection failed or broke, or a timeout passed.
    NoAnswer,
    /// An answer that cannot be read.
    Garbled,
    /// An error answer.
    Refused {
        /// AWS' error code, if the answer has one.
        code: Option<&'a str>,
        /// HTTP status.
        status: u16,
        /// AWS' message.
        message: &'a str,
        /// The answer names another Region than ours.
        other_region: bool,
    },
}

/// The class of a failure.
pub fn classify(trouble: SdkFailure<'_>) -> ErrorClass {
    match trouble {
        SdkFailure::NotSent => ErrorClass::Permanent,
        // Credentials may be missing for a time (a slow metadata endpoint, an expired session), so this is temporary.
        SdkFailure::NoCredentials => ErrorClass::Transient,
        SdkFailure::NoAnswer | SdkFailure::Garbled => ErrorClass::Uncertain,
        SdkFailure::Refused { code, status, message, other_region } => {
            class_of(meaning(code, status, message, other_region))
        }
    }
}

/// The controller's class for a meaning.
const fn class_of(meaning: Meaning) -> ErrorClass {
    match meaning {
        Meaning::Throttled => ErrorClass::Throttled,
        Meaning::Capacity => ErrorClass::Capacity,
        Meaning::Passing | Meaning::Conflict => ErrorClass::Transient,
        Meaning::Uncertain => ErrorClass::Uncertain,
        Meaning::Denied
        | Meaning::Clock
        | Meaning::KeyUnusable
        | Meaning::WrongRegion
        | Meaning::NoBucket
        | Meaning::Misconfigured => ErrorClass::Misconfigured,
        Meaning::NotFound
        | Meaning::NoUpload
        | Meaning::Archived
        | Meaning::Precondition
        | Meaning::Range
        | Meaning::Rejected => ErrorClass::Permanent,
        Meaning::Unknown => ErrorClass::Unknown,
    }
}

/// The error that the rest of the controller gets for a failed call.
pub fn call_error<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> CallError
where
    E: Error + ProvideErrorMetadata + 'static,
{
    let region = other_region(error);
    let trouble = match error {
        SdkError::ConstructionFailure(_) => SdkFailure::NotSent,
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(source) if lacks_credentials(source) => SdkFailure::NoCredentials,
            _ => SdkFailure::NoAnswer,
        },
        // Not an error that S3 sends behind its 200, which has a code: the answer cannot be read.
        SdkError::ServiceError(service)
            if service.raw().status().is_success() && service.err().code().is_none() =>
        {
            SdkFailure::Garbled
        }
        SdkError::ServiceError(service) => SdkFailure::Refused {
            code: service.err().code(),
            status: service.raw().status().as_u16(),
            message: service.err().message().unwrap_or_default(),
            other_region: region.is_some(),
        },
        SdkError::ResponseError(_) => SdkFailure::Garbled,
        _ => SdkFailure::NoAnswer,
    };
    let what = match trouble {
        SdkFailure::Refused { code: Some(code), message, .. } => format!("{code}: {message}"),
        SdkFailure::Refused { code: None, status, .. } => format!("HTTP {status}"),
        SdkFailure::NoCredentials => no_credentials(error),
        _ => {
            status(error).map_or_else(|| causes(error), |status| format!("HTTP {status}: {}", causes(error)))
        }
    };
    let what = region.map_or_else(|| what.clone(), |region| format!("{what} (the bucket lies in {region})"));
    let message = request_id(error).map_or_else(|| what.clone(), |id| format!("{what} (request {id})"));
    CallError { operation, class: classify(trouble), message: one_line(&message, MAX_MESSAGE) }
}

/// There are no credentials, and why: what the providers say that are set up. The SDK's own words list all the others,
/// one on each line.
pub(super) fn no_credentials(error: &(dyn Error + 'static)) -> String {
    let causes = causes(error);
    let tried = causes.split_once(ATTEMPTED).map(|(_, tried)| tried);
    let said = tried.unwrap_or(&causes).lines().map(str::trim);
    let said = said.filter(|line| !line.is_empty() && (tried.is_none() || !line.contains(NOT_SET_UP)));
    let why = said.collect::<Vec<_>>().join("; ");
    if why.is_empty() || why == NOT_SET_UP {
        NO_CREDENTIALS.to_owned()
    } else {
        format!("{NO_CREDENTIALS}: {why}")
    }
}

/// The chain of causes, the outermost first. The SDK's own context would add a whole answer, with headers and body.
fn causes(error: &(dyn Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| (*error).source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The Region that an answer of S3 names, if it is not the Region of this process.
fn other_region<E>(error: &SdkError<E, HttpResponse>) -> Option<String> {
    let answer = error.raw_response()?;
    let body = answer.body().bytes().and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
    let named = region_named(answer.headers().get("x-amz-bucket-region"), body)?;
    let ours = std::env::var("AWS_REGION").ok();
    (ours.as_deref() != Some(named.as_str())).then_some(named)
}

/// The request's id, for AWS' support; S3 has another name for it.
fn request_id<E>(error: &SdkError<E, HttpResponse>) -> Option<&str> {
    let headers = error.raw_response()?.headers();
    headers.get("x-amzn-requestid").or_else(|| headers.get("x-amz-request-id"))
}

/// Returns the output, or `None` if the error says that the object does not exist.
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

/// The error of a single entry of a batch. `ours`: SQS says that the sender is at fault.
pub(super) fn entry_error(operation: &'static str, code: &str, message: &str, ours: bool) -> CallError {
    let status = if ours { 400 } else { 500 };
    let class = classify(SdkFailure::Refused { code: Some(code), status, message, other_region: false });
    CallError { operation, class, message: one_line(&format!("{code}: {message}"), MAX_MESSAGE) }
}

/// HTTP status of the answer; `None` if there was no answer.
pub(crate) fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

fn lacks_credentials(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| (*error).source())
        .any(|error| error.downcast_ref::<CredentialsError>().is_some())
}

#[cfg(test)]
mod tests;
