//! The routes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_sdk_s3::Client;
use axum::{
    Form, Json, Router,
    extract::{DefaultBodyLimit, Path, Query, State},
    http::{HeaderMap, StatusCode},
    middleware::from_fn_with_state,
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use transcode_config::contract::{JobKey, StatusReport};

use super::{
    assets::asset,
    desk::{Answer, Desk, Filter, Place, Question},
    documents::{self, Job, JobList, Letters},
    guard::{Keys, guard},
    history::{History, Sample},
    relay::relay,
    view::{self, Action},
};
use crate::{
    observe::connections::{self, Limits},
    runtime::wall_ms,
};

/// Jobs of a page.
const LISTED: u32 = 100;

/// Longest form, in bytes: a reason has at most 500, each of which may take three.
const MAX_FORM: usize = 8 << 10;

/// Time between two looks at the controller's report, which it writes at most every ten seconds.
const LOOK: Duration = Duration::from_secs(5);

/// Jobs whose places are remembered.
const MAX_PLACES: usize = 256;

/// A person, some tabs, a player that reads ahead. An answer may take as long as a segment over a slow line.
const LIMITS: Limits =
    Limits { connections: 64, headers: Duration::from_secs(5), whole: Duration::from_mins(2) };

/// What the server needs.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) keys: Keys,
    pub(crate) desk: Desk,
    /// Reads media.
    pub(crate) s3: Client,
    pub(crate) environment: String,
    /// The player for browsers that do not play HLS.
    pub(crate) hls_js: Option<Bytes>,
}

#[derive(Debug)]
struct Console {
    options: Options,
    history: History,
    places: Mutex<BTreeMap<JobKey, Place>>,
}

type Shared = State<Arc<Console>>;

/// Serves until `stop`.
pub(crate) async fn serve(listener: TcpListener, options: Options, stop: CancellationToken) {
    let console = Arc::new(Console { options, history: History::default(), places: Mutex::default() });
    let watch = async {
        loop {
            console.look().await;
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        () = connections::serve(listener, router(Arc::clone(&console)), LIMITS, stop) => {}
        () = watch => {}
    }
}

fn router(console: Arc<Console>) -> Router {
    let keys = console.options.keys.clone();
    Router::new()
        .route("/", get(jobs))
        .route("/find", get(find))
        .route("/jobs/{job}", get(job))
        .route("/jobs/{job}/{action}", get(confirm))
        .route("/letters", get(letters))
        .route("/act", post(act))
        .route("/media/{job}/{*path}", get(media))
        .route("/assets/{name}", get(file))
        .route("/api/jobs", get(api_jobs))
        .route("/api/jobs/{job}", get(async |state, Path(job)| api(state, Question::Job(job)).await))
        .route(
            "/api/jobs/{job}/explain",
            get(async |state, Path(job)| api(state, Question::Explain(job)).await),
        )
        .route(
            "/api/jobs/{job}/events",
            get(async |state, Path(job)| api(state, Question::Events(job)).await),
        )
        .route("/api/letters", get(async |state| api(state, Question::Letters).await))
        .route("/api/plan", get(async |state| api(state, Question::Plan).await))
        .route("/api/report", get(async |state| api(state, Question::Report).await))
        .with_state(console)
        .layer(DefaultBodyLimit::max(MAX_FORM))
        .layer(from_fn_with_state(keys, guard))
}

impl Console {
    async fn ask<D: serde::de::DeserializeOwned>(&self, question: Question) -> Result<D, Response> {
        let answer = self.options.desk.ask(question).await;
        answer.and_then(documents::read).map_err(|why| failed(&why))
    }

    /// Keeps the newest report's numbers.
    async fn look(&self) {
        let report = self.options.desk.ask(Question::Report).await.ok();
        let report =
            report.and_then(|document| documents::read::<Option<StatusReport>>(document).ok()).flatten();
        if let Some(report) = report {
            self.history.keep(Sample::of(&report));
        }
    }

    /// Where a job's outputs lie. It never changes.
    async fn place(&self, job: JobKey) -> Result<Place, Response> {
        let places = || self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places().get(&job) {
            return Ok(place.clone());
        }
        let place =
            self.options.desk.ask(Question::Place(job.clone())).await.and_then(documents::read::<Place>);
        let place = place.map_err(|_| StatusCode::NOT_FOUND.into_response())?;
        let mut places = places();
        if places.len() >= MAX_PLACES {
            places.clear();
        }
        places.insert(job, place.clone());
        Ok(place)
    }
}

fn failed(why: &str) -> Response {
    (StatusCode::BAD_GATEWAY, Html(view::failed(why))).into_response()
}

/// What the filter's form sends; a field that is left empty filters nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    q: String,
    state: String,
    tenant: String,
}

