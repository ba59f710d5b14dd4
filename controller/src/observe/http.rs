//! `/healthz`, `/readyz` and `/notes`: whether the loop turns, whether it knows the running tasks, why each job waits.
//!
//! A controller that launches nothing, because the task's image is unfit or for another reason, is healthy and ready
//! all the same: it settles and adopts jobs. `/notes` gives the reason.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use transcode_config::escape::net;
use transcode_core::{judge::launch_pause::Pause, protocol::clock::Now, state::ledger::Ledger};

use super::connections::{self, Limits};
pub use super::job_status::Waiting;

/// The loop turns at least once a minute; after twice that time without a turn it counts as hung.
const HEALTHY: Duration = Duration::from_mins(2);

/// Most notes shown: more than a person reads.
const MAX_NOTES: usize = 1000;

/// Longest answer that is read, in bytes: [`MAX_NOTES`] notes take a tenth of it.
const MAX_ANSWER: u64 = 4 << 20;

/// Longest time for the controller's answer. It answers from memory.
const PATIENCE: Duration = Duration::from_secs(3);

/// The state that the endpoints show.
#[derive(Debug, Default)]
pub struct Status(Mutex<Shown>);

#[derive(Debug, Default)]
struct Shown {
    turned: Option<Instant>,
    ready: bool,
    notes: Notes,
    unwritten: Option<Unwritten>,
}

/// Since when the report in the state bucket cannot be written: commands that read it learn nothing new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unwritten {
    /// When the first write failed (ms since 1970).
    pub since_ms: u64,
    /// The call that failed last, with the words of AWS.
    pub why: String,
}

/// The answer of `/notes`: why each job waits.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    /// Tasks that were launched and not seen ended.
    pub tasks_in_flight: usize,
    /// The process is ending: it begins nothing new.
    pub draining: bool,
    /// Why launches pause; absent while they go on, and during pauses that are not reported.
    #[serde(default)]
    pub launches_pause: Option<String>,
    /// Why receiving stops; absent while it goes on, and during ordinary short stops.
    #[serde(default)]
    pub receiving_pause: Option<String>,
    /// Present while the controller cannot write its report.
    #[serde(default)]
    pub unwritten: Option<Unwritten>,
    /// Jobs that wait, by key. A job that is neither here nor decided is being worked on now.
    pub jobs: BTreeMap<String, Waiting>,
    /// Number of waiting jobs that are not listed, because there are too many.
    pub left_off: usize,
}

impl Status {
    /// Notes a turn.
    pub fn turned(&self, ledger: &Ledger) {
        let mut shown = self.lock();
        shown.turned = Some(Instant::now());
        shown.ready = ledger.resync.done && !ledger.draining;
        shown.notes.draining = ledger.draining;
    }

    /// Replaces the notes of jobs.
    pub fn noted(
        &self,
        ledger: &Ledger,
        tasks_in_flight: usize,
        pause: Option<&Pause>,
        full: Option<&str>,
        now: Now,
    ) {
        let noted = ledger.jobs.keys().filter_map(|key| Some((key, ledger.note_of(key)?)));
        let jobs =
            noted.take(MAX_NOTES).map(|(key, note)| (key.to_string(), Waiting::of(note, now))).collect();
        let in_line = |key| ledger.jobs.rank_of(key).is_some();
        let waits = ledger.jobs.iter().filter(|(key, job)| job.note.is_some() || in_line(key));
        let left_off = waits.count().saturating_sub(MAX_NOTES);
        let (draining, launches_pause) = (ledger.draining, pause.map(Pause::to_string));
        self.lock().notes = Notes {
            tasks_in_flight,
            draining,
            launches_pause,
            receiving_pause: full.map(str::to_owned),
            unwritten: None,
            jobs,
            left_off,
        };
    }

    /// Notes whether reports can be written.
    pub fn reported(&self, unwritten: Option<Unwritten>) {
        self.lock().unwritten = unwritten;
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
    connections::serve(listener, router, Limits::default(), stop).await;
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

/// JSON without unescaped control or invisible characters: people read it with `curl`.
async fn notes(State(status): Shared) -> impl IntoResponse {
    let notes = {
        let shown = status.lock();
        Notes { unwritten: shown.unwritten.clone(), ..shown.notes.clone() }
    };
    // Plain structures with string keys: serialising cannot fail.
    let body = net(&serde_json::to_string(&notes).unwrap_or_default()).into_owned();
    ([(header::CONTENT_TYPE, "application/json")], body)
}

/// Requests `/healthz`, for ECS' container health check: the image has no other HTTP client.
pub fn ask_health(address: SocketAddr) -> io::Result<bool> {
    Ok(ask(address, "/healthz")?.0 == 200)
}

/// Requests a running controller's notes.
pub fn ask_notes(address: SocketAddr) -> io::Result<Notes> {
    let (status, body) = ask(address, "/notes")?;
    if status != 200 {
        return Err(io::Error::other(format!("/notes answered {status}")));
    }
    Ok(serde_json::from_str(&body)?)
}

/// A GET request to our own endpoints; returns status and body.
fn ask(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // 1.0: the answer ends with the connection and is never in chunks.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER).read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    status.zip(body).ok_or_else(|| io::Error::other("not an HTTP answer"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use transcode_config::contract::JobKey;
    use transcode_core::state::{failing::Purpose, job::Job, note::Note};

    #[tokio::test]
    async fn what_is_shown_is_what_is_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (status, stop) = (std::sync::Arc::new(Status::default()), CancellationToken::new());
        let served = tokio::spawn(serve(listener, std::sync::Arc::clone(&status), stop.clone()));
        let asked = async |ask: fn(SocketAddr) -> io::Result<bool>| {
            tokio::task::spawn_blocking(move || ask(address)).await.unwrap().unwrap()
        };
        assert!(!asked(ask_health).await, "it has not turned yet");

        // The first in order: the others are cut behind it.
        let job: JobKey = "0".repeat(32).parse().unwrap();
        let mut ledger = Ledger::new("me", transcode_core::message::Rules::default());
        let mut wait = |key, why: &'static str, until| {
            let note = Some(Note { why: why.into(), until, step: Some(Purpose::Publish), refused: true });
            ledger.jobs.insert(key, Job { note, ..Job::new(None, 0) });
        };
        wait(job.clone(), "a reason", Some(1_500));
        (0..MAX_NOTES).for_each(|n| wait(JobKey::of(&[&n.to_string()]), "other", None));
        let pause = Pause::Unfit("no such image".into());
        status.turned(&ledger);
        let unwritten = Some(Unwritten { since_ms: 6_000_000, why: "s3:PutObject: AccessDenied".into() });
        status.reported(unwritten.clone());
        status.noted(&ledger, 3, Some(&pause), None, Now { mono: 1_000, wall: 7_000_000 });
        assert!(asked(ask_health).await);
        let notes = tokio::task::spawn_blocking(move || ask_notes(address)).await.unwrap().unwrap();
        assert_eq!((notes.tasks_in_flight, notes.jobs.len(), notes.left_off), (3, MAX_NOTES, 1));
        assert_eq!(notes.launches_pause.as_deref(), Some("no such image"));
        assert_eq!(notes.unwritten, unwritten);
        let publish = Some("publish".into());
        let expected =
            Waiting { why: "a reason".into(), until_ms: Some(7_000_500), step: publish, refused: true };
        assert_eq!(notes.jobs.get(job.as_str()), Some(&expected), "on the clock that people have");
        stop.cancel();
        served.await.unwrap();
    }
}
