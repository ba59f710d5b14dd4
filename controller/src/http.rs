//! `/healthz`, `/readyz` and `/notes`: whether the loop turns, whether it knows what runs, why each job waits.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use transcode_config::contract::JobKey;

/// The loop wakes at least once a minute; twice that without a turn is a loop that hangs.
const HEALTHY: Duration = Duration::from_mins(2);

/// Notes shown at most: as many as a person reads.
const MAX_NOTES: usize = 1000;

/// What the endpoints show.
#[derive(Debug, Default)]
pub struct Status(Mutex<Shown>);

#[derive(Debug, Default)]
struct Shown {
    turned: Option<Instant>,
    ready: bool,
    notes: Notes,
}

/// Why each job waits.
#[derive(Debug, Default, Clone, Serialize)]
struct Notes {
    tasks_in_flight: usize,
    draining: bool,
    jobs: BTreeMap<String, String>,
}

impl Status {
    /// The loop has taken a turn.
    pub fn turned(&self, synced: bool, draining: bool, tasks: usize, notes: &BTreeMap<&JobKey, &str>) {
        let jobs =
            notes.iter().take(MAX_NOTES).map(|(job, why)| (job.to_string(), (*why).to_owned())).collect();
        let mut shown = self.lock();
        shown.turned = Some(Instant::now());
        shown.ready = synced && !draining;
        shown.notes = Notes { tasks_in_flight: tasks, draining, jobs };
    }

    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves until `stop`.
pub async fn serve(listener: TcpListener, status: std::sync::Arc<Status>, stop: CancellationToken) {
    let router = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/notes", get(notes))
        .with_state(status);
    let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "health endpoints ended");
    }
}

type Shared = State<std::sync::Arc<Status>>;

async fn healthz(State(status): Shared) -> (StatusCode, &'static str) {
    if status.lock().turned.is_some_and(|at| at.elapsed() < HEALTHY) {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the loop does not turn\n")
    }
}

async fn readyz(State(status): Shared) -> (StatusCode, &'static str) {
    if status.lock().ready {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "draining, or the first list of tasks is not complete\n")
    }
}

async fn notes(State(status): Shared) -> Json<impl Serialize> {
    Json(status.lock().notes.clone())
}

/// Asks `/healthz`, for ECS' container health check: the image has no other client.
pub fn ask_health(address: SocketAddr) -> std::io::Result<bool> {
    use std::io::{Read, Write};
    let limit = Duration::from_secs(3);
    let mut stream = std::net::TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut head = [0_u8; 12];
    stream.read_exact(&mut head)?;
    Ok(&head == b"HTTP/1.1 200")
}
