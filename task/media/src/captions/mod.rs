//! Text subtitles and closed captions of the source as `WebVTT` renditions.

pub mod cea608;
mod inside;
mod look;

use std::{
    ffi::OsString,
    fs::File,
    io::{BufReader, Read},
    path::Path,
    time::Duration,
};

use transcode_config::contract::{Failure, FailureCode, Warning};

use crate::{
    examine::probe::{SourceInfo, TextStream, VideoStream},
    job::{Context, cannot_write},
    package::{
        captions::{Captions, WHOLE},
        folder::Folder,
        text,
    },
    plan::{Plan, unique},
    process::{Invocation, Limits, Tool, input_flags, local, words},
    rational::round_to_u64,
};

/// Largest text that ffmpeg may write for a track.
const MAX_BYTES: u64 = 16 << 20;
/// Bytes that all text segments together may hold, plus [`PER_SOURCE_BYTE`] for each byte of the source: a cue that
/// is shown for hours is in every segment of them.
const FREE_BYTES: u64 = 16 << 20;
/// See [`FREE_BYTES`].
const PER_SOURCE_BYTE: u64 = 4;

/// The language tag of a track whose language is unknown (RFC 5646).
const UNKNOWN: &str = "und";

/// Makes a rendition of each text track and of each caption channel in the video stream, for the used part of the
/// source. A track that cannot be read, or would become too large, is left out with a warning; it does not fail the
/// job.
///
/// Works on one track after the other, so that only the cues of one are in memory.
pub(crate) async fn make(
    context: &Context<'_>,
    source: &mut SourceInfo,
    plan: &Plan,
    package: &mut Folder,
) -> Result<Vec<Captions>, Failure> {
    let work = context.job.work.join("text");
    std::fs::create_dir_all(&work).map_err(|error| cannot_write("text", &error))?;
    let mut made = Made { all: Vec::new(), room: FREE_BYTES + source.size.saturating_mul(PER_SOURCE_BYTE) };
    for stream in source.text.clone() {
        let what = format!("subtitle ({})", stream.codec);
        match or_too_bad(extract(context, &stream, &work, plan).await)? {
            Some(Some(cues)) => {
                let cues = text::from(cues, millis(plan.begin));
                made.publish(&stream, &cues, "text", source, plan, package)?;
            }
            Some(None) => source.skip(stream.index, what, "it holds more text than is read of a track"),
            None => source.skip(stream.index, what, "its text cannot be read"),
        }
    }
    for (stream, cues) in inside_the_video(context, source, plan, &work).await? {
        made.publish(&stream, &cues, "captions", source, plan, package)?;
    }
    std::fs::remove_dir_all(&work).ok();
    Ok(made.all)
}

/// The renditions so far, and how many bytes their segments may still take.
struct Made {
    all: Vec<Captions>,
    room: u64,
}

impl Made {
    fn publish(
        &mut self,
        stream: &TextStream,
        cues: &[text::Cue],
        otherwise: &str,
        source: &mut SourceInfo,
        plan: &Plan,
        package: &mut Folder,
    ) -> Result<(), Failure> {
        let what = || format!("subtitle ({})", stream.codec);
        if cues.is_empty() {
            source.skip(stream.index, what(), "it has no text");
            return Ok(());
        }
        let bytes = text::segment_bytes(cues);
        if bytes > self.room {
            let why = "its texts are shown so long that their segments would be too large";
            source.skip(stream.index, what(), why);
            return Ok(());
        }
        self.room -= bytes;
        let known = stream.language.clone().filter(|language| language != UNKNOWN);
        let name = unique(known.clone(), otherwise, |name| self.all.iter().any(|one| one.name == name));
        let label = stream.title.clone().or(known);
        let label = unique(label, "Subtitles", |label| self.all.iter().any(|one| one.label == label));
        self.all.push(publish(name.to_ascii_lowercase(), label, stream, cues, plan.seconds, package)?);
        Ok(())
    }
}

fn millis(seconds: f64) -> u64 {
    round_to_u64(seconds * 1000.0)
}

