//! A call of a program: its arguments, files, limits, and the result of a run with status 0.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

/// Which of the two programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tool {
    /// Encodes.
    Ffmpeg,
    /// Describes a file.
    Ffprobe,
}

impl Tool {
    /// The program's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ffmpeg => "ffmpeg",
            Self::Ffprobe => "ffprobe",
        }
    }
}

/// What one run may use. Every field is a hard limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest run.
    pub wall: Duration,
    /// Longest time without progress. A line of standard output is progress, unless it belongs to ffmpeg's
    /// `-progress` report and the report's `frame`, `out_time_us` and `total_size` have not changed: a stuck ffmpeg
    /// goes on reporting.
    pub stall: Duration,
    /// Processor time over all threads, in seconds.
    pub cpu_seconds: u64,
    /// Address space in bytes. Reservations count, not only used memory, so leave room for thread stacks (8 MiB each)
    /// and libraries (some 300 MiB).
    pub memory_bytes: u64,
    /// Largest single file, in bytes.
    pub file_bytes: u64,
    /// Largest sum of the files in the output folder, in bytes. Measured twice a second, so a run can exceed it by
    /// what the disk takes in that time.
    pub output_bytes: u64,
    /// How much of standard output is kept in [`Finished::stdout`], in bytes, at most 4 MiB. More than this from
    /// ffprobe is a failure, because half an answer is useless; ffmpeg may write more at a bounded rate, but only its
    /// lines are passed on.
    pub stdout_bytes: usize,
}

/// One call of a program.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The program to run.
    pub tool: Tool,
    /// Its arguments, without the program's name.
    pub args: Vec<OsString>,
    /// The file that it may read.
    pub input: Option<PathBuf>,
    /// Further files or folders that it may read, such as outputs of earlier runs.
    pub extra_inputs: Vec<PathBuf>,
    /// The one folder that it may write. It is also the working directory.
    pub output_dir: Option<PathBuf>,
    /// Hard limits of the run.
    pub limits: Limits,
}

impl Invocation {
    /// A call that reads `input` and writes no file.
    pub fn reading(tool: Tool, input: &Path, args: Vec<OsString>, limits: Limits) -> Self {
        let input = Some(input.to_owned());
        Self { tool, args, input, extra_inputs: Vec::new(), output_dir: None, limits }
    }
}

/// Arguments from a text: words separated by white space.
pub fn words(text: &str) -> Vec<OsString> {
    text.split_whitespace().map(OsString::from).collect()
}

/// What decoders could not read as it was meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Damage {
    /// Frames that were repaired.
    pub frames: u64,
    /// Packets of which nothing came.
    pub packets: u64,
}

impl std::ops::AddAssign for Damage {
    fn add_assign(&mut self, more: Self) {
        self.frames += more.frames;
        self.packets += more.packets;
    }
}

/// A run that ended with status 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The start of standard output, at most [`Limits::stdout_bytes`] and 4 MiB.
    pub stdout: Vec<u8>,
    /// The last lines of standard error, escaped: printable ASCII and line ends only.
    pub stderr_tail: String,
    /// How long it ran.
    pub wall: Duration,
    /// Processor time over all threads.
    pub cpu: Duration,
    /// Largest resident memory, in bytes.
    pub peak_memory_bytes: u64,
    /// How often ffmpeg set up the input of an audio filter graph, by its log at the level `verbose`: once for each
    /// such graph, and again whenever the format of its input changes.
    pub audio_set_up: u64,
    /// What was damaged, by ffmpeg's log.
    pub damage: Damage,
}
