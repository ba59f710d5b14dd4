//! Converts a track whose format changes in the middle of the file: 5.1 for the film, stereo for the advertisement,
//! another sample rate after a splice.
//!
//! ffmpeg builds a new filter graph whenever the format of its input changes, and filters that count (silence before
//! a late track, the samples of the result) begin again. So such a track is decoded once, converted to one format by
//! filters without state, and stored with its times. Later steps read that file instead of the source's track.

use std::{
    ffi::OsString,
    fmt::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;
use transcode_config::contract::Failure;

use crate::{
    encode::blame,
    job::{Context, cannot_write},
    plan::{AudioPlan, Even, Plan, SAMPLE_RATE, SURROUND, seek},
    process::{Finished, Invocation, Limits, Tool, input_flags, local, words},
    rational::round_to_u64,
};

/// Bytes of a sample of one channel: 16 bits.
const SAMPLE_BYTES: f64 = 2.0;

/// Converts the track of an audio rendition to one format. Of a track that goes on as another stream, each part is
/// decoded by a decoder of its own.
pub(crate) async fn out(context: &Context<'_>, plan: &Plan, number: usize) -> Result<Option<Even>, Failure> {
    let Some(audio) = plan.audio.get(number) else { return Ok(None) };
    let folder = context.job.work.join("even");
    std::fs::create_dir_all(&folder).map_err(|error| cannot_write("even", &error))?;
    let seconds = plan.lead + plan.seconds;
    let bytes =
        (64 << 20) + round_to_u64(seconds * f64::from(SAMPLE_RATE * audio.channels) * SAMPLE_BYTES * 1.1);
    let limits = Limits { file_bytes: bytes, output_bytes: bytes * 64, ..limits(plan.lead) };
    let own = [audio.stream.index];
    let streams = if audio.stream.parts.is_empty() { &own[..] } else { &audio.stream.parts };
    let name = |part: usize| format!("{number}-{part}.mkv");
    let args = arguments(plan, audio, context.job.input, streams.iter().copied().zip((0..).map(name)));
    let call = Invocation::reading(Tool::Ffmpeg, context.job.input, args, limits);
    let call = Invocation { output_dir: Some(folder.clone()), ..call };
    context.tools.run(call, &mut |_| (), context.stop).await.map_err(blame)?;
    let mut parts = Vec::new();
    for part in 0..streams.len() {
        let file = folder.join(name(part));
        let start = begins(context, &file).await?;
        parts.extend(start.map(|start| Even { file, start }));
    }
    if parts.len() < 2 {
        return Ok(parts.pop());
    }
    join(context, &parts, (folder, format!("{number}.mkv")), limits).await.map(Some)
}

/// Puts the parts of a track one behind the other, each at its time.
async fn join(
    context: &Context<'_>,
    parts: &[Even],
    (folder, name): (PathBuf, String),
    limits: Limits,
) -> Result<Even, Failure> {
    let mut args = words("-hide_banner -nostdin -y -loglevel repeat+level+warning -nostats -progress pipe:1");
    let (mut graph, mut all) = (String::new(), String::new());
    for (number, part) in parts.iter().enumerate() {
        args.extend(words("-protocol_whitelist file -format_whitelist matroska -i"));
        args.push(local(&part.file));
        let _ = write!(graph, "[{number}:a]aresample={SAMPLE_RATE}:async=1:first_pts=0");
        if let Some(next) = parts.get(number + 1).filter(|next| next.start > part.start) {
            let samples = round_to_u64((next.start - part.start) * f64::from(SAMPLE_RATE)).max(1);
            let _ = write!(graph, ",apad=whole_len={samples},atrim=end_sample={samples}");
        }
        let _ = write!(graph, "[p{number}];");
        let _ = write!(all, "[p{number}]");
    }
    let _ = write!(graph, "{all}concat=n={}:v=0:a=1[o]", parts.len());
    args.extend(["-filter_complex", &graph, "-map", "[o]"].map(OsString::from));
    args.extend(words(&format!("{STORED} {name}")));
    let start = parts.iter().map(|part| part.start).fold(f64::INFINITY, f64::min);
    let inputs = parts.iter().skip(1).map(|part| part.file.clone()).collect();
    let first = parts.first().map(|part| part.file.clone()).unwrap_or_default();
    let call = Invocation::reading(Tool::Ffmpeg, &first, args, limits);
    let call = Invocation { extra_inputs: inputs, output_dir: Some(folder.clone()), ..call };
    context.tools.run(call, &mut |_| (), context.stop).await?;
    Ok(Even { file: folder.join(name), start })
}

/// How a converted track is stored.
const STORED: &str = "-c:a pcm_s16le -map_metadata -1 -map_chapters -1 -fflags +bitexact -f matroska";

/// Decodes a track only to learn whether its format changes, where no other run reads it.
pub(crate) async fn listen(
    context: &Context<'_>,
    plan: &Plan,
    audio: &AudioPlan,
) -> Result<Finished, Failure> {
    let mut args = words("-hide_banner -nostdin -loglevel verbose -nostats -progress pipe:1");
    args.extend(input_flags().into_iter().chain(seek(plan)).map(OsString::from));
    args.push("-i".into());
    args.push(local(context.job.input));
    args.extend(words(&format!(
        "-map 0:{} -t {:.3} -f null -",
        audio.stream.index,
        plan.lead + plan.seconds
    )));
    let call = Invocation::reading(Tool::Ffmpeg, context.job.input, args, limits(plan.lead));
    context.tools.run(call, &mut |_| (), context.stop).await.map_err(blame)
}

/// `parts`: streams and the files that they go to.
fn arguments(
    plan: &Plan,
    audio: &AudioPlan,
    input: &Path,
    parts: impl Iterator<Item = (u32, String)>,
) -> Vec<OsString> {
    let mut args = words("-hide_banner -nostdin -y -loglevel repeat+level+warning -nostats -progress pipe:1");
    args.extend(input_flags().into_iter().chain(seek(plan)).map(OsString::from));
    args.push("-i".into());
    args.push(local(input));
    let layout = if audio.channels == SURROUND { "5.1" } else { "stereo" };
    let seconds = plan.lead + plan.seconds;
    for (part, (stream, name)) in parts.enumerate() {
        let resumes =
            part.checked_sub(1).and_then(|part| audio.stream.resumes.get(part)).filter(|&&at| at > 0.0);
        let from = resumes.map(|at| format!("atrim=start={at:.3},")).unwrap_or_default();
        args.extend(words(&format!(
            "-map 0:{stream} -af {from}aresample={SAMPLE_RATE}:rematrix_maxval=1,aformat=channel_layouts={layout} \
             -t {seconds:.3} {STORED} {name}",
        )));
    }
    // The video is decoded and dropped: where clocks jump, time begins with the first stream that is used.
    if let Some(video) = &plan.video {
        args.extend(words(&format!("-map 0:{} -c copy -f null -", video.stream.index)));
    }
    args
}

/// When the first packet of the file is due; none if the file has no packets.
async fn begins(context: &Context<'_>, file: &Path) -> Result<Option<f64>, Failure> {
    let mut args = words("-hide_banner -loglevel error -protocol_whitelist file -format_whitelist matroska");
    args.extend(words("-show_entries format=start_time -of json"));
    args.push(local(file));
    let call = Invocation::reading(Tool::Ffprobe, file, args, limits(0.0));
    let answer = context.tools.run(call, &mut |_| (), context.stop).await?;
    let answer: Value = serde_json::from_slice(&answer.stdout).unwrap_or_default();
    let start = answer.pointer("/format/start_time").and_then(Value::as_str);
    Ok(start.and_then(|start| start.parse().ok()))
}

/// Limits for decoding a whole track. `lead`: seconds of input that ffmpeg decodes and drops, writing nothing meanwhile.
pub(super) fn limits(lead: f64) -> Limits {
    let silent = Duration::from_secs(round_to_u64(lead));
    Limits {
        wall: Duration::from_hours(3) + silent,
        stall: Duration::from_mins(3) + silent,
        cpu_seconds: 6 * 3600,
        memory_bytes: 4 << 30,
        file_bytes: 0,
        output_bytes: 0,
        stdout_bytes: 16 << 10,
    }
}
