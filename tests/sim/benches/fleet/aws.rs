//! The stand-in for AWS: SQS, ECS, S3 and CloudWatch as far as the controller calls them, with counts of the calls.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use transcode_config::contract::{Claim, Layout, beacon_key, decode};

use crate::{
    cluster::{Cluster, described, identity},
    http::{Request, Response, Service},
    store::{Object, Store},
};

/// Name of the state bucket.
pub(crate) const STATE: &str = "state";

/// Name of the environment.
pub(crate) const ENVIRONMENT: &str = "bench";

/// Milliseconds since 1970.
pub(crate) fn epoch_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// All services.
#[derive(Debug, Default)]
pub(crate) struct Aws {
    state: Mutex<State>,
    sent: Condvar,
}

/// What the services know.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) cluster: Cluster,
    /// Visible messages of the jobs queue: id, body.
    visible: VecDeque<(u64, String)>,
    received: u64,
    /// Calls by service and operation.
    calls: BTreeMap<(&'static str, String), u64>,
    /// Time spent in answering.
    busy: Duration,
    /// When the message of an upload was sent, by object key.
    sent_at: HashMap<String, Instant>,
    /// The object key of a job's source, by job.
    sources: HashMap<String, String>,
    /// From the sending of a message to its RunTask.
    pub(crate) latencies: Vec<Duration>,
}

/// Calls and busy time between two readings.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    pub(crate) calls: BTreeMap<(&'static str, String), u64>,
    pub(crate) busy: Duration,
}

impl Counts {
    /// What came since an earlier reading.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let of = |key| earlier.calls.get(key).copied().unwrap_or(0);
        let calls = self.calls.iter().map(|(key, count)| (key.clone(), count - of(key)));
        Self {
            calls: calls.filter(|(_, count)| *count > 0).collect(),
            busy: self.busy.saturating_sub(earlier.busy),
        }
    }

    /// Calls of one service.
    pub(crate) fn of(&self, service: &str) -> u64 {
        self.calls.iter().filter(|((of, _), _)| *of == service).map(|(_, count)| count).sum()
    }
}

impl Aws {
    /// The state, also after a panic of another thread.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a message; `key` is the object that it announces.
    pub(crate) fn send(&self, number: u64, key: String, body: String) {
        let mut state = self.state();
        state.sent_at.insert(key, Instant::now());
        state.visible.push_back((number, body));
        drop(state);
        self.sent.notify_one();
    }

    /// The counts so far.
    pub(crate) fn counts(&self) -> Counts {
        let state = self.state();
        Counts { calls: state.calls.clone(), busy: state.busy }
    }

    /// Messages of the jobs queue that were received.
    pub(crate) fn received(&self) -> u64 {
        self.state().received
    }

    /// Receives with a long poll. The queue for hints is always empty.
    fn receive(&self, body: &Value) -> Value {
        let jobs = body["QueueUrl"].as_str().is_some_and(|url| url.ends_with("/jobs"));
        let most = body["MaxNumberOfMessages"].as_u64().unwrap_or(1);
        let until = Instant::now() + Duration::from_secs(body["WaitTimeSeconds"].as_u64().unwrap_or(0));
        let mut state = self.state();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if jobs && !state.visible.is_empty() || left.is_zero() {
                break;
            }
            let waited = self.sent.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let most = if jobs { usize::try_from(most).unwrap_or(1).min(state.visible.len()) } else { 0 };
        let messages: Vec<Value> = state.visible.drain(..most).map(message).collect();
        state.received += messages.len() as u64;
        json!({ "Messages": messages })
    }

    fn queues(&self, operation: &str, body: &Value) -> Value {
        let ids = || body["Entries"].as_array().into_iter().flatten().map(|entry| json!({"Id": entry["Id"]}));
        match operation {
            "ReceiveMessage" => self.receive(body),
            "GetQueueAttributes" => json!({"Attributes": {
                "ApproximateNumberOfMessages": self.state().visible.len().to_string(),
                "ApproximateNumberOfMessagesNotVisible": "0", "ApproximateNumberOfMessagesDelayed": "0"}}),
            "SendMessage" => json!({"MessageId": "m", "MD5OfMessageBody": ""}),
            _ => json!({"Successful": ids().collect::<Vec<_>>(), "Failed": []}),
        }
    }
}

