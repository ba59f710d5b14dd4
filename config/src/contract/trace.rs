//! The trace of a job: spans of controller and task, in the JSON of OTLP over HTTP
//! (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>).
//!
//! ```text
//! job ─┬─ received                                     controller: in the queue
//!      ├─ attempt 1 ─┬─ launch                         controller: from the claim to RunTask's answer
//!      │             ├─ provisioning, pull, start      controller: by ECS' timestamps
//!      │             └─ download, probe, encode, verify, publish     task
//!      └─ settle                                       controller: from the terminal record to the last message deleted
//! ```
//!
//! Nothing is stored for it. The trace id is the job key, which has the generation in it; the id of a span is a hash of
//! job, attempt and name. So two processes that never talk to each other write one trace, and one that repeats a step
//! after a crash writes the same span again.

use serde_json::{Value, json};

use super::{Attempt, JobKey, Stage};

/// Where OTLP over HTTP takes traces, below a collector's base URL.
const PATH: &str = "/v1/traces";

/// Id of a span: 16 hexadecimal characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanId(String);

impl SpanId {
    /// The span of the whole job.
    pub fn job(job: &JobKey) -> Self {
        Self::of(job, &["job"])
    }

    /// The span of an attempt.
    pub fn attempt(job: &JobKey, attempt: Attempt) -> Self {
        Self::of(job, &["attempt", &attempt.to_string()])
    }

    /// A span by the names that distinguish it in its job.
    fn of(job: &JobKey, names: &[&str]) -> Self {
        let parts: Vec<&str> = [job.as_str()].iter().chain(names).copied().collect();
        let hash = JobKey::of(&parts);
        Self(hash.as_str().chars().take(16).collect())
    }
}

/// One span. Times are in ms since 1970.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    job: JobKey,
    id: SpanId,
    parent: Option<SpanId>,
    name: String,
    from_ms: u64,
    to_ms: u64,
    attributes: Vec<(&'static str, Value)>,
    /// Why it failed.
    error: Option<String>,
}

impl Span {
    /// The whole job.
    pub fn of_job(job: &JobKey, (from_ms, to_ms): (u64, u64)) -> Self {
        Self::new(job, SpanId::job(job), None, "job".into(), (from_ms, to_ms))
    }

    /// A step of the job outside its attempts.
    pub fn of_step(job: &JobKey, name: &str, times: (u64, u64)) -> Self {
        Self::new(job, SpanId::of(job, &[name]), Some(SpanId::job(job)), name.into(), times)
    }

    /// An attempt.
    pub fn of_attempt(job: &JobKey, attempt: Attempt, times: (u64, u64)) -> Self {
        let span = Self::new(
            job,
            SpanId::attempt(job, attempt),
            Some(SpanId::job(job)),
            format!("attempt {attempt}"),
            times,
        );
        span.with("transcode.attempt", attempt.number().into())
    }

    /// A step of an attempt. `again` distinguishes repetitions of the step, such as refused launches.
    pub fn of_attempts_step(
        job: &JobKey,
        attempt: Attempt,
        name: &str,
        again: &str,
        times: (u64, u64),
    ) -> Self {
        let id = SpanId::of(job, &[name, &attempt.to_string(), again]);
        let span = Self::new(job, id, Some(SpanId::attempt(job, attempt)), name.into(), times);
        span.with("transcode.attempt", attempt.number().into())
    }

    fn new(
        job: &JobKey,
        id: SpanId,
        parent: Option<SpanId>,
        name: String,
        (from_ms, to_ms): (u64, u64),
    ) -> Self {
        // Two clocks may disagree; a span does not end before it begins.
        let to_ms = to_ms.max(from_ms);
        let attributes = vec![("transcode.job", json!(job.as_str()))];
        Self { job: job.clone(), id, parent, name, from_ms, to_ms, attributes, error: None }
    }