/// None if ffmpeg could not make the text, or would have made it too large.
fn or_too_bad<T>(result: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match result {
        Ok(result) => Ok(Some(result)),
        Err(failure) if matches!(failure.code, FailureCode::EncodeFailed | FailureCode::OutputTooLarge) => {
            tracing::warn!(%failure, "a text of the source cannot be read");
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

/// Each caption channel in the video stream, with its cues.
async fn inside_the_video(
    context: &Context<'_>,
    source: &mut SourceInfo,
    plan: &Plan,
    work: &Path,
) -> Result<Vec<(TextStream, Vec<text::Cue>)>, Failure> {
    let Some(video) = source.video.clone() else { return Ok(Vec::new()) };
    let found = look::look(context, &video, plan, work).await?;
    if found == Some(false) {
        return Ok(Vec::new());
    }
    let read = or_too_bad(inside::read(context, &video, plan, work).await)?;
    let lost = match &read {
        Some(channels) if channels.is_empty() => Some("there is no text of CEA-608 in them"),
        Some(_) => None,
        None => Some("they cannot be read"),
    };
    // A damaged stream may have had no captions.
    if let (Some(_), Some(why)) = (found, lost) {
        source.warn(
            Warning::CaptionsDropped,
            format!("captions in stream {} (CEA-608/708): {why}", video.index),
        );
    }
    let channels = read.unwrap_or_default().into_iter();
    let language = context.job.profile.audio.default_language.as_deref();
    let texts =
        channels.map(|(name, cues)| (inside_of(&video, name, language), text::from(cues, millis(plan.lead))));
    Ok(texts.collect())
}

/// The channel that is in the language of the programme (47 CFR 79.101).
const OF_THE_PROGRAMME: &str = "CC1";

/// The text stream of a caption channel. No container names its language. `language`: of what has none.
fn inside_of(video: &VideoStream, channel: &str, language: Option<&str>) -> TextStream {
    let language = language.filter(|_| channel == OF_THE_PROGRAMME).unwrap_or(UNKNOWN);
    TextStream {
        index: video.index,
        codec: "eia_608".into(),
        language: Some(language.into()),
        title: Some(channel.into()),
        default: false,
        forced: false,
        hearing_impaired: true,
    }
}

fn publish(
    name: String,
    label: String,
    stream: &TextStream,
    cues: &[text::Cue],
    seconds: f64,
    package: &mut Folder,
) -> Result<Captions, Failure> {
    let folder = format!("text/{name}");
    let mut durations = Vec::new();
    for segment in text::segments(cues, seconds) {
        durations.push(segment.seconds());
        package.write_with(&format!("{folder}/{:05}.vtt", durations.len()), |to| segment.write(to))?;
    }
    package.write_with(&format!("{folder}/{WHOLE}"), |to| text::write_whole(to, cues))?;
    Ok(Captions { name, label, stream: stream.clone(), folder, cues: cues.len(), segments: durations })
}

/// The cues of a track; none if they take more memory than a track may.
async fn extract(
    context: &Context<'_>,
    stream: &TextStream,
    work: &Path,
    plan: &Plan,
) -> Result<Option<Vec<text::Cue>>, Failure> {
    const FILE: &str = "text.vtt";
    let mut args = words("-hide_banner -nostdin -y -loglevel repeat+level+warning -nostats -progress pipe:1");
    args.extend(input_flags().into_iter().map(OsString::from));
    args.push("-i".into());
    args.push(local(context.job.input));
    let map = format!("0:{}", stream.index);
    args.extend(["-map", &map, "-c:s", "webvtt", "-f", "webvtt", FILE].map(OsString::from));
    let call = Invocation {
        tool: Tool::Ffmpeg,
        args,
        input: Some(context.job.input.to_owned()),
        extra_inputs: Vec::new(),
        output_dir: Some(work.to_owned()),
        limits: Limits {
            wall: Duration::from_hours(1),
            // Between two texts of a long film ffmpeg may report nothing.
            stall: Duration::from_mins(30),
            cpu_seconds: 3600,
            memory_bytes: 4 << 30,
            file_bytes: MAX_BYTES,
            output_bytes: MAX_BYTES,
            stdout_bytes: 16 << 10,
        },
    };
    context.tools.run(call, &mut |_| (), context.stop).await?;
    let (file, end) = (work.join(FILE), millis(plan.begin + plan.seconds));
    let ass = ["ass", "ssa"].contains(&stream.codec.as_str());
    let reading = tokio::task::spawn_blocking(move || {
        File::open(file).and_then(|file| text::read(BufReader::new(file.take(MAX_BYTES)), end, ass))
    });
    let cues = reading
        .await
        .map_err(|error| Failure::new(FailureCode::Internal, "reading a text failed").with("error", error))?;
    cues.map_err(|error| cannot_write(FILE, &error))
}
