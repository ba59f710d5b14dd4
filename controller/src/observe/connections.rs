//! Connections to the health endpoints and to `/metrics`: few at a time, and none that waits for ever.
//!
//! Anybody who reaches the port may connect. A client that sends half a request, or none, takes a place for some
//! seconds and has no other effect; while all places are taken, further clients wait in the kernel's queue.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// Limits for a client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Most connections at the same time. A health check, a load balancer and a person with `explain` are three.
    pub(crate) connections: usize,
    /// Longest time from the connection to the end of the request's headers.
    pub(crate) headers: Duration,
    /// Longest time from the connection to the end of the answer.
    pub(crate) whole: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 64, headers: Duration::from_secs(2), whole: Duration::from_secs(5) }
    }
}

/// Wait after a connection could not be accepted: there may be no free file descriptor.
const AFTER_ERROR: Duration = Duration::from_millis(100);
/// Longest head of a request, in bytes. Ours contain only a path.
const MAX_HEAD: usize = 8 << 10;

/// Serves until `stop`, then finishes the requests under way.
pub(crate) async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let accept = async {
        loop {
            // The semaphore is never closed: it lives as long as this.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let router = router.clone();
                    tokio::spawn(async move {
                        timeout(limits.whole, answer(stream, router, limits)).await.ok();
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "no connection could be accepted");
                    sleep(AFTER_ERROR).await;
                }
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = accept => {}
    }
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    places.acquire_many(all).await.ok();
}

/// One request and its answer. A connection is not kept open: the next request may come from another client.
async fn answer(stream: TcpStream, router: Router, limits: Limits) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.headers)
        .max_buf_size(MAX_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = served.await {
        tracing::debug!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const REQUEST: &[u8] = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n";

    async fn served(limits: Limits) -> (std::net::SocketAddr, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let router = Router::new()
            .route("/x", get(async || "here\n"))
            .route("/never", get(std::future::pending::<()>));
        tokio::spawn(serve(listener, router, limits, stop.clone()));
        (address, stop)
    }

    /// The answer to a client that sends this and then waits.
    async fn heard(address: std::net::SocketAddr, sends: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(sends).await.unwrap();
        let mut answer = Vec::new();
        // A connection that is cut may end with a reset.
        stream.read_to_end(&mut answer).await.ok();
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn a_client_that_sends_nothing_or_half_a_request_is_cut_off() {
        let limits = Limits {
            headers: Duration::from_millis(50),
            whole: Duration::from_hours(1),
            ..Limits::default()
        };
        let (address, stop) = served(limits).await;
        for half in [&b""[..], b"GET /x HT", b"GET /x HTTP/1.1\r\nHost: x\r\n"] {
            assert!(!heard(address, half).await.contains("here"));
        }
        let endless = [b"GET /x HTTP/1.1\r\nX: ".as_slice(), &[b'x'; 2 * MAX_HEAD]].concat();
        assert!(!heard(address, &endless).await.contains("200 OK"));
        assert!(heard(address, REQUEST).await.ends_with("here\n"));
        stop.cancel();
    }

    #[tokio::test]
    async fn a_client_that_takes_no_answer_is_cut_off() {
        let limits = Limits { whole: Duration::from_millis(50), ..Limits::default() };
        let (address, stop) = served(limits).await;
        assert_eq!(heard(address, b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n").await, "");
        stop.cancel();
    }

    #[tokio::test]
    async fn no_more_connections_than_there_are_places() {
        let limits =
            Limits { connections: 2, headers: Duration::from_hours(1), whole: Duration::from_hours(1) };
        let (address, stop) = served(limits).await;
        let idle = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
        let third = tokio::spawn(async move { heard(address, REQUEST).await });
        // It waits while both places are taken, however often other clients are served.
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        assert!(!third.is_finished());
        drop(idle);
        assert!(third.await.unwrap().ends_with("here\n"));
        stop.cancel();
    }
}