    /// Adds an attribute: a text, a whole number, or a number.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: Value) -> Self {
        self.attributes.push((name, value));
        self
    }

    /// Adds a text attribute, if there is one.
    #[must_use]
    pub fn with_text(self, name: &'static str, value: Option<&str>) -> Self {
        match value {
            Some(text) => self.with(name, text.into()),
            None => self,
        }
    }

    /// Marks the span as failed, if there is a reason.
    #[must_use]
    pub fn failed(mut self, why: Option<String>) -> Self {
        self.error = why;
        self
    }

    fn json(&self) -> Value {
        let nanos = |ms: u64| (u128::from(ms) * 1_000_000).to_string();
        let status = self.error.as_ref().map_or_else(|| json!({}), |why| json!({"code": 2, "message": why}));
        let mut span = json!({
            "traceId": self.job.as_str(),
            "spanId": self.id.0,
            "name": self.name,
            "kind": 1,
            "startTimeUnixNano": nanos(self.from_ms),
            "endTimeUnixNano": nanos(self.to_ms),
            "attributes": self.attributes.iter().map(|(name, value)| attribute(name, value)).collect::<Vec<_>>(),
            "status": status,
        });
        if let Some(parent) = &self.parent {
            span["parentSpanId"] = json!(parent.0);
        }
        span
    }
}

/// The process that sends spans.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct TraceSource {
    /// `transcode-controller` or `transcode-task`.
    pub service: &'static str,
    pub version: &'static str,
    pub environment: String,
    /// The controller's instance, or the task.
    pub instance: String,
}

impl TraceSource {
    /// The body of a request: an `ExportTraceServiceRequest`.
    pub fn request(&self, spans: &[Span]) -> String {
        let resource = [
            ("service.name", json!(self.service)),
            ("service.version", json!(self.version)),
            ("service.instance.id", json!(self.instance)),
            ("deployment.environment.name", json!(self.environment)),
        ];
        let resource: Vec<Value> = resource.iter().map(|(name, value)| attribute(name, value)).collect();
        json!({
            "resourceSpans": [{
                "resource": {"attributes": resource},
                "scopeSpans": [{
                    "scope": {"name": self.service, "version": self.version},
                    "spans": spans.iter().map(Span::json).collect::<Vec<_>>(),
                }],
            }],
        })
        .to_string()
    }
}

/// The URL that traces are sent to, below a collector's base URL.
pub fn traces_url(endpoint: &str) -> String {
    format!("{}{PATH}", endpoint.trim_end_matches('/'))
}

/// The name of a task's stage as a span.
pub fn span_of_stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Starting => "begin",
        Stage::Downloading => "download",
        Stage::Probing => "probe",
        Stage::Transcoding => "encode",
        Stage::Verifying => "verify",
        Stage::Publishing => "publish",
    }
}

/// OTLP writes whole numbers as text: JSON's numbers are too short for 64 bits.
fn attribute(name: &str, value: &Value) -> Value {
    let value = match value {
        Value::Number(number) if number.is_i64() || number.is_u64() => {
            json!({"intValue": number.to_string()})
        }
        Value::Number(number) => json!({"doubleValue": number}),
        Value::Bool(flag) => json!({"boolValue": flag}),
        Value::String(text) => json!({"stringValue": text}),
        other => json!({"stringValue": other.to_string()}),
    };
    json!({"key": name, "value": value})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controller_and_task_find_the_same_parent_without_talking() {
        let job = JobKey::of(&["x"]);
        let attempt = Span::of_attempt(&job, Attempt::FIRST, (1, 2)).json();
        let step = Span::of_attempts_step(&job, Attempt::FIRST, "download", "", (1, 2)).json();
        assert_eq!(step["parentSpanId"], attempt["spanId"]);
        assert_eq!(step["traceId"], job.as_str());
        let root = Span::of_job(&job, (0, 3)).json();
        assert_eq!(attempt["parentSpanId"], root["spanId"]);
        assert!(root.get("parentSpanId").is_none());
        let ids = [&root, &attempt, &step].map(|span| span["spanId"].as_str().unwrap().to_owned());
        assert!(ids.iter().all(|id| id.len() == 16) && ids[0] != ids[1] && ids[1] != ids[2]);
        let second = Attempt::FIRST.next();
        assert_ne!(Span::of_attempt(&job, second, (1, 2)).json()["spanId"], attempt["spanId"]);
    }

    #[test]
    fn a_span_never_ends_before_it_begins() {
        let span = Span::of_job(&JobKey::of(&["x"]), (2_000, 1_000)).json();
        assert_eq!(span["startTimeUnixNano"], "2000000000");
        assert_eq!(span["endTimeUnixNano"], "2000000000");
    }
}
