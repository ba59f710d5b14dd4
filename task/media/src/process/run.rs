//! One run of a program: reads its output, enforces its limits, and classifies its end.

use std::{path::Path, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{ChildStderr, ChildStdout},
    time::{self, Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;
use transcode_config::contract::{Failure, FailureCode};

use super::{
    call::{Damage, Finished, Invocation, Tool},
    failure::{self, Cause},
    tail::Tail,
    watch::{self, Progress},
};
use crate::sandbox::{Ended, Program, Rlimits, Running, Sandbox};

/// How often the output folder is measured.
const FOLDER_EVERY: Duration = Duration::from_millis(500);
/// Longest line that is passed on; the rest of a longer one is dropped.
const LONGEST_LINE: usize = 64 * 1024;
/// Most bytes of standard output that are kept, whatever the limits of the run: enough for any answer. Output that is
/// read line by line need not be kept.
const MOST_KEPT: usize = 4 << 20;
/// Bytes per second that ffmpeg may write beyond [`super::Limits::stdout_bytes`]: a progress report has some 600
/// bytes, twice a second.
const TALK_PER_SECOND: u64 = 64 * 1024;
/// Threads of a run, beside those of other processes. ffmpeg with x265 and a ladder of ten rungs has some 150, more
/// on hosts with many processors, and runs of chunks overlap.
const THREADS: u64 = 2048;

/// Part of each log line that ffmpeg's `abuffer` writes when it is set up, and of no other line.
const AUDIO_SET_UP: &[u8] = b" samplefmt:";
/// What ffmpeg logs for each frame that its decoder could only repair.
const DAMAGED_FRAME: &[u8] = b"corrupt decoded frame";
/// What it logs for each packet that it cannot decode: versions 5 and 6, and from 7 on.
const LOST_PACKET: [&[u8]; 2] = [b"Error while decoding stream #", b"Error submitting packet to decoder"];

/// See [`super::Tools::run`].
pub(super) async fn run(
    sandbox: &Sandbox,
    program: &Path,
    call: &Invocation,
    on_line: &mut (dyn FnMut(&str) + Send),
    stop: &CancellationToken,
) -> Result<Finished, Failure> {
    if stop.is_cancelled() {
        return Err(failure::ended_by_us(Cause::Stopped, call, ""));
    }
    let limits = &call.limits;
    let program = Program {
        path: program.to_path_buf(),
        args: call.args.clone(),
        reads: call.input.iter().chain(&call.extra_inputs).cloned().collect(),
        writes: call.output_dir.clone(),
        limits: Rlimits {
            memory_bytes: limits.memory_bytes,
            cpu_seconds: limits.cpu_seconds,
            file_bytes: limits.file_bytes,
            threads: THREADS,
        },
    };
    let mut running = sandbox.start(program).await?;
    tracing::debug!(tool = call.tool.name(), pid = running.group.leader(), "started");
    let mut watch = Watch::new(call, &mut running)?;
    let seen = watch.until_the_end(&mut running, on_line, stop).await;
    let stderr_tail = watch.tail.text();
    let ended = match seen {
        Ok(ended) => ended,
        Err(cause) => {
            running.group.kill();
            // Returns only after every process is dead and reaped.
            if !watch.has_ended {
                (&mut running.ended).await.ok();
            }
            return Err(failure::ended_by_us(cause, call, &stderr_tail));
        }
    };
    let ended =
        ended.ok_or_else(|| Failure::new(FailureCode::Internal, "the thread that waits for a child died"))?;
    failure::ended_by_itself(&ended, call, &stderr_tail)?;
    Ok(Finished {
        stdout: watch.lines.kept,
        stderr_tail,
        wall: ended.wall,
        cpu: ended.cpu,
        peak_memory_bytes: ended.peak_memory_bytes,
        audio_set_up: watch.set_up.lines,
        damage: Damage {
            frames: watch.damaged.lines,
            packets: watch.lost.iter().map(|lost| lost.lines).sum(),
        },
    })
}

/// Reads the streams of a run and holds it to its limits.
struct Watch<'a> {
    call: &'a Invocation,
    stdout: Stream<ChildStdout>,
    stderr: Stream<ChildStderr>,
    lines: Lines,
    tail: Tail,
    set_up: Mentions,
    damaged: Mentions,
    lost: [Mentions; 2],
    begin: Instant,
    last_progress: Instant,
    /// Whether the end has been received: it comes once.
    has_ended: bool,
}

impl<'a> Watch<'a> {
    fn new(call: &'a Invocation, running: &mut Running) -> Result<Self, Failure> {
        let broken =
            |error| Failure::new(FailureCode::Internal, "a pipe could not be read").with("error", error);
        let stdout = running.stdout.take().map(ChildStdout::from_std).transpose().map_err(broken)?;
        let stderr = running.stderr.take().map(ChildStderr::from_std).transpose().map_err(broken)?;
        let begin = Instant::now();
        Ok(Self {
            call,
            stdout: Stream(stdout),
            stderr: Stream(stderr),
            lines: Lines::new(call.limits.stdout_bytes),
            tail: Tail::default(),
            set_up: Mentions::of(AUDIO_SET_UP),
            damaged: Mentions::of(DAMAGED_FRAME),
            lost: LOST_PACKET.map(Mentions::of),
            begin,
            last_progress: begin,
            has_ended: false,
        })
    }

    /// Returns when the program has ended and its streams are read, or when it must be ended.
    async fn until_the_end(
        &mut self,
        running: &mut Running,
        on_line: &mut (dyn FnMut(&str) + Send),
        stop: &CancellationToken,
    ) -> Result<Option<Ended>, Cause> {
        let limits = &self.call.limits;
        let mut ended = None;
        let mut out = vec![0; 16 * 1024];
        let mut err = vec![0; 4 * 1024];
        let mut folder = time::interval(FOLDER_EVERY);
        folder.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.has_ended || self.stdout.is_open() || self.stderr.is_open() {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(Cause::Stopped),
                () = time::sleep_until(self.begin + limits.wall) => return Err(Cause::OutOfTime),
                () = time::sleep_until(self.last_progress + limits.stall) => return Err(Cause::Stalled),
                _ = folder.tick() => self.weigh().await?,
                how = &mut running.ended, if !self.has_ended => {
                    self.has_ended = true;
                    ended = how.ok();
                }
                read = self.stderr.read(&mut err) => {
                    let part = err.get(..read).unwrap_or_default();
                    self.tail.push(part);
                    self.set_up.push(part);
                    self.damaged.push(part);
                    self.lost.iter_mut().for_each(|lost| lost.push(part));
                }
                read = self.stdout.read(&mut out) => {
                    let moved = self.lines.push(out.get(..read).unwrap_or_default(), on_line);
                    if moved {
                        self.last_progress = Instant::now();
                    }
                    self.hear()?;
                }
            }
        }
        self.lines.finish(on_line);
        // Checks the folder a last time.
        self.weigh().await?;
        Ok(ended)
    }

    /// Measures the output folder. A folder that cannot be read ends the run; it never counts as empty.
    async fn weigh(&self) -> Result<(), Cause> {
        let Some(folder) = self.call.output_dir.clone() else { return Ok(()) };
        let most = self.call.limits.output_bytes;
        let sum = tokio::task::spawn_blocking(move || watch::folder_bytes(&folder, most)).await;
        match sum {
            Ok(Ok(bytes)) if bytes > most => Err(Cause::FolderTooLarge { bytes }),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                tracing::warn!(%error, "an output folder cannot be looked into");
                Err(Cause::FolderClosed)
            }
            // The runtime is shutting down.
            Err(_) => Err(Cause::Stopped),
        }
    }

    /// Whether the program wrote more than it may.
    fn hear(&self) -> Result<(), Cause> {
        let most = self.call.limits.stdout_bytes as u64;
        let most = match self.call.tool {
            Tool::Ffprobe => most,
            Tool::Ffmpeg => most.saturating_add((self.begin.elapsed().as_secs() + 1) * TALK_PER_SECOND),
        };
        if self.lines.total > most { Err(Cause::TooTalkative { bytes: self.lines.total }) } else { Ok(()) }
    }
}

