//! The runtime interface of AWS Lambda on loopback: hands the function one event after the other, and takes its answers.
//!
//! Source: "Using the Lambda runtime API for custom runtimes", AWS Lambda developer guide; the events are those of a function
//! URL (payload format 2.0).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex as Plain},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{Mutex, mpsc, oneshot},
};

use super::LIMIT;

type Invocation = (Value, oneshot::Sender<Value>);

#[derive(Debug)]
struct Shared {
    waiting: Mutex<mpsc::Receiver<Invocation>>,
    begun: Plain<HashMap<String, oneshot::Sender<Value>>>,
}

/// Lambda, as a function sees it.
#[derive(Debug)]
pub(crate) struct Runtime {
    /// `AWS_LAMBDA_RUNTIME_API`.
    pub(crate) address: String,
    calls: mpsc::Sender<Invocation>,
}

impl Runtime {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (calls, waiting) = mpsc::channel(1);
        let shared = Arc::new(Shared { waiting: Mutex::new(waiting), begun: Plain::default() });
        let root = "/2018-06-01/runtime/invocation";
        let router = Router::new()
            .route(&format!("{root}/next"), get(next))
            .route(&format!("{root}/{{id}}/response"), post(answered))
            .route(&format!("{root}/{{id}}/error"), post(answered))
            .with_state(shared);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, calls }
    }

    /// What a function has to know of itself.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        [
            ("AWS_LAMBDA_RUNTIME_API", self.address.as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", "uploads"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/uploads"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// Calls the function as its URL does. Status and JSON of its answer.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u64, Value) {
        let (send, answer) = oneshot::channel();
        self.calls.send((event(method, path, body), send)).await.unwrap();
        let answer = tokio::time::timeout(LIMIT, answer).await.unwrap().unwrap();
        let text = answer["body"].as_str().unwrap_or_default();
        assert_eq!(answer["isBase64Encoded"], false, "{answer}");
        (answer["statusCode"].as_u64().unwrap(), serde_json::from_str(text).unwrap_or(Value::Null))
    }
}

fn event(method: &str, path: &str, body: Option<Value>) -> Value {
    let host = "uploads.lambda-url.us-east-1.on.aws";
    let mut event = json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
        "headers": {"content-type": "application/json", "host": host, "x-forwarded-proto": "https"},
        "requestContext": {
            "accountId": "anonymous", "apiId": "uploads", "domainName": host, "domainPrefix": "uploads",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "test"},
            "requestId": "1", "routeKey": "$default", "stage": "$default", "time": "30/Nov/2026:20:00:00 +0000",
            "timeEpoch": 1_796_068_800_000_u64,
        },
        "isBase64Encoded": false,
    });
    if let Some(body) = body {
        event["body"] = body.to_string().into();
    }
    event
}

async fn next(
    State(shared): State<Arc<Shared>>,
) -> Result<([(&'static str, String); 3], Json<Value>), StatusCode> {
    let next = shared.waiting.lock().await.recv().await;
    let (event, answer) = next.ok_or(StatusCode::GONE)?;
    let mut begun = shared.begun.lock().unwrap();
    let id = format!("invocation-{}", event["rawPath"].as_str().unwrap_or_default().replace('/', "-"));
    begun.insert(id.clone(), answer);
    let head = [
        ("lambda-runtime-aws-request-id", id),
        ("lambda-runtime-deadline-ms", "4102444800000".to_owned()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:123456789012:function:uploads".to_owned(),
        ),
    ];
    Ok((head, Json(event)))
}

async fn answered(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    let answer = serde_json::from_slice(&body).unwrap_or_default();
    let Some(waiting) = shared.begun.lock().unwrap().remove(&id) else { return StatusCode::BAD_REQUEST };
    waiting.send(answer).map_or(StatusCode::GONE, |()| StatusCode::ACCEPTED)
}
