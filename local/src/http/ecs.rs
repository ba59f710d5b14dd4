//! The ECS protocol: AWS JSON 1.1 over `POST /`, with the faults that hit whole calls.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::State,
    http::{Request, Response},
};
use serde_json::Value;
use uuid::Uuid;

use super::{
    import::import,
    server::{CloseConnection, read_json},
};
use crate::{
    host::shared::Shared,
    model::{
        definitions,
        error::ApiError,
        fault::{FaultKind, Loss},
        names,
        ops::{self, Call, launch},
        state::EndpointState,
    },
};

/// Longest deliberate delay of an answer.
const MAX_WAIT: Duration = Duration::from_mins(10);
/// The text of every throttle.
const RATE_EXCEEDED: &str = "Rate exceeded";

/// How a call ends.
enum Outcome {
    Answer(Result<Value, ApiError>),
    Lost(Loss),
}

/// `POST /`.
pub(crate) async fn handle(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response<Body> {
    let target =
        request.headers().get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let operation =
        target.strip_prefix(names::TARGET).and_then(|rest| rest.strip_prefix('.')).map(str::to_owned);
    let body = read_json(request).await;
    let outcome = match (operation, body) {
        (None, _) => {
            Outcome::Answer(Err(ApiError::new("UnknownOperationException", "Not an ECS operation.")))
        }
        (_, Err(error)) => Outcome::Answer(Err(error)),
        (Some(operation), Ok(body)) => call(&shared, &operation, &body).await,
    };
    match outcome {
        Outcome::Answer(result) => respond(&shared, result),
        Outcome::Lost(Loss::InternalError) => respond(&shared, Err(ApiError::server("Internal Error"))),
        Outcome::Lost(loss) => {
            if loss == Loss::Hang {
                wait(&shared, MAX_WAIT).await;
            }
            let mut response = Response::new(Body::empty());
            response.extensions_mut().insert(CloseConnection);
            response
        }
    }
}

fn respond(shared: &Arc<Shared>, result: Result<Value, ApiError>) -> Response<Body> {
    let (status, body) = match result {
        Ok(body) => (200, body),
        Err(error) => {
            shared.update(|state, _| state.counters.error(&error.code));
            (error.status, error.body())
        }
    };
    super::server::json_response(status, "application/x-amz-json-1.1", &body)
}

async fn wait(shared: &Shared, time: Duration) {
    tokio::select! {
        () = tokio::time::sleep(time.min(MAX_WAIT)) => {}
        () = shared.stop.cancelled() => {}
    }
}

async fn call(shared: &Arc<Shared>, operation: &str, body: &Value) -> Outcome {
    let job = shared.update(|state, _| {
        state.counters.call(operation);
        job(state, operation, body)
    });
    let job = job.as_deref();
    let take =
        |wanted: fn(&FaultKind) -> bool| shared.update(|state, _| state.take_fault(operation, job, wanted));
    if let Some(FaultKind::Delay { milliseconds }) = take(|kind| matches!(kind, FaultKind::Delay { .. })) {
        wait(shared, Duration::from_millis(milliseconds)).await;
    }
    match take(is_refusal) {
        Some(FaultKind::LostRequest { how }) => return Outcome::Lost(how),
        Some(kind) => return Outcome::Answer(Err(refusal(kind))),
        None => {}
    }
    let result = carry_out(shared, operation, body).await;
    match take(|kind| matches!(kind, FaultKind::LostAnswer { .. })) {
        Some(FaultKind::LostAnswer { how }) => Outcome::Lost(how),
        _ => Outcome::Answer(result),
    }
}

async fn carry_out(shared: &Arc<Shared>, operation: &str, body: &Value) -> Result<Value, ApiError> {
    import(shared, operation, body).await?;
    let mut new_id = || Uuid::new_v4().simple().to_string();
    shared.update(|state, now| {
        state.forget_old(now);
        ops::carry_out(&mut Call { state, now, new_id: &mut new_id }, operation, body)
    })
}

/// The job of a call; none if the call has none.
fn job(state: &EndpointState, operation: &str, body: &Value) -> Option<String> {
    match operation {
        "RunTask" => launch::job(&body["overrides"]),
        "StopTask" => {
            let reference = definitions::text(&body["task"])?;
            state.task(names::task(&reference).0)?.job.clone()
        }
        _ => None,
    }
}

fn is_refusal(kind: &FaultKind) -> bool {
    matches!(
        kind,
        FaultKind::Throttle
            | FaultKind::ThrottleWrapped
            | FaultKind::Error { .. }
            | FaultKind::LostRequest { .. }
    )
}

fn refusal(kind: FaultKind) -> ApiError {
    match kind {
        FaultKind::Throttle => ApiError::new("ThrottlingException", RATE_EXCEEDED),
        FaultKind::ThrottleWrapped => ApiError::invalid(format!(
            "Error retrieving subnet information for [subnet-local]: {RATE_EXCEEDED} (ErrorCode: Throttling)"
        )),
        FaultKind::Error { code, message, status } => ApiError { status, ..ApiError::new(&code, message) },
        other => ApiError::server(format!("{} is no refusal", other.name())),
    }
}
