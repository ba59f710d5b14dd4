//! The line between a browser and S3: counts what the browser sends, is cut where the test says, and gives the answers the
//! headers of the buckets' CORS rules.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
};

use super::cors::{Cors, Head};

/// Bytes of a body that have passed when its connection is cut: what a cut costs, to the next piece.
const INTO_A_BODY: u64 = 1 << 20;

/// Most bytes that are passed on at once.
const PIECE: usize = 64 << 10;

/// Largest head of a request.
const MAX_HEAD: usize = 64 << 10;

#[derive(Debug, Default)]
struct State {
    sent: AtomicU64,
    /// Where to cut, in bytes sent, the last one first.
    cuts: Mutex<Vec<u64>>,
    down: AtomicBool,
    cors: Option<Cors>,
}

/// What the browser gets next on a connection.
enum Next {
    /// An answer made here.
    Ours(String),
    /// S3's answer, with these lines in place of its own of that kind. `bare`: its head has no body after it.
    Theirs { lines: String, bare: bool },
}

impl State {
    /// Whether the connection is cut here: once for each place. After the last one the line is down.
    fn cut(&self, into: u64) -> bool {
        let mut cuts = self.cuts.lock().unwrap();
        let due = cuts.last().is_some_and(|at| self.sent.load(Ordering::SeqCst) >= *at);
        if !due || !(INTO_A_BODY..INTO_A_BODY + PIECE as u64).contains(&into) {
            return false;
        }
        cuts.pop();
        if cuts.is_empty() {
            self.down.store(true, Ordering::SeqCst);
        }
        true
    }
}

/// A line on loopback.
#[derive(Debug)]
pub(crate) struct Line {
    /// Its near end.
    pub(crate) endpoint: String,
    state: Arc<State>,
}

impl Line {
    /// A line to `upstream` that is cut after each of so many bytes, in the middle of a body; with the last cut it goes
    /// down.
    pub(crate) async fn to(upstream: &str, mut cuts: Vec<u64>, cors: Cors) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let upstream: SocketAddr = upstream.strip_prefix("http://").unwrap().parse().unwrap();
        cuts.reverse();
        let state = Arc::new(State { cuts: Mutex::new(cuts), cors: Some(cors), ..State::default() });
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                if state.down.load(Ordering::SeqCst) {
                    near.set_zero_linger().ok();
                    continue;
                }
                let Ok(far) = TcpStream::connect(upstream).await else { continue };
                tokio::spawn(carry(near, far, state));
            }
        });
        Self { endpoint, state }
    }

    /// Bytes that were sent towards S3.
    pub(crate) fn sent(&self) -> u64 {
        self.state.sent.load(Ordering::SeqCst)
    }

    /// Cuts that are still to come.
    pub(crate) fn cuts_left(&self) -> usize {
        self.state.cuts.lock().unwrap().len()
    }

    /// Ends the last cut.
    pub(crate) fn repair(&self) {
        self.state.down.store(false, Ordering::SeqCst);
    }
}

/// Carries one connection. What ends one direction ends the other, by a reset.
async fn carry(near: TcpStream, far: TcpStream, state: Arc<State>) {
    near.set_zero_linger().ok();
    let ((from, to), (back, onwards)) = (near.into_split(), far.into_split());
    let (send, next) = mpsc::unbounded_channel();
    tokio::select! {
        _ = requests(BufReader::with_capacity(MAX_HEAD, from), (onwards, send), &state) => {}
        _ = answers(BufReader::with_capacity(MAX_HEAD, back), to, next) => {}
    }
}

/// Reads a head, with the empty line at its end.
async fn head(from: &mut BufReader<OwnedReadHalf>) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(from.read_u8().await.ok()?);
        if head.len() > MAX_HEAD {
            return None;
        }
    }
    String::from_utf8(head).ok()
}

/// Hands answers to the browser, in the order of its requests. `None`: one side has closed.
async fn answers(
    mut from: BufReader<OwnedReadHalf>,
    mut to: OwnedWriteHalf,
    mut next: mpsc::UnboundedReceiver<Next>,
) -> Option<()> {
    loop {
        let (lines, bare) = match next.recv().await? {
            Next::Ours(answer) => {
                to.write_all(answer.as_bytes()).await.ok()?;
                continue;
            }
            Next::Theirs { lines, bare } => (lines, bare),
        };
        let text = loop {
            let text = head(&mut from).await?;
            // The real answer follows one of these.
            if !text.starts_with("HTTP/1.1 1") {
                break text;
            }
            to.write_all(text.as_bytes()).await.ok()?;
        };
        let kept = text.trim_end().lines().filter(|line| !line.to_lowercase().starts_with("access-control-"));
        let kept: Vec<_> = kept.collect();
        let whole = format!("{}\r\n{lines}\r\n", kept.join("\r\n"));
        to.write_all(whole.as_bytes()).await.ok()?;
        let empty = bare || ["204", "304"].iter().any(|code| text.split(' ').nth(1) == Some(*code));
        let parsed = Head::of(&text);
        let left = match parsed.header("content-length").filter(|_| !empty) {
            Some(length) => length.parse().ok()?,
            None if empty => 0,
            None if parsed.header("transfer-encoding").is_some() => {
                chunks(&mut from, &mut to).await?;
                0
            }
            // To the end of the connection.
            None => u64::MAX,
        };
        tokio::io::copy(&mut (&mut from).take(left), &mut to).await.ok()?;
    }
}

/// Passes a chunked body on as it is.
async fn chunks(from: &mut BufReader<OwnedReadHalf>, to: &mut OwnedWriteHalf) -> Option<()> {
    loop {
        let mut line = String::new();
        from.read_line(&mut line).await.ok()?;
        to.write_all(line.as_bytes()).await.ok()?;
        let size = u64::from_str_radix(line.trim().split(';').next()?, 16).ok()?;
        // With the line's end behind it.
        tokio::io::copy(&mut (&mut *from).take(size + 2), to).await.ok()?;
        if size == 0 {
            return Some(());
        }
    }
}

/// Forwards requests, one after the other. `None`: the browser has closed, or the line is cut.
async fn requests(
    mut from: BufReader<OwnedReadHalf>,
    (mut to, answers): (OwnedWriteHalf, mpsc::UnboundedSender<Next>),
    state: &State,
) -> Option<()> {
    let cors = state.cors.as_ref()?;
    loop {
        let text = head(&mut from).await?;
        // Requests that have begun come to their end; no further ones.
        if state.down.load(Ordering::SeqCst) {
            return None;
        }
        state.sent.fetch_add(text.len() as u64, Ordering::SeqCst);
        let parsed = Head::of(&text);
        if parsed.method() == "OPTIONS" {
            answers.send(Next::Ours(cors.preflight(&parsed))).ok()?;
            continue;
        }
        answers.send(Next::Theirs { lines: cors.lines(&parsed), bare: parsed.method() == "HEAD" }).ok()?;
        to.write_all(text.as_bytes()).await.ok()?;
        let length: u64 = parsed.header("content-length").map_or(0, |length| length.parse().unwrap());
        let (mut into, mut buffer) = (0, vec![0; PIECE]);
        while into < length {
            let most = buffer.len().min(usize::try_from(length - into).unwrap());
            let read = from.read(&mut buffer[..most]).await.ok().filter(|read| *read > 0)?;
            into += read as u64;
            state.sent.fetch_add(read as u64, Ordering::SeqCst);
            if state.cut(into) {
                return None;
            }
            to.write_all(&buffer[..read]).await.ok()?;
        }
    }
}
