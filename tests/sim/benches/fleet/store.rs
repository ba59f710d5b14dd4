//! S3: objects with entity tags, conditional writes, and listings in pages of 1,000. Heartbeats are computed when they
//! are read: tasks write one every 15 s, and nobody has to write them here.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use transcode_config::contract::{Beacon, Heartbeat, SCHEMA, Stage, TaskState, UserMetadata, encode};

use crate::{
    aws::epoch_ms,
    cluster::Task,
    http::{Request, Response, decoded},
};

/// Keys of a page: S3's own most.
const PAGE: usize = 1000;

/// Time between two heartbeats of a task (ms).
const BEAT: u64 = 15_000;

/// A task writes its beacon after every such number of heartbeats.
const BEATS: u64 = 3;

/// An object.
#[derive(Debug, Clone)]
pub(crate) enum Object {
    /// Bytes, their entity tag, and when they were written (ms since 1970).
    Bytes(Arc<[u8]>, u64, u64),
    /// The heartbeat of a task, as of now.
    Beat(Arc<Task>),
    /// The beacon of a task, as of now.
    Light(Arc<Task>),
}

impl Object {
    /// Body, entity tag, and time of the last write (ms since 1970).
    fn read(&self) -> (Arc<[u8]>, u64, u64) {
        match self {
            Self::Bytes(bytes, tag, at) => (Arc::clone(bytes), *tag, *at),
            Self::Beat(task) => {
                let seq = epoch_ms().saturating_sub(task.since_ms) / BEAT;
                let at = task.since_ms + seq * BEAT;
                (encode(&beat(task, seq, at)).into(), (task.number << 32) | seq, at)
            }
            Self::Light(task) => {
                let seq = epoch_ms().saturating_sub(task.since_ms) / BEAT / BEATS * BEATS;
                let at = task.since_ms + seq * BEAT;
                (Beacon::of(&beat(task, seq, at)).body().into(), (task.number << 32) | seq, at)
            }
        }
    }
}

/// What a working task writes: an hour's work, a little further each time.
#[allow(clippy::cast_precision_loss, reason = "for show")]
fn beat(task: &Task, seq: u64, at: u64) -> Heartbeat {
    Heartbeat {
        schema: SCHEMA,
        job: task.claim.job.clone(),
        attempt: task.claim.attempt,
        task_arn: Some(task.arn.clone()),
        seq: seq + 1,
        written_at_ms: at,
        stage: Stage::Transcoding,
        percent: (seq as f32 / 2.4).min(99.0),
        speed: Some(1.5),
        playable: None,
        user_metadata: UserMetadata::default(),
        state: TaskState::Working,
    }
}

/// All objects of all buckets, by `bucket/key`.
#[derive(Debug, Default)]
pub(crate) struct Store {
    objects: BTreeMap<String, Object>,
    writes: u64,
}

impl Store {
    /// Writes an object.
    pub(crate) fn put(&mut self, path: &str, object: Object) {
        self.objects.insert(path.to_owned(), object);
    }

    /// Writes bytes; returns their entity tag.
    pub(crate) fn put_bytes(&mut self, path: &str, bytes: &[u8]) -> u64 {
        self.writes += 1;
        self.put(path, Object::Bytes(bytes.into(), self.writes, epoch_ms()));
        self.writes
    }

    /// The bytes of an object.
    pub(crate) fn bytes(&self, path: &str) -> Option<Arc<[u8]>> {
        self.objects.get(path).map(|object| object.read().0)
    }

    /// Answers a request and names the operation.
    pub(crate) fn answer(&mut self, request: &Request) -> (&'static str, Response) {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let path = decoded(path.trim_start_matches('/'));
        match request.method.as_str() {
            "GET" if query.contains("list-type=2") => {
                ("ListObjectsV2", self.list(path.trim_end_matches('/'), query))
            }
            "GET" => ("GetObject", self.get(&path, request)),
            "HEAD" => ("HeadObject", self.get(&path, request)),
            "PUT" => ("PutObject", self.write(&path, request)),
            "DELETE" => {
                self.objects.remove(&path);
                ("DeleteObject", Response::xml(204, String::new()))
            }
            "POST" => ("DeleteObjects", self.delete_many(&path, request)),
            _ => ("unknown", error(405, "MethodNotAllowed")),
        }
    }

    fn get(&self, path: &str, request: &Request) -> Response {
        let Some(object) = self.objects.get(path) else { return error(404, "NoSuchKey") };
        let (bytes, tag, _) = object.read();
        let response = Response::new(200, "application/json", bytes.to_vec()).tagged(tag);
        if !request.if_none_match.is_empty() && response.etag.as_ref() == Some(&request.if_none_match) {
            return Response::xml(304, String::new());
        }
        response
    }

    fn write(&mut self, path: &str, request: &Request) -> Response {
        let there = self.objects.get(path).map(|object| format!("\"{:032x}\"", object.read().1));
        if request.if_none_match == "*" && there.is_some() {
            return error(412, "PreconditionFailed");
        }
        if !request.if_match.is_empty() && there.as_ref() != Some(&request.if_match) {
            return error(412, "PreconditionFailed");
        }
        let tag = self.put_bytes(path, &request.body);
        Response::xml(200, String::new()).tagged(tag)
    }

    /// Removes the objects that a `DeleteObjects` names.
    fn delete_many(&mut self, path: &str, request: &Request) -> Response {
        let body = String::from_utf8_lossy(&request.body);
        let keys = body.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
        for (key, _) in keys {
            self.objects.remove(&format!("{}/{key}", path.trim_end_matches('/')));
        }
        Response::xml(200, "<DeleteResult/>".into())
    }

    fn list(&self, bucket: &str, query: &str) -> Response {
        let parameter = |name: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.filter(|(key, _)| *key == name).map(|(_, value)| decoded(value)).next()
        };
        let prefix = parameter("prefix").unwrap_or_default();
        let start = format!("{bucket}/{prefix}");
        let after = parameter("continuation-token").or_else(|| parameter("start-after"));
        let from = after.map_or_else(|| start.clone(), |key| format!("{bucket}/{key}\0"));
        let mut found = self.objects.range(from..).take_while(|(path, _)| path.starts_with(&start));
        let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult>");
        let mut last = "";
        for (path, object) in found.by_ref().take(PAGE) {
            last = path.get(bucket.len() + 1..).unwrap_or_default();
            let (bytes, tag, at) = object.read();
            // Writing into a text cannot fail.
            let _ = write!(
                text,
                "<Contents><Key>{last}</Key><LastModified>{}</LastModified><ETag>&quot;{tag:032x}&quot;</ETag>\
                 <Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
                date(at / 1000),
                bytes.len()
            );
        }
        let more = found.next().is_some();
        let _ = write!(text, "<IsTruncated>{more}</IsTruncated>");
        if more {
            let _ = write!(text, "<NextContinuationToken>{last}</NextContinuationToken>");
        }
        text.push_str("</ListBucketResult>");
        Response::xml(200, text)
    }
}

fn error(status: u16, code: &str) -> Response {
    Response::xml(status, format!("<Error><Code>{code}</Code><Message>{code}</Message></Error>"))
}

/// A time in seconds since 1970 as S3 writes it: whole seconds.
fn date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days since 1 March of year 0, in eras of 400 years: http://howardhinnant.github.io/date_algorithms.html
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000Z")
}