impl From<Asked> for Filter {
    fn from(Asked { q, state, tenant }: Asked) -> Self {
        let given = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        Self { state: given(state), tenant: given(tenant), text: given(q), limit: LISTED }
    }
}

async fn jobs(State(console): Shared, Query(asked): Query<Asked>) -> Result<Response, Response> {
    let filter = Filter::from(asked);
    if let Some(job) = filter.text.as_ref().and_then(|text| text.parse::<JobKey>().ok()) {
        return Ok(Redirect::to(&format!("/jobs/{job}")).into_response());
    }
    let list: JobList = console.ask(Question::Jobs(filter.clone())).await?;
    Ok(Html(view::jobs(&list, &filter, &console.history.all(), wall_ms())).into_response())
}

async fn find(State(console): Shared, Query(asked): Query<Asked>) -> Result<Response, Response> {
    #[derive(Deserialize)]
    struct Found {
        jobs: Vec<JobKey>,
    }
    let found: Found = console.ask(Question::Find(asked.q.clone())).await?;
    match found.jobs.first() {
        Some(job) => Ok(Redirect::to(&format!("/jobs/{job}")).into_response()),
        None => Err((StatusCode::NOT_FOUND, Html(view::failed(&format!("There is no job of {}.", asked.q))))
            .into_response()),
    }
}

async fn job(State(console): Shared, Path(job): Path<JobKey>) -> Result<Response, Response> {
    let known: Job = console.ask(Question::Job(job)).await?;
    let environment = (console.options.environment.as_str(), known.controller.as_str());
    Ok(Html(view::job(&known, environment, console.options.hls_js.is_some(), wall_ms())).into_response())
}

async fn confirm(State(console): Shared, Path((job, action)): Path<(JobKey, Action)>) -> Html<String> {
    Html(view::confirm(action, &job, console.options.keys.token()))
}

async fn letters(State(console): Shared) -> Result<Response, Response> {
    let found: Letters = console.ask(Question::Letters).await?;
    Ok(Html(view::letters(&found, wall_ms())).into_response())
}

/// The form that confirms an action.
#[derive(Debug, Deserialize)]
struct Act {
    token: String,
    action: Action,
    job: JobKey,
    #[serde(default)]
    why: String,
}

/// The one route that changes anything. The guard has checked host, cookie and origin.
async fn act(State(console): Shared, Form(form): Form<Act>) -> Result<Response, Response> {
    let Act { token, action, job, why } = form;
    if !console.options.keys.accepts(&token) {
        return Err((
            StatusCode::FORBIDDEN,
            Html(view::failed("This form is of another console: open the page anew.")),
        )
            .into_response());
    }
    let question = match action {
        Action::Cancel => Question::Cancel(job.clone(), why),
        Action::Retry => Question::Retry(job.clone()),
        Action::Redrive => Question::Redrive(job.clone()),
    };
    tracing::info!(action = action.name(), %job, "asked for in the console");
    let done = console.options.desk.ask(question).await.map_err(|why| failed(&why))?;
    let next = done.get("job").and_then(Value::as_str).and_then(|next| next.parse().ok()).unwrap_or(job);
    Ok(Redirect::to(&format!("/jobs/{next}")).into_response())
}

async fn media(
    State(console): Shared,
    Path((job, path)): Path<(JobKey, String)>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    let place = console.place(job).await?;
    Ok(relay(&console.options.s3, &place, &path, &headers).await)
}

async fn file(State(console): Shared, Path(name): Path<String>) -> Response {
    asset(&name, console.options.hls_js.as_ref())
}

async fn api_jobs(state: Shared, Query(asked): Query<Asked>) -> Response {
    api(state, Question::Jobs(asked.into())).await
}

/// A document as it is.
async fn api(State(console): Shared, question: Question) -> Response {
    let answer: Answer = console.options.desk.ask(question).await;
    match answer {
        Ok(document) => Json(document).into_response(),
        Err(why) => (StatusCode::BAD_GATEWAY, Json(serde_json::json!({ "error": why }))).into_response(),
    }
}

#[cfg(test)]
mod tests;
