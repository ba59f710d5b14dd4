//! `console`: serves the pages of [`crate::console`] on loopback, with this session's credentials.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use bytes::Bytes;
use clap::Args;
use serde::Serialize;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use super::desk::answer;
use crate::{
    cli::{
        output::{Show, Text},
        setup::Session,
    },
    console::{Keys, Options, desk, serve},
};

/// Where `scripts/setup --test` puts hls.js in a checkout.
const IN_CHECKOUT: &str = ".tools/player/node_modules/hls.js/dist/hls.min.js";

/// Largest hls.js, in bytes: several times its size.
const MAX_SCRIPT: u64 = 4 << 20;

/// How to serve.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Console {
    /// Port on 127.0.0.1. Default: a free one. Other addresses cannot be chosen: whoever reaches the page acts with your
    /// credentials.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// `hls.min.js` of the npm package hls.js, for browsers that do not play HLS by themselves and for the choice of
    /// quality. Default: the copy in a checkout's `.tools/`, where there is one.
    #[arg(long, value_name = "FILE")]
    hls_js: Option<PathBuf>,
}

/// What is printed once it serves.
#[derive(Debug, Serialize)]
struct Serving {
    /// The address with this console's key.
    address: String,
}

impl Show for Serving {
    fn people(&self, text: &mut Text) {
        text.line(&format!("console: {}", self.address));
    }

    fn names(&self) -> Vec<String> {
        vec![self.address.clone()]
    }
}

impl Console {
    pub(crate) async fn run(&self, session: Session) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
        let hls_js = self.script()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let listener = TcpListener::bind(address).await.with_context(|| format!("--port: {address}"))?;
        let keys = Keys::new(listener.local_addr().context("the port's address")?);
        session.output.print(&Serving { address: keys.entrance() })?;
        let (desk, asked) = desk();
        let stop = CancellationToken::new();
        let options = Options {
            keys,
            desk,
            s3: session.clients.s3.read.clone(),
            environment: session.settings.environment.clone(),
            hls_js,
        };
        tokio::select! {
            () = serve(listener, options, stop) => Ok(()),
            () = answer(&session, asked) => Ok(()),
            interrupted = tokio::signal::ctrl_c() => interrupted.context("Ctrl-C"),
            _ = terminate.recv() => Ok(()),
        }
    }

    /// The player, if there is a copy.
    fn script(&self) -> anyhow::Result<Option<Bytes>> {
        let file = match &self.hls_js {
            Some(file) => file.as_path(),
            None if Path::new(IN_CHECKOUT).is_file() => Path::new(IN_CHECKOUT),
            None => return Ok(None),
        };
        let size = std::fs::metadata(file).with_context(|| format!("--hls-js: {}", file.display()))?.len();
        ensure!(size <= MAX_SCRIPT, "--hls-js: {} has {size} bytes: is it hls.min.js?", file.display());
        let script = std::fs::read(file).with_context(|| format!("--hls-js: {}", file.display()))?;
        Ok(Some(script.into()))
    }
}