impl State {
    /// A task of a claim that was launched at this time, with its heartbeat and its beacon.
    pub(crate) fn launch(&mut self, claim: &Arc<Claim>, since_ms: u64) -> Value {
        let task = self.cluster.launch(Arc::clone(claim), since_ms);
        let key = Layout::of(&claim.job).heartbeat(claim.attempt);
        let answer = described(&task);
        self.store.put(&format!("{STATE}/{key}"), Object::Beat(Arc::clone(&task)));
        let key = beacon_key(ENVIRONMENT, &claim.job, claim.attempt);
        self.store.put(&format!("{STATE}/{key}"), Object::Light(task));
        answer
    }

    fn run_task(&mut self, body: &Value) -> Value {
        let claim = identity(body).and_then(|(job, attempt)| {
            let key = Layout::of(&job).claim(attempt);
            decode::<Claim>(&self.store.bytes(&format!("{STATE}/{key}"))?).ok()
        });
        let Some(claim) = claim else {
            return json!({"tasks": [], "failures": [{"reason": "a launch without a claim"}]});
        };
        let source = self.sources.get(claim.job.as_str());
        let sent = source.and_then(|key| self.sent_at.remove(key));
        self.latencies.extend(sent.map(|at| at.elapsed()));
        let task = self.launch(&Arc::new(claim), epoch_ms());
        json!({"tasks": [task], "failures": []})
    }

    /// Remembers whose job a specification is.
    fn note_source(&mut self, request: &Request) {
        let job = request.target.split('/').nth(3).unwrap_or_default();
        if request.method == "PUT" && request.target.contains("/spec.json") {
            let spec: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let key = spec["source"]["key"].as_str().unwrap_or_default();
            self.sources.insert(job.to_owned(), key.to_owned());
        }
    }
}

fn message((number, body): (u64, String)) -> Value {
    json!({"MessageId": format!("{number:036}"), "ReceiptHandle": format!("{number:0180}"), "Body": body,
        "MD5OfBody": "", "Attributes": {"SentTimestamp": epoch_ms().to_string(), "ApproximateReceiveCount": "1"}})
}

impl Service for Aws {
    fn answer(&self, request: &Request) -> Response {
        let (service, operation) = request.operation.split_once('.').unwrap_or_default();
        let body = || serde_json::from_slice(&request.body).unwrap_or_default();
        let began = Instant::now();
        let (name, operation, response) = match service {
            // A long poll keeps nobody busy.
            "AmazonSQS" => ("SQS", operation.to_owned(), Response::json(&self.queues(operation, &body()))),
            _ if service.starts_with("AmazonEC2ContainerService") => {
                let answer = match operation {
                    "RunTask" => self.state().run_task(&body()),
                    _ => self.state().cluster.answer(operation, &body()),
                };
                ("ECS", operation.to_owned(), Response::json(&answer))
            }
            _ if service.starts_with("GraniteService") || request.target.contains("GraniteService") => {
                ("CloudWatch", "PutMetricData".to_owned(), Response::new(200, "application/cbor", vec![0xa0]))
            }
            _ if request.target == "/" && request.method == "POST" => {
                let text = "<PutMetricDataResponse><ResponseMetadata/></PutMetricDataResponse>";
                ("CloudWatch", "PutMetricData".to_owned(), Response::xml(200, text.into()))
            }
            _ => {
                let mut state = self.state();
                state.note_source(request);
                let (operation, response) = state.store.answer(request);
                ("S3", operation.to_owned(), response)
            }
        };
        let mut state = self.state();
        *state.calls.entry((name, operation)).or_default() += 1;
        if name != "SQS" {
            state.busy += began.elapsed();
        }
        drop(state);
        response
    }
}
