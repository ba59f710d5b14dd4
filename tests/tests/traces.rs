//! Traces of jobs: controller and task write one trace, as a reader of OTLP that is not ours sees it; and a collector that
//! hangs costs nothing but the spans.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::State, http::StatusCode, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, status::StatusCode as SpanStatus},
};
use tokio::net::{TcpListener, TcpStream};
use transcode_config::contract::Outcome;
use transcode_tests::{Stack, StackOptions, paths};

const LIMIT: Duration = Duration::from_mins(4);

/// A span and the service that sent it.
type Received = Arc<Mutex<Vec<(String, Span)>>>;

/// A collector on loopback: decodes what comes, and refuses what it cannot.
async fn collector() -> (String, Received) {
    async fn take(State(received): State<Received>, body: String) -> StatusCode {
        let Ok(request) = serde_json::from_str::<ExportTraceServiceRequest>(&body) else {
            return StatusCode::BAD_REQUEST;
        };
        for resource in request.resource_spans {
            let service = text(&resource.resource.unwrap().attributes, "service.name").unwrap();
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            received.lock().unwrap().extend(spans.map(|span| (service.clone(), span)));
        }
        StatusCode::OK
    }
    let received = Received::default();
    let router = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&received));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (endpoint, received)
}

fn text(attributes: &[KeyValue], name: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == name)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        _ => None,
    }
}

/// A trace id as people write it.
fn hex(id: &[u8]) -> String {
    format!("{:032x}", u128::from_be_bytes(id.try_into().unwrap()))
}

async fn traced(endpoint: &str, of_tasks: &str) -> Stack {
    let options = StackOptions {
        task_env: vec![("TRANSCODE_OTLP_ENDPOINT".to_owned(), of_tasks.to_owned())],
        ..StackOptions::default()
    };
    let options = options
        .setting("tracing.otlp.endpoint", &serde_json::Value::from(endpoint).to_string())
        .setting("calls.receive_wait_seconds", "1")
        .setting("observe.describe_seconds", "1")
        .setting("observe.resync_seconds", "1")
        .setting("jobs.retry_base_seconds", "1")
        .setting("jobs.retry_cap_seconds", "1");
    Stack::with(options).await.unwrap()
}

#[tokio::test]
async fn controller_and_task_write_one_trace_of_a_job() {
    let (endpoint, received) = collector().await;
    let stack = traced(&endpoint, &endpoint).await;
    stack.put_source("good.mp4", &paths::test_picture(stack.folder()).unwrap()).await.unwrap();
    stack.put_source_body("bad.mp4", b"no video".to_vec()).await.unwrap();
    let mut jobs = Vec::new();
    for key in ["good.mp4", "bad.mp4"] {
        jobs.push(stack.wait_for_terminal_record(key, LIMIT).await.unwrap());
    }
    // The last span of each job comes when it is settled, and that of its task when ECS says that it has ended.
    let complete = async || {
        let spans = received.lock().unwrap();
        let of = |name: &str| spans.iter().filter(|(_, span)| span.name == name).count();
        Ok((of("job") == 2 && of("attempt 1") == 2).then_some(()))
    };
    stack.wait_for("both traces are complete", LIMIT, complete).await.unwrap();

    for (record, key) in jobs.iter().zip(["good.mp4", "bad.mp4"]) {
        let good = matches!(record.outcome, Outcome::Succeeded(_));
        assert_eq!(good, key == "good.mp4");
        let all = received.lock().unwrap().clone();
        // The trace id is the job key: one search finds a job's trace.
        let ours = |(_, span): &&(String, Span)| hex(&span.trace_id) == record.job.as_str();
        let spans: Vec<_> = all.iter().filter(ours).collect();
        let ids: BTreeMap<&[u8], &Span> = spans.iter().map(|(_, span)| (&*span.span_id, span)).collect();
        assert_eq!(ids.len(), spans.len(), "each span has an id of its own: {spans:#?}");
        let parent_of = |span: &Span| ids.get(&*span.parent_span_id).map(|parent| parent.name.as_str());
        let found: BTreeSet<(&str, &str, Option<&str>)> = spans
            .iter()
            .map(|(service, span)| (service.as_str(), span.name.as_str(), parent_of(span)))
            .collect();
        let (controller, task) = ("transcode-controller", "transcode-task");
        let mut wanted = vec![(controller, "job", None)];
        wanted.extend(["received", "attempt 1", "settle"].map(|name| (controller, name, Some("job"))));
        wanted.push((controller, "launch", Some("attempt 1")));
        wanted.extend(["download", "probe"].map(|name| (task, name, Some("attempt 1"))));
        if good {
            wanted.extend(["encode", "verify", "publish"].map(|name| (task, name, Some("attempt 1"))));
        }
        for span in &wanted {
            assert!(found.contains(span), "{span:?} is not in {found:#?}");
        }
        for (_, span) in &spans {
            assert!(
                span.start_time_unix_nano > 0 && span.start_time_unix_nano <= span.end_time_unix_nano,
                "{span:?}"
            );
            assert_eq!(text(&span.attributes, "transcode.job").as_deref(), Some(record.job.as_str()));
        }
        let whole = &spans.iter().find(|(_, span)| span.name == "job").unwrap().1;
        assert_eq!(text(&whole.attributes, "transcode.key").as_deref(), Some(key));
        let failed = whole.status.as_ref().is_some_and(|status| status.code == SpanStatus::Error as i32);
        assert_eq!(failed, !good, "{whole:?}");
    }
}

/// A collector that takes connections and never answers, and how many it has taken.
async fn silent_collector() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (taken, count) = (Arc::default(), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&count);
    tokio::spawn(async move {
        let streams: Arc<Mutex<Vec<TcpStream>>> = taken;
        while let Ok((stream, _)) = listener.accept().await {
            streams.lock().unwrap().push(stream);
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    (endpoint, count)
}

#[tokio::test]
async fn a_collector_that_hangs_costs_nothing_but_the_spans_and_is_told_once() {
    let (endpoint, requests) = silent_collector().await;
    let (of_tasks, _) = silent_collector().await;
    let stack = traced(&endpoint, &of_tasks).await;
    let said = |what: &str| {
        let log = std::fs::read_to_string(stack.folder().join("logs/controller.out")).unwrap_or_default();
        log.lines().filter(|line| line.contains(what)).count()
    };
    // Each job gives the sender something to send. It begins a request when the one before has failed and was told.
    for (key, so_far) in [("one.mp4", 1), ("two.mp4", 2), ("three.mp4", 3)] {
        stack.put_source(key, &paths::test_picture(stack.folder()).unwrap()).await.unwrap();
        let record = stack.wait_for_terminal_record(key, LIMIT).await.unwrap();
        assert!(matches!(record.outcome, Outcome::Succeeded(_)));
        stack.wait_for_empty_queue(LIMIT).await.unwrap();
        let sent = async || Ok((requests.load(Ordering::SeqCst) >= so_far).then_some(()));
        stack.wait_for("one more request", LIMIT, sent).await.unwrap();
    }
    assert_eq!(said("traces are not taken"), 1);
    assert_eq!(said("\"ERROR\""), 0, "nothing else is wrong");
}
