//! A proxy between a process of the pipeline and a service; the test decides the treatment of each call.

use std::{
    fmt::Debug,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

/// Largest request that is forwarded; ours are far smaller, apart from the task's uploads.
const MAX_REQUEST: usize = 64 << 20;

/// Time between two bytes of a trickling answer.
const TRICKLE: Duration = Duration::from_millis(20);

/// One call to a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Unique among the calls of this process.
    pub id: u64,
    /// `s3`, `sqs`, `ecs` or `events`.
    pub service: &'static str,
    /// Operation, such as `SendMessage`, `RunTask`, `PutObject`.
    pub operation: String,
    /// Name of the queue, or the last part of the key; empty for ECS and EventBridge.
    pub subject: String,
}

impl Call {
    /// A name such as `sqs:SendMessage dead-letters`: the same for the same step of any two jobs.
    pub fn name(&self) -> String {
        format!("{}:{} {}", self.service, self.operation, self.subject).trim_end().to_owned()
    }

    /// Whether the call changes state. A receive does: it makes messages invisible for a while.
    pub fn changes(&self) -> bool {
        !["Get", "List", "Describe", "Head"].iter().any(|reads| self.operation.starts_with(reads))
    }

    /// Parses a request's head and body.
    fn of(id: u64, head: &str, body: &[u8]) -> Self {
        let line = head.lines().next().unwrap_or_default();
        let mut words = line.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if let Some((name, operation)) =
            header(head, "x-amz-target").and_then(|target| target.rsplit_once('.'))
        {
            let service = match name {
                "AWSEvents" => "events",
                name if name.starts_with("AmazonSQS") => "sqs",
                _ => "ecs",
            };
            let json: Value = serde_json::from_slice(body).unwrap_or_default();
            let queue = json.get("QueueUrl").and_then(Value::as_str).and_then(|url| url.rsplit('/').next());
            let subject = queue.unwrap_or_default().to_owned();
            return Self { id, service, operation: operation.to_owned(), subject };
        }
        let path = target.split('?').next().unwrap_or_default();
        let operation = match method {
            "GET" if target.contains("list-type=2") => "ListObjectsV2",
            "GET" => "GetObject",
            "HEAD" => "HeadObject",
            "PUT" if header(head, "x-amz-copy-source").is_some() => "CopyObject",
            "PUT" => "PutObject",
            "DELETE" => "DeleteObject",
            _ => "Post",
        };
        let subject = match path.rsplit('/').next() {
            Some(_) if operation == "ListObjectsV2" && target.contains("prefix=live") => "beacons",
            Some(_) if operation == "ListObjectsV2" => "",
            // The key's last part is a hash of the prefix.
            Some(_) if path.contains("/published/") => "pointer",
            // These keys hold times and object keys.
            Some(_) if path.contains("/index/source/") => "index-source",
            Some(_) if path.contains("/index/recent/") && path.contains("/accepted/") => "index-accepted",
            Some(_) if path.contains("/index/recent/") => "index-ended",
            name => name.unwrap_or_default(),
        };
        Self { id, service: "s3", operation: operation.to_owned(), subject: subject.to_owned() }
    }
}

/// The treatment of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// The request is forwarded, and its answer comes back.
    Forward,
    /// The request is not forwarded; the connection is closed.
    Drop,
    /// The request is not forwarded; the client gets this status.
    Refuse(u16),
    /// The request is not forwarded; the client is told, as AWS would, that no policy allows the call.
    Deny,
    /// The request is not forwarded, and never answered.
    BlackHole,
    /// The request is forwarded; the answer comes byte by byte.
    Trickle,
    /// The request is forwarded; then the connection is reset.
    Reset,
}

/// Decides the treatment of each call.
pub trait Interceptor: Debug + Send + Sync + 'static {
    /// A request has arrived and was not forwarded yet.
    fn request(&self, call: &Call) -> Treatment;

    /// The service has answered, and the answer was not forwarded yet. `false`: the answer is dropped and the
    /// connection closed.
    fn answer(&self, call: &Call, answer: &[u8]) -> bool {
        let _ = (call, answer);
        true
    }
}

/// The receipt handles in the answer to a receive.
pub fn receipts(answer: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(answer);
    let after = text.split("\"ReceiptHandle\"").skip(1);
    after.filter_map(|rest| rest.split('"').nth(1).map(str::to_owned)).collect()
}

/// A proxy on loopback. Dropping it stops new connections.
#[derive(Debug)]
pub struct Proxy {
    /// Its URL, for `AWS_ENDPOINT_URL_…`.
    pub endpoint: String,
    accepting: AbortHandle,
}

impl Proxy {
    /// A proxy in front of `upstream`, a loopback address.
    pub async fn start(upstream: &str, interceptor: Arc<dyn Interceptor>) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("no free port on loopback")?;
        let endpoint =
            format!("http://{}", listener.local_addr().context("the address of a listening socket")?);
        let plain = upstream.strip_prefix("http://").with_context(|| upstream.to_owned())?;
        let upstream: SocketAddr = plain.trim_end_matches('/').parse().context("an upstream's address")?;
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, upstream, Arc::clone(&interceptor)));
            }
        });
        Ok(Self { endpoint, accepting: accepting.abort_handle() })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One request per connection: the treatment of one must not affect another. `None`: the client has gone away, or the
