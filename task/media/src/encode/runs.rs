//! The runs of ffmpeg that make a job's tracks: one for everything, or one for the audio and one for each chunk of the
//! video.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError, mpsc},
    time::Duration,
};

use futures::{StreamExt, future::join, stream};
use tokio_util::sync::CancellationToken;
use transcode_config::contract::{Failure, FailureCode};

use super::{
    chunks::{Host, at_once},
    progress::{Progress, Tick},
};
use crate::{
    job::{Context, cannot_write},
    plan::{self, Chunk, Plan},
    process::{Damage, Finished, Invocation, Limits, Tool},
    rational::{float, round_to_u64},
};

/// Address space in bytes; a ladder of six rungs from 4K takes about 3 GiB.
pub(crate) const MEMORY: u64 = 24 << 30;

/// No frame for this long: the encoder hangs. One frame of 8K AV1 takes seconds, never minutes.
const STALL: Duration = Duration::from_mins(3);

/// State that all runs of a job share.
pub(super) struct Runs<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) plan: &'a Plan,
    /// Folder of the encoder's files; each chunk has a folder in it.
    pub(super) work: &'a Path,
    pub(super) progress: Mutex<Progress>,
    /// Cancelled when one run or the cutting thread fails, because the other runs are then useless.
    pub(super) halt: &'a CancellationToken,
    pub(super) ticks: mpsc::Sender<Tick>,
    /// What decoders found damaged.
    pub(super) damage: Mutex<Damage>,
    /// Processor time of the audio's own run, once it has ended.
    pub(super) audio: OnceLock<Duration>,
}

impl Runs<'_> {
    /// Everything in one run.
    pub(super) async fn whole(&self) -> Result<(), Failure> {
        self.run(0, self.plan, self.work.to_owned()).await.map(drop)
    }

    /// The audio in one run and the video in chunks beside it. `fixed`: chunks at a time; none measures.
    pub(super) async fn in_chunks(&self, chunks: Vec<Chunk>, fixed: Option<u32>) -> Result<(), Failure> {
        let (audio, video) = join(self.audio(chunks.len()), self.video(chunks, fixed)).await;
        outcome([audio, video])
    }

    async fn audio(&self, number: usize) -> Result<(), Failure> {
        if self.plan.audio.is_empty() {
            self.audio.set(Duration::ZERO).ok();
            return Ok(());
        }
        // The progress is that of the video.
        let plan = self.plan.of_audio();
        let done = self.run(number, &plan, self.work.to_owned()).await?;
        self.audio.set(done.cpu).ok();
        Ok(())
    }

    async fn video(&self, chunks: Vec<Chunk>, fixed: Option<u32>) -> Result<(), Failure> {
        let Some((&first, rest)) = chunks.split_first() else { return Ok(()) };
        if let Some(fixed) = fixed {
            return self.side_by_side(0, chunks, usize::try_from(fixed).unwrap_or(1)).await;
        }
        let used = self.chunk(0, first).await?;
        let host = Host::here();
        // A run of audio keeps about one processor busy until it ends.
        let beside = self.audio.get().copied().unwrap_or(used.wall);
        let several = at_once(&used, beside, host);
        tracing::info!(?host, cpu = ?used.cpu, wall = ?used.wall, ?beside, several, "the first chunk was measured");
        let rest = if several > 1 { rest.to_vec() } else { Chunk::joined(rest).into_iter().collect() };
        self.side_by_side(1, rest, several).await
    }

    /// Runs chunks, `at_once` at a time, from number `from` on.
    async fn side_by_side(&self, from: usize, chunks: Vec<Chunk>, at_once: usize) -> Result<(), Failure> {
        let runs = chunks.into_iter().enumerate().map(|(number, chunk)| self.chunk(from + number, chunk));
        let ends: Vec<_> = stream::iter(runs).buffer_unordered(at_once.max(1)).collect().await;
        outcome(ends.into_iter().map(|end| end.map(drop)))
    }

    async fn chunk(&self, number: usize, chunk: Chunk) -> Result<Finished, Failure> {
        let folder = self.work.join(format!("chunk{number}"));
        self.ticks.send(Tick::Begun(chunk, folder.clone())).ok();
        let done = self.run(number, &self.plan.of_chunk(chunk), folder).await?;
        self.ticks.send(Tick::Ended(chunk)).ok();
        Ok(done)
    }

    /// One run by a plan. `number` tells its progress from that of other runs.
    async fn run(&self, number: usize, plan: &Plan, output: PathBuf) -> Result<Finished, Failure> {
        let done = match std::fs::create_dir_all(&output) {
            Ok(()) => self.ffmpeg(number, plan, output).await,
            Err(error) => Err(cannot_write("encode", &error)),
        };
        if done.is_err() {
            self.halt.cancel();
        }
        done
    }

    async fn ffmpeg(&self, number: usize, plan: &Plan, output: PathBuf) -> Result<Finished, Failure> {
        let job = self.context.job;
        let overlay = job.overlay.iter().map(|overlay| overlay.file.to_owned());
        let even = plan.audio.iter().filter_map(|audio| audio.even.as_ref()).map(|even| even.file.clone());
        let call = Invocation {
            tool: Tool::Ffmpeg,
            args: plan::arguments(plan, job.input),
            input: Some(job.input.to_owned()),
            extra_inputs: overlay.chain(even).collect(),
            output_dir: Some(output),
            limits: limits(plan),
        };
        // If there is video, the audio run beside it does not count.
        let counts = plan.video.is_some() || self.plan.video.is_none();
        let seconds = if counts { plan.seconds } else { 0.0 };
        let mut on_line = |line: &str| {
            let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(event) = progress.line(number, seconds, line) {
                self.context.send(event);
                self.ticks.send(Tick::More).ok();
            }
        };
        let finished = self.context.tools.run(call, &mut on_line, self.halt).await?;
        *self.damage.lock().unwrap_or_else(PoisonError::into_inner) += finished.damage;
        Ok(finished)
    }
}

