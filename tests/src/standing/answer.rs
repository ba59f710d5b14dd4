//! The server's answer to `up`: the text that says how to use the stack.
//!
//! Only a living server answers; its files and its lock outlive a kill.

use std::{future::Future, io, time::Duration};

use anyhow::{Context, Result};
use axum::{Router, routing::get};
use tokio::net::TcpListener;

use super::files::Files;

/// Longest time for an answer over loopback; a machine at its limit takes a while.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens a port on loopback that answers with `text`, and marks the stack as ready. The future serves until it is
/// dropped.
pub(super) async fn open(
    files: &Files,
    text: String,
) -> Result<impl Future<Output = io::Result<()>> + use<>> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("a port on loopback")?;
    let address = listener.local_addr().context("the port's address")?;
    files.write_ready(&format!("http://{address}/"))?;
    let routes = Router::new().route("/", get(async || text));
    Ok(async { axum::serve(listener, routes).await })
}

/// The text of the server, if one is ready and alive.
pub(super) async fn ask(files: &Files) -> Option<String> {
    let address = files.ready()?;
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().ok()?;
    let answer = client.get(address).send().await.ok()?;
    answer.error_for_status().ok()?.text().await.ok()
}
