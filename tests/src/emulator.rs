//! The AWS emulator: S3, SQS, CloudWatch, EventBridge, IAM, CloudFormation on one loopback port.

use std::{net::TcpListener, path::Path, time::Duration};

use anyhow::{Context, Result, bail};

use crate::{
    clients::{ACCOUNT, Clients},
    paths,
    process::{Process, Spec},
    wait,
};

/// A running emulator. It keeps all state in memory, so nothing remains after its end.
#[derive(Debug)]
pub struct Emulator {
    process: Process,
    /// Its URL.
    pub endpoint: String,
    /// Clients for it.
    pub clients: Clients,
}

impl Emulator {
    /// Starts an emulator on a free port of loopback and waits until it answers.
    pub async fn start(folder: &Path, logs: &Path) -> Result<Self> {
        Self::start_with(folder, logs, &[]).await
    }

    /// The same, with IAM enforced for all but the harness, and the decisions recorded in a file. Requests count as
    /// sent over TLS while the file `tls` exists in `folder`.
    pub async fn start_enforcing(folder: &Path, logs: &Path, record: &Path) -> Result<Self> {
        let tls = folder.join("tls");
        std::fs::write(&tls, "").with_context(|| tls.display().to_string())?;
        let env = [
            ("AUTH", "true".to_owned()),
            // The harness has the account's root credentials; the programs have not.
            ("AWS_ACCESS_KEY_ID", "local".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
            ("AUTHORIZATION_LOG", record.display().to_string()),
            ("TLS_TERMINATED", tls.display().to_string()),
        ];
        Self::start_with(folder, logs, &env).await
    }

    async fn start_with(folder: &Path, logs: &Path, more: &[(&str, String)]) -> Result<Self> {
        const TRIES: u32 = 3;
        let mut last = None;
        // Another process may take the port between the search and its use; then the emulator ends at once.
        for _ in 0..TRIES {
            match Self::start_on(free_port()?, folder, logs, more).await {
                Ok(emulator) => return Ok(emulator),
                Err(error) => last = Some(error),
            }
        }
        match last {
            Some(error) => Err(error.context("the AWS emulator does not start")),
            None => bail!("the AWS emulator does not start"),
        }
    }

    async fn start_on(port: u16, folder: &Path, logs: &Path, more: &[(&str, String)]) -> Result<Self> {
        let program = paths::tool("run/bin/python")?;
        let script = paths::checkout().join("scripts/emulator").display().to_string();
        let port_text = port.to_string();
        let env = [
            ("GATEWAY_PORT", port_text.as_str()),
            // Its default is every interface.
            ("BIND_HOST", "127.0.0.1"),
            // The host name of queue URLs.
            ("MINISTACK_HOST", "127.0.0.1"),
            ("MINISTACK_ACCOUNT_ID", ACCOUNT),
        ];
        let more = more.iter().map(|(name, value)| (*name, value.as_str()));
        let mut process = Process::start(&Spec {
            name: "emulator",
            program: &program,
            args: vec![script],
            env: env
                .into_iter()
                .chain(more)
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            folder,
            logs,
            out: None,
            orderly: false,
        })?;
        let endpoint = format!("http://127.0.0.1:{port}");
        let health = format!("{endpoint}/_ministack/health");
        wait::until("the AWS emulator answers", Duration::from_mins(1), async || {
            process.ensure_running()?;
            let answer = reqwest::get(&health).await;
            Ok(answer.is_ok_and(|answer| answer.status().is_success()).then_some(()))
        })
        .await?;
        process.ensure_running()?;
        Ok(Self { process, clients: Clients::at(&endpoint), endpoint })
    }

    /// An error with the end of the log if it has ended.
    pub fn ensure_running(&mut self) -> Result<()> {
        self.process.ensure_running()
    }

    /// The process, for its log.
    pub fn process(&self) -> &Process {
        &self.process
    }
}

/// A port of loopback that is free now.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port on loopback")?;
    Ok(listener.local_addr().context("the address of a listening socket")?.port())
}
