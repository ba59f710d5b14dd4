//! The listener: bounded connections, bodies and times, and a way to hang up without an answer.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Request, Response, StatusCode},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;

use crate::model::error::ApiError;

/// Connections served at one time; others wait to be accepted.
const MAX_CONNECTIONS: usize = 1024;
/// Bytes of a request body; ECS's own requests stay far below.
const MAX_BODY: usize = 1024 * 1024;
/// How long a client may take for its headers, and again for its body.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// In a response's extensions: close the connection instead of sending it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CloseConnection;

/// Why a connection was closed; hyper requires an error for that.
#[derive(Debug, thiserror::Error)]
#[error("closed on purpose")]
struct Closed;

/// Accepts connections until stopped.
pub(crate) async fn listen(listener: TcpListener, routes: Router, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let (routes, stop) = (routes.clone(), stop.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = connection(stream, routes) => {}
                        () = stop.cancelled() => {}
                    }
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                // For example out of file descriptors: it would fail again at once.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, routes: Router) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let routes = TowerToHyperService::new(routes.clone());
        async move {
            let answer: Result<Response<Body>, Infallible> =
                hyper::service::Service::call(&routes, request.map(Body::new)).await;
            match answer {
                Ok(response) if response.extensions().get::<CloseConnection>().is_some() => Err(Closed),
                Ok(response) => Ok(response),
                Err(never) => match never {},
            }
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(READ_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "connection ended early");
    }
}

/// The request's body as JSON; an empty body is an empty object.
pub(crate) async fn read_json(request: Request<Body>) -> Result<Value, ApiError> {
    let reading = axum::body::to_bytes(request.into_body(), MAX_BODY);
    let bytes = match tokio::time::timeout(READ_TIMEOUT, reading).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => {
            return Err(ApiError {
                status: 413,
                ..ApiError::client("The request body is too large or broken.")
            });
        }
        Err(_) => {
            return Err(ApiError { status: 408, ..ApiError::client("The request body took too long.") });
        }
    };
    if bytes.is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    match serde_json::from_slice(&bytes) {
        Ok(body @ Value::Object(_)) => Ok(body),
        Ok(_) => Err(ApiError::new("SerializationException", "The request is not an object.")),
        Err(error) => Err(ApiError::new("SerializationException", error.to_string())),
    }
}

/// A JSON answer with a request id.
pub(crate) fn json_response(status: u16, content_type: &'static str, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert("content-type", HeaderValue::from_static(content_type));
    if let Ok(id) = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}
