//! Runs the one ffmpeg process that makes every rendition, and publishes its segments while it works.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::mpsc,
    time::Duration,
};

use tokio_util::sync::CancellationToken;
use transcode_config::contract::{Failure, FailureCode};

use super::{
    Context, Event,
    package::{
        cut::{Cut, Cutter, Track},
        early::Early,
        folder::{Folder, cannot_write},
    },
    plan::{self, Plan},
    rational::{float, round_to_u64},
};
use crate::process::{Invocation, Limits, Tool};

/// No frame for this long: the encoder hangs. One frame of 8K AV1 takes seconds, never minutes.
const STALL: Duration = Duration::from_mins(3);
/// Address space; a ladder of six rungs from 4K takes about 3 GiB.
pub(super) const MEMORY: u64 = 24 << 30;

/// The published tracks, in the plan's order.
#[derive(Debug, Clone, PartialEq)]
pub struct Tracks {
    /// The rungs.
    pub video: Vec<Track>,
    /// The sound renditions.
    pub audio: Vec<Track>,
}

/// What the encoder made.
#[derive(Debug)]
pub(super) struct Encoded {
    /// Its tracks.
    pub(super) tracks: Tracks,
    /// Where they lie.
    pub(super) package: Folder,
    /// What playlists for early playing said, by path; empty where there were none.
    pub(super) said_early: BTreeMap<String, String>,
}

/// Encodes. `share` is the part of the whole job, in percent, that this makes up.
pub(super) async fn encode(
    context: &Context<'_>,
    plan: &Plan,
    package: Folder,
    share: (f32, f32),
) -> Result<Encoded, Failure> {
    let work = folder(context);
    std::fs::create_dir_all(&work).map_err(|error| cannot_write("encode", &error))?;
    let call = Invocation {
        tool: Tool::Ffmpeg,
        args: plan::arguments(plan, context.job.input),
        input: Some(context.job.input.to_owned()),
        extra_inputs: context.job.overlay.iter().map(|overlay| overlay.file.to_owned()).collect(),
        output_dir: Some(work.clone()),
        limits: limits(plan),
    };
    // A failed write must end the encoder too, but is not a stop from outside.
    let halt = context.stop.child_token();
    let (ticks, heard) = mpsc::channel();
    let early = context.job.profile.playable_early.then(|| Early::new(plan));
    let cutting = spawn_cutters(plan, &work, package, early, heard, halt.clone());
    let mut report = Report::new(plan.seconds, share);
    let result = context
        .tools
        .run(
            call,
            &mut |line| {
                if let Some(event) = report.line(line) {
                    context.send(event);
                    ticks.send(Tick::More).ok();
                }
            },
            &halt,
        )
        .await;
    if result.is_ok() {
        ticks.send(Tick::Done).ok();
    }
    drop(ticks);
    let cut = cutting.await.map_err(|error| {
        Failure::new(FailureCode::Internal, "cutting segments failed").with("error", error)
    })?;
    match (result, cut) {
        // What stopped the encoder is the cause, not that it was stopped.
        (Err(_), Err(failure)) if halt.is_cancelled() && !context.stop.is_cancelled() => Err(failure),
        (Err(failure), _) => Err(blame(failure)),
        (Ok(_), cut) => {
            let encoded = cut?.ok_or_else(|| {
                Failure::new(FailureCode::Internal, "the encoder ended and its segments were given up")
            })?;
            all_decoded(plan, &encoded.tracks)?;
            Ok(encoded)
        }
    }
}

/// Where the encoder writes. Needed until the sound has been checked.
pub(super) fn folder(context: &Context<'_>) -> PathBuf {
    context.job.work.join("encode")
}

/// What the encoder's progress says to whoever cuts.
enum Tick {
    More,
    Done,
}

/// None if the encoder failed.
type Cutting = tokio::task::JoinHandle<Result<Option<Encoded>, Failure>>;

fn spawn_cutters(
    plan: &Plan,
    work: &Path,
    mut package: Folder,
    mut early: Option<Early>,
    heard: mpsc::Receiver<Tick>,
    halt: CancellationToken,
) -> Cutting {
    let groups = plan.video.as_ref().map_or(1, |video| video.segment_gops);
    let rungs = plan.video.iter().flat_map(|video| &video.renditions).enumerate();
    let mut video: Vec<_> = rungs
        .map(|(number, rung)| {
            let source = work.join(plan::video_file(number));
            Cutter::new(&source, format!("video/{}", rung.name), Cut::Groups(groups))
        })
        .collect();
    let mut audio: Vec<_> = plan
        .audio
        .iter()
        .enumerate()
        .map(|(number, sound)| {
            let source: PathBuf = work.join(plan::audio_file(number));
            Cutter::new(&source, format!("audio/{}", sound.name), Cut::Seconds(plan.segment_seconds))
        })
        .collect();
    tokio::task::spawn_blocking(move || {
        let mut work = || {
            loop {
                match heard.recv() {
                    Ok(Tick::Done) => break,
                    Ok(Tick::More) => {}
                    // The encoder failed. It says why; what is here is only what it left behind.
                    Err(_) => return Ok(None),
                }
                for cutter in video.iter_mut().chain(&mut audio) {
                    cutter.advance(&mut package)?;
                }
                if let Some(early) = &mut early {
                    early.news(&video, &audio).into_iter().for_each(|playlist| package.playable(playlist));
                }
            }
            let mut finish = |cutters: Vec<Cutter>| {
                cutters.into_iter().map(|cutter| cutter.finish(&mut package)).collect::<Result<Vec<_>, _>>()
            };
            let video = finish(std::mem::take(&mut video))?;
            Ok(Some(Tracks { video, audio: finish(std::mem::take(&mut audio))? }))
        };
        let result = work();
        if result.is_err() {
            halt.cancel();
        }
        let said_early = early.map(Early::said).unwrap_or_default();
        result.map(|tracks| tracks.map(|tracks| Encoded { tracks, package, said_early }))
    })
}