/// A pipe until its end.
struct Stream<T>(Option<T>);

impl<T: AsyncRead + Unpin> Stream<T> {
    fn is_open(&self) -> bool {
        self.0.is_some()
    }

    /// Reads available bytes; never returns after the end, as a branch of a `select!` should.
    async fn read(&mut self, buffer: &mut [u8]) -> usize {
        let Some(pipe) = &mut self.0 else { return std::future::pending().await };
        // An error on a pipe is its end, too.
        let read = pipe.read(buffer).await.unwrap_or(0);
        if read == 0 {
            self.0 = None;
        }
        read
    }
}

/// Counts occurrences of some words in a stream that comes in parts.
struct Mentions {
    words: &'static [u8],
    rest: Vec<u8>,
    lines: u64,
}

impl Mentions {
    fn of(words: &'static [u8]) -> Self {
        Self { words, rest: Vec::new(), lines: 0 }
    }

    fn push(&mut self, part: &[u8]) {
        self.rest.extend_from_slice(part);
        let found = self.rest.windows(self.words.len()).filter(|window| *window == self.words).count();
        self.lines += found as u64;
        // Keeps a tail in which the words may begin.
        let surplus = self.rest.len().saturating_sub(self.words.len() - 1);
        self.rest.drain(..surplus);
    }
}