/// proxy closes the connection.
async fn serve(mut client: TcpStream, upstream: SocketAddr, interceptor: Arc<dyn Interceptor>) -> Option<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let (head, body) = read_request(&mut client).await?;
    let call = Call::of(NEXT.fetch_add(1, Ordering::Relaxed), &head, &body);
    let treatment = interceptor.request(&call);
    match treatment {
        Treatment::Drop => return None,
        Treatment::Refuse(status) => {
            let answer = error(&call, status, ["InternalError", "InternalFailure"], "made by a test");
            return client.write_all(answer.as_bytes()).await.ok();
        }
        Treatment::Deny => {
            let answer = error(&call, 403, ["AccessDenied", "AccessDeniedException"], &denial(&call));
            return client.write_all(answer.as_bytes()).await.ok();
        }
        Treatment::BlackHole => {
            // Until the client gives up; the bytes that it sends are ignored.
            while client.read(&mut [0; 64]).await.ok()? > 0 {}
            return None;
        }
        Treatment::Forward | Treatment::Trickle | Treatment::Reset => {}
    }
    let mut server = TcpStream::connect(upstream).await.ok()?;
    server.write_all(&forwarded(&head, &body)).await.ok()?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await.ok()?;
    if !interceptor.answer(&call, &answer) {
        return None;
    }
    match treatment {
        Treatment::Reset => client.set_zero_linger().ok(),
        Treatment::Trickle => trickle(&mut client, &answer).await,
        _ => {
            client.write_all(&answer).await.ok()?;
            client.shutdown().await.ok()
        }
    }
}

/// Sends the head at once and the body byte by byte; without a body, the head byte by byte.
async fn trickle(client: &mut TcpStream, answer: &[u8]) -> Option<()> {
    let body = answer.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |at| at + 4);
    let (head, slow) = if body < answer.len() { answer.split_at(body) } else { ([].as_slice(), answer) };
    client.write_all(head).await.ok()?;
    for byte in slow {
        client.write_all(&[*byte]).await.ok()?;
        tokio::time::sleep(TRICKLE).await;
    }
    client.shutdown().await.ok()
}

/// AWS' words for a call that no policy allows.
pub fn denial(call: &Call) -> String {
    let Call { service, operation, .. } = call;
    let action = if operation == "CopyObject" { "PutObject" } else { operation };
    format!("not authorized to perform: {service}:{action} because no identity-based policy allows it")
}

/// An error in the service's own format; the code's names are S3's and the others'.
fn error(call: &Call, status: u16, [s3, other]: [&str; 2], words: &str) -> String {
    let (kind, body) = match call.service {
        "s3" => ("application/xml", format!("<Error><Code>{s3}</Code><Message>{words}</Message></Error>")),
        _ => ("application/x-amz-json-1.1", format!(r#"{{"__type":"{other}","message":"{words}"}}"#)),
    };
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Fault\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The head as text, and the body.
async fn read_request(client: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if client.read_buf(&mut bytes).await.ok()? == 0 || bytes.len() > MAX_REQUEST {
            return None;
        }
    };
    let mut body = bytes.split_off(end + 4);
    bytes.truncate(end);
    let head = String::from_utf8(bytes).ok()?;
    if header(&head, "expect").is_some() {
        client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.ok()?;
    }
    let length: usize = header(&head, "content-length").map_or(Some(0), |length| length.parse().ok())?;
    while body.len() < length.min(MAX_REQUEST) {
        if client.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some((head, body))
}

/// The request to forward, with `Connection: close`.
fn forwarded(head: &str, body: &[u8]) -> Vec<u8> {
    let kept = head.lines().filter(|line| {
        let name = line.split(':').next().unwrap_or_default();
        !name.eq_ignore_ascii_case("connection") && !name.eq_ignore_ascii_case("expect")
    });
    let mut request = kept.collect::<Vec<_>>().join("\r\n").into_bytes();
    request.extend_from_slice(b"\r\nconnection: close\r\n\r\n");
    request.extend_from_slice(body);
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_known_by_what_it_does_and_not_by_whose_job_it_is() {
        let name = |head: &str, body: &str| Call::of(0, head, body.as_bytes()).name();
        let sqs = "POST / HTTP/1.1\r\nX-Amz-Target: AmazonSQS.SendMessage";
        assert_eq!(name(sqs, r#"{"QueueUrl":"http://127.0.0.1:1/1/dead"}"#), "sqs:SendMessage dead");
        let ecs = "POST / HTTP/1.1\r\nx-amz-target: AmazonEC2ContainerServiceV20141113.RunTask";
        assert_eq!(name(ecs, "{}"), "ecs:RunTask");
        let events = "POST / HTTP/1.1\r\nx-amz-target: AWSEvents.PutEvents";
        assert_eq!(name(events, "{}"), "events:PutEvents");
        assert_eq!(
            name("PUT /state/jobs/0a/terminal.json?x-id=PutObject HTTP/1.1", ""),
            "s3:PutObject terminal.json"
        );
        let copy = "PUT /out/a/master.m3u8 HTTP/1.1\r\nx-amz-copy-source: out/b";
        assert_eq!(name(copy, ""), "s3:CopyObject master.m3u8");
        let list = Call::of(0, "GET /state/?list-type=2&prefix=jobs HTTP/1.1", b"");
        assert_eq!((list.name().as_str(), list.changes()), ("s3:ListObjectsV2", false));
        let list = "GET /state/?list-type=2&prefix=live%2Fprod%2F HTTP/1.1";
        assert_eq!(name(list, ""), "s3:ListObjectsV2 beacons");
    }
}
