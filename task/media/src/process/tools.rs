//! Finds the two programs, and runs them in the sandbox.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio_util::sync::CancellationToken;
use transcode_config::contract::{Failure, FailureCode};

use super::{
    call::{Finished, Invocation, Limits, Tool},
    run,
};
use crate::sandbox::{Sandbox, SandboxLevel, SandboxPolicy};

/// Path of ffmpeg, where it is not the one on `PATH`.
pub const ENV_FFMPEG: &str = "TRANSCODE_FFMPEG";
/// Path of ffprobe, where it is not the one on `PATH`.
pub const ENV_FFPROBE: &str = "TRANSCODE_FFPROBE";

/// Limits of a run that only prints its version.
const VERSION_LIMITS: Limits = Limits {
    wall: Duration::from_secs(10),
    stall: Duration::from_secs(10),
    cpu_seconds: 30,
    memory_bytes: 4 << 30,
    file_bytes: 0,
    output_bytes: 0,
    stdout_bytes: 64 << 10,
};

/// The two programs and the sandbox that they run in.
#[derive(Debug, Clone)]
pub struct Tools {
    ffmpeg: PathBuf,
    ffprobe: PathBuf,
    sandbox: Sandbox,
}

impl Tools {
    /// Finds the programs, by environment variable or on `PATH`, and the layers of this host's sandbox.
    pub fn find(policy: SandboxPolicy) -> Result<Self, Failure> {
        let sandbox = Sandbox::new(policy)?;
        let ffmpeg = find(Tool::Ffmpeg, env::var_os(ENV_FFMPEG))?;
        let ffprobe = find(Tool::Ffprobe, env::var_os(ENV_FFPROBE))?;
        tracing::info!(sandbox = %sandbox.level(), ?policy, "sandbox of ffmpeg and ffprobe");
        Ok(Self { ffmpeg, ffprobe, sandbox })
    }

    /// Another program in the place of both, in a given sandbox. For the canary and for tests.
    #[doc(hidden)]
    pub fn stand_in(program: &Path, sandbox: Sandbox) -> Self {
        Self { ffmpeg: program.to_path_buf(), ffprobe: program.to_path_buf(), sandbox }
    }

    /// The layers of the sandbox on this host, for the result of the job.
    pub fn level(&self) -> SandboxLevel {
        self.sandbox.level()
    }

    /// Path of a program.
    pub fn path(&self, tool: Tool) -> &Path {
        match tool {
            Tool::Ffmpeg => &self.ffmpeg,
            Tool::Ffprobe => &self.ffprobe,
        }
    }

    /// The version of ffmpeg, as it names itself: `7.1.5-0+deb13u1`.
    pub async fn version(&self, stop: &CancellationToken) -> Result<String, Failure> {
        let args = vec![OsString::from("-version")];
        let call = Invocation {
            tool: Tool::Ffmpeg,
            args,
            input: None,
            extra_inputs: Vec::new(),
            output_dir: None,
            limits: VERSION_LIMITS,
        };
        let finished = self.run(call, &mut |_| (), stop).await?;
        let text = String::from_utf8_lossy(&finished.stdout).into_owned();
        let word = text.strip_prefix("ffmpeg version ").and_then(|rest| rest.split_whitespace().next());
        let plain = |letter: &char| letter.is_ascii_graphic();
        Ok(word.unwrap_or("unknown").chars().filter(plain).take(60).collect())
    }

    /// Runs a program to its end, and passes each line of its standard output to `on_line`.
    ///
    /// All its processes are dead when this returns. If the future is dropped, they are killed and reaped in the
    /// background.
    pub async fn run(
        &self,
        call: Invocation,
        on_line: &mut (dyn FnMut(&str) + Send),
        stop: &CancellationToken,
    ) -> Result<Finished, Failure> {
        run::run(&self.sandbox, self.path(call.tool), &call, on_line, stop).await
    }
}

/// Finds a program, at the chosen path or on `PATH`.
pub(super) fn find(tool: Tool, chosen: Option<OsString>) -> Result<PathBuf, Failure> {
    let missing = |path: &Path| {
        Failure::new(FailureCode::ConfigInvalid, format!("{} is not where it should be", tool.name()))
            .with("path", path.display())
    };
    if let Some(path) = chosen.filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        return path.canonicalize().map_err(|_| missing(&path));
    }
    let folders = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&folders).map(|folder| folder.join(tool.name())).find(|path| path.is_file());
    // Canonical, because the sandbox's rules are for the file itself and not for a link to it.
    found.and_then(|path| path.canonicalize().ok()).ok_or_else(|| missing(Path::new(tool.name())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_a_fault_of_the_settings() {
        let failure = find(Tool::Ffprobe, Some("/nowhere/ffprobe".into())).unwrap_err();
        assert_eq!(failure.code, FailureCode::ConfigInvalid);
        assert_eq!(failure.evidence["path"], "/nowhere/ffprobe");
    }
}
