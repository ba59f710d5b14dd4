//! Why something was not signed, read or sent.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use transcode_config::{
    aws::{Meaning, meaning},
    escape::one_line,
};

/// Longest text of S3 that is passed on, in characters.
const MAX_MESSAGE: usize = 300;

/// Why something was not signed, read or sent. Each text says what to do, and none holds a signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebError {
    /// What was asked for is outside of a limit, or makes no sense.
    #[error("{0}")]
    Refused(String),
    /// The object, the upload or the job is not there (any more).
    #[error("{0}: not there")]
    NotFound(String),
    /// The object is there already, and was not to be replaced.
    #[error("{0}: there already, and not replaced")]
    Exists(String),
    /// S3 did not do it, or gave no answer. The same call may succeed later.
    #[error("{what}: {why}")]
    S3 {
        /// What was tried.
        what: String,
        /// S3's code and words, in one line.
        why: String,
    },
}

impl WebError {
    /// A refusal of what was asked for.
    pub(crate) fn refused(why: impl Into<String>) -> Self {
        Self::Refused(why.into())
    }

    /// The error of a call. `what`: what was tried.
    pub(crate) fn call<E>(what: impl Into<String>, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata,
    {
        let what = what.into();
        let status = error.raw_response().map_or(0, |answer| answer.status().as_u16());
        let (code, words) = (error.code(), error.message().unwrap_or_default());
        if status > 0 {
            match meaning(code, status, words, false) {
                Meaning::NotFound | Meaning::NoUpload => return Self::NotFound(what),
                Meaning::Precondition => return Self::Exists(what),
                _ => {}
            }
        }
        let why = match code {
            Some(code) => format!("{code}: {words}"),
            None => format!("{error} (status {status})"),
        };
        Self::S3 { what, why: one_line(&why, MAX_MESSAGE) }
    }
}
