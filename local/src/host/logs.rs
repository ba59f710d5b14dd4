//! Output of the containers, into one file for each, up to a limit.

use std::{
    fs::{self, File},
    io::{self, PipeReader},
    os::fd::OwnedFd,
    path::PathBuf,
    process::{Command, Stdio},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::unix::pipe,
};

use crate::{config::Config, model::task::Task};

/// Written where output was cut.
const CUT: &[u8] = b"\n[output past the limit is left out]\n";

/// A container's output on its way to its file.
#[derive(Debug)]
pub(crate) struct Output {
    from: pipe::Receiver,
    to: File,
    limit: u64,
}

/// The file of a container's output.
pub(crate) fn path(config: &Config, task: &Task, index: usize) -> Option<PathBuf> {
    config.log_dir.as_ref().map(|folder| folder.join(format!("{}-{index}.log", task.id)))
}

/// Connects the command's output with its file. Nothing to copy when output is not kept.
pub(crate) fn attach(
    config: &Config,
    task: &Task,
    index: usize,
    command: &mut Command,
) -> io::Result<Option<Output>> {
    let Some(path) = path(config, task, index) else {
        command.stdout(Stdio::null()).stderr(Stdio::null());
        return Ok(None);
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let to = File::create(path)?;
    let (reader, writer): (PipeReader, _) = io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let from = pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?;
    Ok(Some(Output { from, to, limit: config.log_limit }))
}

impl Output {
    /// Copies until all writers have ended. Past the limit it reads on and drops what it reads, so that a talkative
    /// task is not blocked.
    pub(crate) async fn copy(mut self) {
        let mut file = tokio::fs::File::from_std(self.to);
        let mut buffer = vec![0; 16 * 1024];
        let mut left = self.limit;
        while let Ok(length @ 1..) = self.from.read(&mut buffer).await {
            if left == 0 {
                continue;
            }
            let kept = length.min(usize::try_from(left).unwrap_or(usize::MAX));
            left -= kept as u64;
            let mut written = file.write_all(&buffer[..kept]).await;
            if left == 0 && written.is_ok() {
                written = file.write_all(CUT).await;
            }
            if let Err(error) = written {
                tracing::warn!(%error, "task output is lost from here on");
                left = 0;
            }
        }
        // A write may still be on its way to the file.
        let _ = file.flush().await;
    }
}
