//! Plain HTTP requests with limits, for calls that the SDK does not have.

use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use transcode_config::settings::CallSettings;

/// An answer.
pub(super) struct Response {
    /// HTTP status.
    pub(super) status: u16,
    /// The server's clock, if the answer has a `Date` header.
    pub(super) date: Option<String>,
    /// Body.
    pub(super) bytes: Vec<u8>,
}

/// Why there is no answer. The text never names the URL: a signed one is a secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The request could not be sent, or the answer broke off.
    #[error("{0}")]
    Broken(String),
    /// The answer is longer than the limit, in bytes.
    #[error("more than {0} bytes")]
    TooLong(usize),
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        Self::Broken(error.without_url().to_string())
    }
}

/// Sends one request with the settings' timeouts, and reads at most `most` bytes of the answer, whatever its status.
pub(super) async fn ask(
    calls: &CallSettings,
    most: usize,
    request: impl FnOnce(Client) -> RequestBuilder,
) -> Result<Response, Failure> {
    let client = Client::builder()
        .connect_timeout(Duration::from_secs(calls.connect_seconds))
        .timeout(Duration::from_secs(calls.attempt_seconds))
        .build()?;
    let mut answer = request(client).send().await?;
    let status = answer.status().as_u16();
    let date = answer.headers().get("date").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > most {
            return Err(Failure::TooLong(most));
        }
    }
    Ok(Response { status, date, bytes })
}
