//! Example: the service behind an upload page. It holds AWS credentials so that browsers need none.
//!
//! | request | answer |
//! |---|---|
//! | `POST /uploads` `{name, type, bytes}` | `{id, parts, part_bytes}` |
//! | `GET /uploads/{id}` | the parts that S3 has: what a resumed upload leaves out |
//! | `POST /uploads/{id}/parts` `{parts: [{number, sha256}]}` | an address for each part, at most 100 in a call |
//! | `POST /uploads/{id}/complete` | the object appears, and its job begins |
//! | `DELETE /uploads/{id}` | the upload is over |
//! | `GET /jobs/{id}` | state, progress, and what can be played |
//! | `GET /jobs/{id}/play/{path}` | a playlist or a storyboard, with addresses that expire |
//!
//! The id is a sealed ticket: it names one key that nobody can guess and one upload, and no database is needed.
//!
//! **What a team has to add**: who the caller is, and what they may do ([`Service::caller`]). A limit on calls for each
//! person belongs in front of it (API Gateway, WAF). Whoever has an id can see its job, so treat it like a share link.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_s3::Client;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use transcode_web::{
    WebError,
    job::{Job, JobView, State},
    playback::Tree,
    upload::{Checksums, Multipart, ObjectWords, PartPlan, PartRequest, Ticket, TicketKey},
};

/// Largest body of a request, in bytes: 100 parts take a tenth of it.
pub const MAX_BODY: usize = 64 << 10;
/// How long an address for a part is valid; the sending has to begin in that time.
const PART_TIME: Duration = Duration::from_mins(15);
/// How long addresses of segments are valid: longer than a film takes.
const PLAY_TIME: Duration = Duration::from_hours(6);
/// How long an upload may take. The bucket's lifecycle rule removes its parts after the same time.
const UPLOAD_TIME: Duration = Duration::from_hours(7 * 24);
/// Longest name of a file that becomes part of the key, in characters.
const MAX_NAME: usize = 80;

/// What the service works with.
pub struct Service {
    /// A client with the rights of `docs/uploads.md`.
    pub s3: Client,
    /// Bucket of uploads.
    pub sources: String,
    /// Prefix of their keys, with a slash at its end; a source of the controller's settings covers it.
    pub prefix: String,
    /// Bucket of the job protocol.
    pub state: String,
    /// Largest file, in bytes.
    pub max_bytes: u64,
    /// Seals the ids.
    pub key: TicketKey,
}

#[derive(Deserialize)]
struct NewUpload {
    name: String,
    #[serde(rename = "type")]
    media_type: String,
    bytes: u64,
}

#[derive(Deserialize)]
struct WantedParts {
    parts: Vec<PartRequest>,
}

type Answer = Result<Response<Bytes>, WebError>;

