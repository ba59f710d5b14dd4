//! A loopback server that sends prepared answers, in order, and keeps the requests.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{Response, StatusCode},
};
use tokio::net::TcpListener;

/// The request id of every answer.
pub(crate) const REQUEST_ID: &str = "request-1";

/// A prepared answer.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// Status and body.
    Say(u16, String),
    /// No answer, for ever.
    BlackHole,
    /// The beginning of a body, and then nothing.
    Trickle,
    /// Two mebibytes of a body, and then nothing.
    Flood,
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// Method, path and query.
    pub(crate) line: String,
    /// Body.
    pub(crate) body: String,
}

#[derive(Debug, Default)]
struct Script {
    answers: VecDeque<Answer>,
    sent: Vec<Sent>,
}

/// The server. After the last answer it repeats it.
#[derive(Debug, Clone)]
pub(crate) struct Stub {
    pub(crate) endpoint: String,
    script: Arc<Mutex<Script>>,
}

impl Stub {
    pub(crate) async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let script = Script { answers: answers.into_iter().collect(), sent: Vec::new() };
        let script = Arc::new(Mutex::new(script));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&script));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { endpoint, script }
    }

    /// An error in the format of ECS and SQS.
    pub(crate) fn error(status: u16, code: &str, message: &str) -> Answer {
        Answer::Say(status, serde_json::json!({"__type": code, "message": message}).to_string())
    }

    /// A successful answer.
    pub(crate) fn json(body: &serde_json::Value) -> Answer {
        Answer::Say(200, body.to_string())
    }

    /// The requests so far.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.script.lock().unwrap().sent.clone()
    }
}

async fn answer(State(script): State<Arc<Mutex<Script>>>, request: Request) -> Response<Body> {
    let line = format!("{} {}", request.method(), request.uri());
    let bytes = to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let body = String::from_utf8_lossy(&bytes).into_owned();
    let answer = {
        let mut script = script.lock().unwrap();
        script.sent.push(Sent { line, body });
        let last = script.answers.len() <= 1;
        if last { script.answers.front().cloned() } else { script.answers.pop_front() }
    };
    let (status, body) = match answer.unwrap() {
        Answer::Say(status, text) => (status, Body::from(text)),
        Answer::BlackHole => std::future::pending().await,
        Answer::Trickle => (200, unfinished("{\"schema\":".into())),
        Answer::Flood => (200, unfinished(" ".repeat(2 << 20))),
    };
    let response = Response::builder().status(StatusCode::from_u16(status).unwrap());
    response.header("x-amzn-requestid", REQUEST_ID).body(body).unwrap()
}

/// A body that begins so and goes on for ever.
fn unfinished(beginning: String) -> Body {
    let first = futures::stream::iter([Ok::<_, std::io::Error>(beginning)]);
    Body::from_stream(futures::StreamExt::chain(first, futures::stream::pending()))
}