/// Standard output: its start is kept, and each line is passed on.
struct Lines {
    kept: Vec<u8>,
    most: usize,
    total: u64,
    line: Vec<u8>,
    progress: Progress,
}

impl Lines {
    fn new(most: usize) -> Self {
        Self {
            kept: Vec::new(),
            most: most.min(MOST_KEPT),
            total: 0,
            line: Vec::new(),
            progress: Progress::default(),
        }
    }

    /// Takes a part of the stream. True if a line in it was progress.
    fn push(&mut self, part: &[u8], on_line: &mut (dyn FnMut(&str) + Send)) -> bool {
        self.total += part.len() as u64;
        let room = self.most.saturating_sub(self.kept.len()).min(part.len());
        self.kept.extend_from_slice(part.get(..room).unwrap_or_default());
        let mut moved = false;
        for piece in part.split_inclusive(|byte| *byte == b'\n') {
            let room = LONGEST_LINE.saturating_sub(self.line.len()).min(piece.len());
            self.line.extend_from_slice(piece.get(..room).unwrap_or_default());
            if piece.ends_with(b"\n") {
                moved |= self.finish(on_line);
            }
        }
        moved
    }

    /// Passes the gathered line on.
    fn finish(&mut self, on_line: &mut (dyn FnMut(&str) + Send)) -> bool {
        if self.line.is_empty() {
            return false;
        }
        let line = String::from_utf8_lossy(&self.line);
        let line = line.trim_end_matches(['\n', '\r']);
        let moved = self.progress.moved(line);
        on_line(line);
        self.line.clear();
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_from_parts_and_the_start_is_kept() {
        let mut lines = Lines::new(8);
        let mut seen = Vec::new();
        let mut on_line = |line: &str| seen.push(line.to_owned());
        assert!(!lines.push(b"fra", &mut on_line));
        assert!(lines.push(b"me=1\r\nfps=2\nlast", &mut on_line));
        lines.finish(&mut on_line);
        assert_eq!(lines.kept, b"frame=1\r");
        assert_eq!(lines.total, 19);
        assert_eq!(seen, ["frame=1", "fps=2", "last"]);
    }

    #[test]
    fn words_are_counted_wherever_the_stream_is_cut() {
        for size in 1..20 {
            let mut mentions = Mentions::of(b" ab:");
            for part in b"x ab: ab:ab: a ab ab:\n".chunks(size) {
                mentions.push(part);
            }
            assert_eq!(mentions.lines, 3, "{size}");
        }
    }

    #[test]
    fn an_endless_line_takes_no_more_than_its_share() {
        let mut lines = Lines::new(10);
        for _ in 0..1000 {
            lines.push(&[b'x'; 1000], &mut |_| ());
        }
        assert_eq!(lines.line.len(), LONGEST_LINE);
        assert_eq!(lines.total, 1_000_000);
    }

    #[test]
    fn hours_of_packets_are_passed_on_and_not_kept() {
        let mut lines = Lines::new(1 << 30);
        let mut passed = 0_usize;
        for _ in 0..100_000 {
            lines.push(&[b"packet|".repeat(9).as_slice(), b"\n"].concat(), &mut |line| {
                passed += line.len() + 1;
            });
        }
        assert_eq!((passed, lines.kept.len()), (6_400_000, MOST_KEPT));
    }
}
