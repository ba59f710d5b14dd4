//! The console of a stack: `transcode-controller console` as a child process.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::{
    Stack, paths,
    process::{Process, Spec},
    wait,
};

/// It binds a port and prints a line.
const START: Duration = Duration::from_secs(30);

/// A running console. It ends when it is dropped.
#[derive(Debug)]
pub struct Console {
    process: Process,
    /// The address that it printed, with its key.
    pub entrance: String,
}

impl Console {
    /// Starts a console for the stack, as a person would with its settings file and environment.
    pub async fn start(stack: &Stack) -> Result<Self> {
        let mut args = vec!["console".to_owned(), "-o".into(), "name".into(), "--config".into()];
        args.push(stack.plan.config().display().to_string());
        // Only `scripts/setup --test` brings it.
        if let Ok(script) = paths::tool("player/node_modules/hls.js/dist/hls.min.js") {
            args.extend(["--hls-js".to_owned(), script.display().to_string()]);
        }
        let logs = stack.folder().join("console");
        std::fs::create_dir_all(&logs).with_context(|| logs.display().to_string())?;
        let mut process = Process::start(&Spec {
            name: "console",
            program: &paths::binary("transcode-controller")?,
            args,
            env: stack.environment().to_vec(),
            folder: stack.folder(),
            logs: &logs,
            out: None,
            orderly: false,
        })?;
        let entrance = wait::until("the console has printed its address", START, async || {
            process.ensure_running()?;
            let printed = process.output();
            Ok(printed.split_once('\n').map(|(line, _)| line.to_owned()))
        });
        let entrance = entrance.await?;
        Ok(Self { process, entrance })
    }

    /// An error with the end of its log if it has ended.
    pub fn ensure_running(&mut self) -> Result<()> {
        self.process.ensure_running()
    }
}
