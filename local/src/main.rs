//! The command `transcode-local`: reads the command line, serves until SIGTERM or SIGINT.

mod cli;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let cli = cli::Cli::parse();
    // Before the first task can start: after this no signal ends the program with tasks left behind.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = transcode_local::serve(cli.into()).await?;
    announce(server.endpoint());
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    server.shutdown().await;
    Ok(())
}

#[allow(clippy::print_stdout, reason = "the one line that whoever started this program reads the port from")]
fn announce(endpoint: &str) {
    println!("{}", serde_json::json!({"endpoint": endpoint}));
}
