//! A small JSON client for endpoints on loopback: the upstream ECS and this program's own control endpoint.

use std::{net::IpAddr, time::Duration};

use axum::body::Body;
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// How long a call may take, connecting included.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read.
const MAX_ANSWER: usize = 32 * 1024 * 1024;

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub enum ClientError {
    /// The endpoint is not `http://` and an address on loopback with a port.
    #[error("{0} is not http://ADDRESS:PORT on loopback")]
    Endpoint(String),
    /// A connection or protocol error, or ten seconds without an answer.
    #[error("{endpoint}: {reason}")]
    Exchange { endpoint: String, reason: String },
    /// The control endpoint refused the call.
    #[error("status {status}: {body}")]
    Refused {
        status: u16,
        /// The answer's body.
        body: Value,
    },
}

/// Talks JSON with one endpoint on loopback; a connection for each call.
#[derive(Debug, Clone)]
pub(crate) struct JsonClient {
    endpoint: String,
    authority: String,
}

/// Whether a host name or address is on loopback.
pub(crate) fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl JsonClient {
    pub(crate) fn new(endpoint: &str) -> Result<Self, ClientError> {
        let refused = || ClientError::Endpoint(endpoint.to_owned());
        let uri: Uri = endpoint.parse().map_err(|_| refused())?;
        let authority = uri.authority().ok_or_else(refused)?;
        if uri.scheme_str() != Some("http")
            || !is_loopback(authority.host())
            || authority.port_u16().is_none()
        {
            return Err(refused());
        }
        Ok(Self { endpoint: endpoint.trim_end_matches('/').to_owned(), authority: authority.to_string() })
    }

    /// Sends a request; the answer's status and body. A body that is no JSON is `null`.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<(u16, Value), ClientError> {
        let fail = |reason: String| ClientError::Exchange { endpoint: self.endpoint.clone(), reason };
        let exchange = self.exchange(method, path, headers, body);
        match tokio::time::timeout(TIMEOUT, exchange).await {
            Ok(answer) => answer.map_err(|error| fail(error.to_string())),
            Err(_) => Err(fail("no answer in time".to_owned())),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> anyhow::Result<(u16, Value)> {
        let stream = TcpStream::connect(&self.authority).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the answer, or with this call's timeout when the sender is dropped.
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("host", &self.authority);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.map(Value::to_string).unwrap_or_default()))?;
        let answer = sender.send_request(request).await?;
        let status = answer.status().as_u16();
        let bytes = axum::body::to_bytes(Body::new(answer.into_body()), MAX_ANSWER).await?;
        Ok((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
    }
}

/// Talks with the control endpoint (see the crate's documentation for its routes).
#[derive(Debug, Clone)]
pub struct ControlClient {
    client: JsonClient,
}

impl ControlClient {
    /// A client of the endpoint `http://127.0.0.1:PORT`.
    pub fn new(endpoint: &str) -> Result<Self, ClientError> {
        Ok(Self { client: JsonClient::new(endpoint)? })
    }

    /// `GET /_control/<path>`.
    pub async fn get(&self, path: &str) -> Result<Value, ClientError> {
        self.call(Method::GET, path, None).await
    }

    /// `POST /_control/<path>` with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// `DELETE /_control/<path>`.
    pub async fn delete(&self, path: &str) -> Result<Value, ClientError> {
        self.call(Method::DELETE, path, None).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, ClientError> {
        let path = format!("/_control/{path}");
        match self.client.send(method, &path, &[("content-type", "application/json")], body).await? {
            (200..=299, body) => Ok(body),
            (status, body) => Err(ClientError::Refused { status, body }),
        }
    }
}