/// The outcome of runs side by side: the failure that made the others stop, if there is one.
fn outcome(ends: impl IntoIterator<Item = Result<(), Failure>>) -> Result<(), Failure> {
    let stopped = |failure: &Failure| failure.code == FailureCode::Interrupted;
    let cause = ends.into_iter().filter_map(Result::err).min_by_key(stopped);
    cause.map_or(Ok(()), Err)
}

/// Limits in proportion to the result. They stop a run that went wild, not one that is slow.
fn limits(plan: &Plan) -> Limits {
    let video: u64 = plan.video.iter().flat_map(|video| &video.renditions).map(|rung| rung.max_bps).sum();
    // Audio has an index of 100 bytes for each frame while it is encoded.
    let audio: u64 = plan.audio.iter().map(|audio| audio.bps + 64_000).sum();
    let expected = round_to_u64(plan.seconds * float(video + audio) / 8.0);
    let allowed = expected * 2 + (64 << 20);
    // ffmpeg decodes the part before a clip too, and writes nothing meanwhile.
    let seconds = round_to_u64(plan.seconds + plan.lead);
    let silent = Duration::from_secs(round_to_u64(plan.lead));
    Limits {
        wall: Duration::from_secs(1800 + seconds * 60),
        stall: STALL + silent,
        cpu_seconds: 7200 + seconds * 240,
        memory_bytes: MEMORY,
        file_bytes: allowed,
        output_bytes: allowed,
        stdout_bytes: 16 << 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_runs_side_by_side_the_one_that_failed_says_why() {
        let failed = |code| Err(Failure::new(code, "x"));
        let code = |ends: [Result<(), Failure>; 3]| outcome(ends).err().map(|failure| failure.code);
        let (stopped, cause) = (FailureCode::Interrupted, FailureCode::EncodeFailed);
        assert_eq!(code([failed(stopped), failed(cause), failed(stopped)]), Some(cause));
        assert_eq!(code([failed(cause), failed(FailureCode::DecodeFailed), Ok(())]), Some(cause));
        assert_eq!(code([Ok(()), failed(stopped), failed(stopped)]), Some(stopped));
        assert_eq!(code([Ok(()), Ok(()), Ok(())]), None);
    }
}