/// Limits in proportion to what is to be made. They stop a run that went mad, not one that is slow.
fn limits(plan: &Plan) -> Limits {
    let video: u64 = plan.video.iter().flat_map(|video| &video.renditions).map(|rung| rung.max_bps).sum();
    // Sound has an index of 100 bytes for each frame while it is encoded.
    let audio: u64 = plan.audio.iter().map(|audio| audio.bps + 64_000).sum();
    let expected = round_to_u64(plan.seconds * float(video + audio) / 8.0);
    let allowed = expected * 2 + (64 << 20);
    // What is in front of a clip is decoded too, and while it is, nothing comes out.
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

/// Whether every rung has as many frames as the demuxer found. Damage in the middle is concealed by repeating frames;
/// what is missing at the end is not, and ffmpeg ends with status 0 all the same.
fn all_decoded(plan: &Plan, tracks: &Tracks) -> Result<(), Failure> {
    let Some(video) = &plan.video else { return Ok(()) };
    for (rung, track) in video.renditions.iter().zip(&tracks.video) {
        let pieces = track.segments.iter().flat_map(|segment| &segment.pieces);
        let (made, planned) =
            (pieces.map(|piece| u64::from(piece.samples)).sum::<u64>(), video.frames_of(rung));
        if made < planned {
            return Err(Failure::new(
                FailureCode::DecodeFailed,
                format!("only {made} of {planned} frames could be decoded"),
            )
            .with("frames_decoded", made)
            .with("frames_expected", planned)
            .with("track", &track.folder));
        }
    }
    Ok(())
}

/// Tells a source that cannot be decoded from an encoder that failed, by ffmpeg's own words.
fn blame(failure: Failure) -> Failure {
    if failure.code != FailureCode::EncodeFailed {
        return failure;
    }
    let said = |words: &str| failure.evidence.values().any(|value| value.contains(words));
    let code = if said("Decoder (codec") || said("no decoder found") {
        FailureCode::UnsupportedCodec
    } else if said("Cannot determine format of input stream") || said("Error while decoding stream") {
        FailureCode::DecodeFailed
    } else {
        return failure;
    };
    Failure { code, message: "the streams of the file cannot be decoded".into(), ..failure }
}

/// Reads ffmpeg's progress reports.
struct Report {
    seconds: f64,
    share: (f32, f32),
    done: f64,
    speed: Option<f32>,
}

impl Report {
    fn new(seconds: f64, share: (f32, f32)) -> Self {
        Self { seconds: seconds.max(0.001), share, done: 0.0, speed: None }
    }

    /// Takes a line; at the end of a report gives the progress. Percent never falls.
    fn line(&mut self, line: &str) -> Option<Event> {
        match line.split_once('=')? {
            ("out_time_us", value) => {
                let seconds = value.trim().parse::<f64>().unwrap_or(0.0) / 1e6;
                self.done = self.done.max((seconds / self.seconds).clamp(0.0, 1.0));
                None
            }
            ("speed", value) => {
                self.speed =
                    value.trim().trim_end_matches('x').parse().ok().filter(|speed: &f32| speed.is_finite());
                None
            }
            ("progress", _) => {
                let (from, to) = self.share;
                #[allow(clippy::cast_possible_truncation, reason = "a share between 0 and 1")]
                let percent = from + (to - from) * self.done as f32;
                Some(Event::Progress { percent, speed: self.speed })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_a_share_of_the_whole_and_never_falls() {
        let mut report = Report::new(10.0, (5.0, 85.0));
        let mut at = |time: &str| {
            report.line("frame=12");
            report.line(&format!("out_time_us={time}"));
            report.line("speed=1.5x");
            match report.line("progress=continue") {
                Some(Event::Progress { percent, speed }) => (percent, speed),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(at("N/A"), (5.0, Some(1.5)));
        assert_eq!(at("5000000"), (45.0, Some(1.5)));
        assert_eq!(at("-100"), (45.0, Some(1.5)));
        assert_eq!(at("99000000"), (85.0, Some(1.5)));
    }

    #[test]
    fn a_source_that_cannot_be_decoded_is_not_an_encoders_failure() {
        let failed = |words| Failure::new(FailureCode::EncodeFailed, "x").with("stderr", words);
        assert_eq!(
            blame(failed("Cannot determine format of input stream 0:0")).code,
            FailureCode::DecodeFailed
        );
        assert_eq!(blame(failed("x264 fell over")).code, FailureCode::EncodeFailed);
    }
}
