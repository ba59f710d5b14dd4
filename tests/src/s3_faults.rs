//! An HTTP proxy in front of S3 with faults by rule: bad answers of S3, and faults of the network.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

/// A fault of a request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The request never reaches S3; the client gets this answer.
    Answer(u16, &'static str),
    /// The request never reaches S3; the client gets these bytes.
    Raw(&'static str),
    /// S3 carries it out; the answer is lost.
    LoseAnswer,
    /// S3 carries it out; the answer comes when the test notifies.
    HoldAnswer(Arc<Notify>),
    /// S3 carries it out; the body of the answer breaks off after this many bytes.
    Truncate(usize),
    /// The request is dropped and never answered.
    BlackHole,
    /// The request reaches S3 when the test notifies.
    Hold(Arc<Notify>),
}

/// Selects the requests of a fault.
#[derive(Debug)]
struct Rule {
    method: &'static str,
    contains: String,
    times: usize,
    fault: Fault,
    hits: usize,
}

/// The proxy. It ends with the test's runtime.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Its URL, to be used as S3's endpoint.
    pub endpoint: String,
    upstream: String,
    rules: Arc<Mutex<Vec<Rule>>>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// A proxy without faults.
    pub async fn start(upstream: &str) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("no free port on loopback")?;
        let endpoint =
            format!("http://{}", listener.local_addr().context("the address of a listening socket")?);
        let plain = upstream.strip_prefix("http://").with_context(|| upstream.to_owned())?;
        let address: SocketAddr = plain.trim_end_matches('/').parse().context("an upstream's address")?;
        let proxy =
            Self { endpoint, upstream: upstream.to_owned(), rules: Arc::default(), log: Arc::default() };
        let serving = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let proxy = serving.clone();
                tokio::spawn(async move { proxy.serve(client, address).await });
            }
        });
        Ok(proxy)
    }

    fn rules(&self) -> MutexGuard<'_, Vec<Rule>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self) -> MutexGuard<'_, Vec<String>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The address of the service behind it.
    pub fn upstream(&self) -> String {
        self.upstream.clone()
    }

    /// The next `times` requests of `method` whose target contains `contains` get `fault`.
    pub fn fault(&self, method: &'static str, contains: &str, times: usize, fault: Fault) {
        let rule = Rule { method, contains: contains.to_owned(), times, fault, hits: 0 };
        self.rules().push(rule);
    }

    /// How many requests had a fault of the rule for `contains`.
    pub fn hits(&self, contains: &str) -> usize {
        self.rules().iter().filter(|rule| rule.contains == contains).map(|rule| rule.hits).sum()
    }

    /// Every request so far: method and target, and the range if it has one.
    pub fn requests(&self) -> Vec<String> {
        self.log().clone()
    }

    fn fault_of(&self, line: &str) -> Option<Fault> {
        self.log().push(line.to_owned());
        let (method, target) = line.split_once(' ')?;
        let mut rules = self.rules();
        let rule = rules.iter_mut().find(|rule| {
            rule.method == method && target.contains(&rule.contains) && rule.hits < rule.times
        })?;
        rule.hits += 1;
        Some(rule.fault.clone())
    }

    /// One request per connection: a fault of a connection must not affect another request.
    async fn serve(self, mut client: TcpStream, upstream: SocketAddr) -> Option<()> {
        let (head, request) = read_request(&mut client).await?;
        let range = head.lines().find_map(|line| line.strip_prefix("range: ")).unwrap_or_default();
        let line = format!("{} {range}", head.split(" HTTP/").next()?);
        let fault = self.fault_of(line.trim_end());
        match &fault {
            Some(Fault::Answer(status, code)) => {
                let body = format!("<Error><Code>{code}</Code><Message>made by the test</Message></Error>");
                let answer = format!(
                    "HTTP/1.1 {status} Fault\r\ncontent-type: application/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                return client.write_all(answer.as_bytes()).await.ok();
            }
            Some(Fault::Raw(answer)) => return client.write_all(answer.as_bytes()).await.ok(),
            Some(Fault::BlackHole) => std::future::pending().await,
            Some(Fault::Hold(release)) => release.notified().await,
            _ => {}
        }
        let mut server = TcpStream::connect(upstream).await.ok()?;
        server.write_all(&request).await.ok()?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer).await.ok()?;
        match fault {
            Some(Fault::LoseAnswer) => return None,
            Some(Fault::HoldAnswer(release)) => release.notified().await,
            Some(Fault::Truncate(bytes)) => {
                let body = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
                answer.truncate(body + bytes);
            }
            _ => {}
        }
        client.write_all(&answer).await.ok()?;
        client.shutdown().await.ok()
    }
}

/// The head as text, and the whole request to forward, with `Connection: close`.
async fn read_request(client: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if client.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes.get(..end)?.to_vec()).ok()?;
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    if header("expect").is_some() {
        client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.ok()?;
    }
    let length: usize = header("content-length").map_or(Some(0), |length| length.parse().ok())?;
    while bytes.len() < end + 4 + length {
        if client.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let kept = head.lines().filter(|line| {
        let name = line.split(':').next().unwrap_or_default();
        !name.eq_ignore_ascii_case("connection") && !name.eq_ignore_ascii_case("expect")
    });
    let mut request = kept.collect::<Vec<_>>().join("\r\n").into_bytes();
    request.extend_from_slice(b"\r\nconnection: close\r\n\r\n");
    request.extend_from_slice(bytes.get(end + 4..)?);
    Some((head, request))
}
