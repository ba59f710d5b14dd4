//! A small HTTP/1.1 server on loopback: one thread for each connection, which the client keeps open.

use std::{
    io::{self, BufRead, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

/// Largest body that is read.
const MAX_BODY: usize = 32 << 20;

/// A request, as far as the services look at it.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query, still encoded.
    pub(crate) target: String,
    /// `x-amz-target`: service and operation of the JSON protocols.
    pub(crate) operation: String,
    pub(crate) if_match: String,
    pub(crate) if_none_match: String,
    pub(crate) body: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    /// Entity tag, where the answer has one.
    pub(crate) etag: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// 200 with a JSON body.
    pub(crate) fn json(value: &serde_json::Value) -> Self {
        Self::new(200, "application/x-amz-json-1.1", value.to_string().into_bytes())
    }

    /// An answer with an XML body.
    pub(crate) fn xml(status: u16, body: String) -> Self {
        Self::new(status, "application/xml", body.into_bytes())
    }

    /// An answer with these bytes.
    pub(crate) fn new(status: u16, content_type: &'static str, body: Vec<u8>) -> Self {
        Self { status, content_type, etag: None, body }
    }

    /// The same with an entity tag.
    pub(crate) fn tagged(self, tag: u64) -> Self {
        Self { etag: Some(format!("\"{tag:032x}\"")), ..self }
    }
}

/// Answers requests.
pub(crate) trait Service: Send + Sync + 'static {
    /// Answers one request.
    fn answer(&self, request: &Request) -> Response;
}

/// Serves on a free port of loopback until the process ends. Each answer is held back by `delay`. Returns the port.
pub(crate) fn serve(service: Arc<impl Service>, delay: Duration) -> io::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let service = Arc::clone(&service);
            // A connection that breaks is the client's to open again.
            thread::spawn(move || connection(&stream, &*service, delay).ok());
        }
    });
    Ok(port)
}

fn connection(stream: &TcpStream, service: &impl Service, delay: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(1 << 16, stream);
    while let Some(request) = read(&mut reader)? {
        let response = service.answer(&request);
        if !delay.is_zero() {
            thread::sleep(delay);
        }
        write(stream, &response, request.method == "HEAD")?;
    }
    Ok(())
}

/// `None` once the client has closed the connection.
fn read(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split(' ').map(str::to_owned);
    let mut request = Request {
        method: words.next().unwrap_or_default(),
        target: words.next().unwrap_or_default(),
        ..Request::default()
    };
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap_or(0),
            "x-amz-target" => value.clone_into(&mut request.operation),
            "if-match" => value.clone_into(&mut request.if_match),
            "if-none-match" => value.clone_into(&mut request.if_none_match),
            _ => {}
        }
    }
    if length > MAX_BODY {
        return Err(io::Error::other("a body beyond the limit"));
    }
    request.body = vec![0; length];
    reader.read_exact(&mut request.body)?;
    Ok(Some(request))
}

fn write(mut stream: &TcpStream, response: &Response, head: bool) -> io::Result<()> {
    let Response { status, content_type, etag, body } = response;
    let length = body.len();
    let mut bytes =
        format!("HTTP/1.1 {status} -\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n");
    if let Some(tag) = etag {
        bytes.push_str("ETag: ");
        bytes.push_str(tag);
        bytes.push_str("\r\n");
    }
    bytes.push_str("\r\n");
    let mut bytes = bytes.into_bytes();
    if !head {
        bytes.extend_from_slice(body);
    }
    stream.write_all(&bytes)
}

/// Decodes `%XX` and `+`.
pub(crate) fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [first, more @ ..] = rest {
        rest = more;
        let hex = more.get(..2).and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        match (first, hex) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = more.get(2..).unwrap_or_default();
            }
            (b'+', _) => bytes.push(b' '),
            (other, _) => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
