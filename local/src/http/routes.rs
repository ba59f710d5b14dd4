//! The routes.

use std::sync::Arc;

use axum::{
    Router,
    routing::{any, delete, get, post},
};

use super::{control, ecs, metadata, server::json_response};
use crate::{host::shared::Shared, model::error::ApiError};

/// All routes.
pub(crate) fn all(shared: Arc<Shared>) -> Router {
    let control = Router::new()
        .route("/health", get(control::health))
        .route("/tasks", get(control::tasks))
        .route("/tasks/{id}/interrupt", post(control::interrupt))
        .route("/tasks/{id}/fail-start", post(control::fail_start))
        .route("/tasks/{id}/signal", post(control::signal))
        .route("/counters", get(control::counters).delete(control::reset_counters))
        .route("/faults", get(control::faults).post(control::set_fault).delete(control::clear_faults))
        .route("/faults/{id}", delete(control::clear_fault))
        .route("/delays", get(control::delays).post(control::set_delays))
        .route("/advance", post(control::advance))
        .route("/images", post(control::set_digest))
        .route("/leftovers", get(control::leftovers).delete(control::discard_leftovers));
    Router::new()
        .route("/", post(ecs::handle))
        .nest("/_control", control)
        .route("/v4/{container}", get(metadata::container))
        .route("/v4/{container}/task", get(metadata::task))
        .route("/v4/{container}/stats", get(metadata::stats))
        .route("/v4/{container}/task/stats", get(metadata::task_stats))
        .fallback(any(|| async {
            let error = ApiError::new("UnknownOperationException", "No such path.");
            json_response(404, "application/json", &error.body())
        }))
        .with_state(shared)
}