impl Service {
    /// Answers a request.
    pub async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        let path = request.uri().path().to_owned();
        let parts: Vec<&str> = path.trim_matches('/').splitn(4, '/').collect();
        let answer = match (request.method(), parts.as_slice()) {
            _ if !Self::caller(&request) => status(StatusCode::UNAUTHORIZED),
            _ if request.body().len() > MAX_BODY => status(StatusCode::PAYLOAD_TOO_LARGE),
            (&Method::POST, ["uploads"]) => self.create(&request).await,
            (&Method::GET, ["uploads", id]) => self.stored(id).await,
            (&Method::POST, ["uploads", id, "parts"]) => self.addresses(id, &request).await,
            (&Method::POST, ["uploads", id, "complete"]) => self.complete(id).await,
            (&Method::DELETE, ["uploads", id]) => self.abort(id).await,
            (&Method::GET, ["jobs", id]) => self.job(id).await,
            (&Method::GET, ["jobs", id, "play", path]) => self.play(id, path).await,
            _ => status(StatusCode::NOT_FOUND),
        };
        answer.or_else(|error| refused(&error)).unwrap_or_default()
    }

    /// Whether the caller may do this. **Put your check of a session here**, and put the person's id into the key's
    /// prefix, so that a source's tenants (`[[sources.<name>.tenants]]`) share the slots fairly.
    fn caller(_request: &Request<Bytes>) -> bool {
        true
    }

    async fn create(&self, request: &Request<Bytes>) -> Answer {
        let new: NewUpload = body(request)?;
        if new.bytes > self.max_bytes {
            return Err(WebError::Refused(format!("a file has at most {} bytes", self.max_bytes)));
        }
        if !["video/", "audio/"].iter().any(|kind| new.media_type.starts_with(kind)) {
            return Err(WebError::Refused("only video and audio".into()));
        }
        let plan = PartPlan::of(new.bytes)?;
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|_| WebError::Refused("no randomness".into()))?;
        let key = format!("{}{:032x}/{}", self.prefix, u128::from_be_bytes(random), safe(&new.name));
        let kind = Some(new.media_type.as_str());
        // Yours: whatever you want to find in the job's events, such as the person's id.
        let words = ObjectWords::default();
        let open = Multipart::create(&self.s3, &self.sources, &key, kind, &words, Checksums::Sha256).await?;
        let until_ms = now_ms() + u64::try_from(UPLOAD_TIME.as_millis()).unwrap_or_default();
        let id = Ticket { key, upload: open.id, bytes: new.bytes, until_ms }.sealed(&self.key);
        answer(&json!({ "id": id, "parts": plan.parts(), "part_bytes": plan.part_bytes() }))
    }

    /// The open upload of an id.
    fn upload(&self, id: &str) -> Result<(Multipart, PartPlan), WebError> {
        let ticket = Ticket::open(id, &self.key)?;
        let plan = ticket.plan()?;
        if ticket.until_ms < now_ms() {
            return Err(WebError::NotFound("upload".into()));
        }
        Ok((Multipart { bucket: self.sources.clone(), key: ticket.key, id: ticket.upload }, plan))
    }

    async fn stored(&self, id: &str) -> Answer {
        let (open, plan) = self.upload(id)?;
        let there = open.parts(&self.s3).await?;
        answer(&json!({ "parts": plan.parts(), "part_bytes": plan.part_bytes(), "there": there }))
    }

    async fn addresses(&self, id: &str, request: &Request<Bytes>) -> Answer {
        let (open, plan) = self.upload(id)?;
        let wanted: WantedParts = body(request)?;
        if wanted.parts.iter().any(|part| part.sha256.is_none()) {
            return Err(WebError::Refused("every part needs its sha256".into()));
        }
        let parts = open.addresses(&self.s3, plan, &wanted.parts, PART_TIME).await?;
        answer(&json!({ "parts": parts }))
    }

    async fn complete(&self, id: &str) -> Answer {
        let (open, plan) = self.upload(id)?;
        match open.complete(&self.s3, plan).await {
            // A first answer may have been lost: then the object is there, and its key is this id's alone.
            Err(WebError::Exists(_)) => {}
            Err(WebError::NotFound(_)) if self.find(id).await?.is_some() => {}
            done => done?,
        }
        status(StatusCode::NO_CONTENT)
    }

    async fn abort(&self, id: &str) -> Answer {
        self.upload(id)?.0.abort(&self.s3).await?;
        status(StatusCode::NO_CONTENT)
    }

    /// The job of an id, for as long as its records are kept.
    async fn find(&self, id: &str) -> Result<Option<Job>, WebError> {
        let ticket = Ticket::open(id, &self.key)?;
        Job::of_object(&self.s3, &self.state, &self.sources, &ticket.key).await
    }

    async fn job(&self, id: &str) -> Answer {
        let Some(job) = self.find(id).await? else { return answer(&json!(JobView::uploaded())) };
        let mut view = json!(job.view());
        if let (Some((attempt, master)), Some(view)) = (job.playable(), view.as_object_mut()) {
            view.insert("playback".into(), format!("/jobs/{id}/play/{master}").into());
            if job.state() == State::Succeeded {
                let tree = Tree::of(&self.s3, &job.spec, attempt, PLAY_TIME)?;
                view.insert("poster".into(), tree.file("poster.jpg").await?.into());
            }
        }
        answer(&view)
    }

    async fn play(&self, id: &str, path: &str) -> Answer {
        let missing = || WebError::NotFound("a playlist".into());
        let job = self.find(id).await?.ok_or_else(missing)?;
        let (attempt, _) = job.playable().ok_or_else(missing)?;
        let tree = Tree::of(&self.s3, &job.spec, attempt, PLAY_TIME)?;
        let (text, kind) = match path.rsplit_once('.') {
            Some((_, "m3u8")) => (tree.playlist(path).await?, "application/vnd.apple.mpegurl"),
            Some((_, "vtt")) => (tree.storyboard(path).await?, "text/vtt; charset=utf-8"),
            _ => return Err(missing()),
        };
        made(StatusCode::OK, kind, text.into())
    }
}

fn body<T: DeserializeOwned>(request: &Request<Bytes>) -> Result<T, WebError> {
    serde_json::from_slice(request.body()).map_err(|error| WebError::Refused(error.to_string()))
}

/// A file's name as part of a key: its last part, without anything that a tool may stumble over.
fn safe(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default().trim_start_matches('.');
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let safe: String = last.chars().take(MAX_NAME).map(plain).collect();
    if safe.is_empty() { "file".into() } else { safe }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn answer(value: &Value) -> Answer {
    made(StatusCode::OK, "application/json", value.to_string().into())
}

fn status(code: StatusCode) -> Answer {
    made(code, "application/json", Bytes::new())
}

fn made(code: StatusCode, kind: &'static str, body: Bytes) -> Answer {
    // Each answer holds signatures or a state of this moment.
    let head = Response::builder().status(code).header(header::CONTENT_TYPE, kind);
    let head = head.header(header::CACHE_CONTROL, "no-store").header("x-content-type-options", "nosniff");
    head.body(body).map_err(|error| WebError::Refused(error.to_string()))
}

/// An error in words for the page. What S3 said goes to the log: it names buckets.
fn refused(error: &WebError) -> Answer {
    let (code, words) = match error {
        WebError::Refused(why) => (StatusCode::BAD_REQUEST, why.as_str()),
        WebError::NotFound(_) => (StatusCode::NOT_FOUND, "not there, or no longer"),
        WebError::Exists(_) => (StatusCode::CONFLICT, "there already"),
        WebError::S3 { .. } => (StatusCode::BAD_GATEWAY, "the storage did not answer; try again"),
    };
    tracing::warn!(%error, "refused");
    made(code, "application/json", json!({ "error": words }).to_string().into())
}
