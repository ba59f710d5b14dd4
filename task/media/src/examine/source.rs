//! Examines the source with ffprobe: its headers, then the time of every packet.

use std::{
    ffi::OsString,
    fs::File,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::task::JoinHandle;
use transcode_config::{
    contract::{Failure, FailureCode, Warning},
    ladder::Profile,
};

use super::{
    crop::{self, Crop},
    edits, fields,
    probe::{self, AudioStream, SourceInfo, VideoStream, frames, shape},
    scan::{self, Scan},
    splice::Splice,
    structure, tags,
    transport::{self, Transport},
};
use crate::{
    job::{Context, MediaJob, cannot_write},
    process::{Invocation, Limits, Tool, input_flags, local, words},
};

/// Largest answer of ffprobe. A file with the largest number of accepted streams stays far below.
const PROBE_BYTES: usize = 4 << 20;
/// Largest list of packets. A line for each packet has 30 bytes; 12 hours of 60 frames and 47 audio frames a second
/// are 150 MB.
const SCAN_BYTES: usize = 1 << 30;

/// A source that can be transcoded.
pub(crate) struct Examined {
    pub(crate) source: SourceInfo,
    pub(crate) scan: Scan,
    /// The file to read in place of the job's, where parts of its video were joined, or time stamps or edits were put
    /// right.
    pub(crate) joined: Option<PathBuf>,
}

/// Probes and scans the source. Refuses by name a source that cannot be transcoded.
pub(crate) async fn examine(context: &Context<'_>) -> Result<Examined, Failure> {
    let found = look(context).await?;
    if found.info.is_one_of(&["mov"]) {
        let edits = blocking(context.job.input, |input| structure::edits(&mut File::open(input)?)).await?;
        if !edits.is_empty() {
            let to = context.job.work.join("joined");
            copy(context.job.input, &to, move |from, to| edits::copy(from, to, &edits)).await?;
            let (source, scan) = again(context, &to).await?;
            return Ok(Examined { source, scan, joined: Some(to) });
        }
    }
    let parts = probe::video_parts(&found.info, &found.scan)?;
    let repairs = found.headers.repairs(&found.info);
    let stamps: Vec<_> = repairs.iter().map(|(_, repair)| *repair).collect();
    let splice = Splice::new(parts.iter().map(|part| part.ids)).repairing(&stamps);
    if splice.is_empty() {
        let (source, scan) = finish(context, found).await?;
        return Ok(Examined { source, scan, joined: None });
    }
    let to = context.job.work.join("joined");
    let flv = found.info.is_one_of(&["flv"]);
    copy(
        context.job.input,
        &to,
        move |from, to| {
            if flv { tags::copy(from, to, &stamps) } else { splice.copy(from, to) }
        },
    )
    .await?;
    let (mut source, scan) = again(context, &to).await?;
    for part in parts {
        source.warn(Warning::Joined, part.what);
    }
    if let Some((index, first)) = repairs.first() {
        let (count, by) = (repairs.len(), first.by);
        source.warn(
            Warning::Damaged,
            format!(
                "{count} time stamps are broken, the first by {by:.2} s (stream {index}); they were put right"
            ),
        );
    }
    Ok(Examined { source, scan, joined: Some(to) })
}

/// Examines the copy that was made of the source.
async fn again(context: &Context<'_>, copy: &Path) -> Result<(SourceInfo, Scan), Failure> {
    let job = MediaJob { input: copy, ..*context.job };
    let context = &Context { job: &job, ..*context };
    finish(context, look(context).await?).await
}

/// What ffprobe and the headers of packets say of a file.
struct Found {
    info: SourceInfo,
    scan: Scan,
    headers: Transport,
}

async fn look(context: &Context<'_>) -> Result<Found, Failure> {
    let (ending, size) = blocking(context.job.input, |input| {
        let mut file = File::open(input)?;
        let size = file.metadata()?.len();
        Ok(structure::inspect(&mut file)?.map(|ending| (ending, size)))
    })
    .await??;
    // In parallel with ffprobe, which reads the same bytes.
    let headers =
        tokio::spawn(blocking(context.job.input, |input| File::open(input).and_then(transport::read)));
    let described = describe(context, size).await;
    if let (Err(failure), false) = (&described, context.stop.is_cancelled()) {
        return Err(heard(headers).await?.explain(failure.clone()));
    }
    let mut info = described?;
    info.ending = ending;
    let limit = context.job.profile.max_duration_seconds;
    // Refuses early, before hours of packets are read. The header may be wrong, hence the tolerance. Some containers
    // count from 0 and not from the first frame; for others ffprobe only estimates, on clocks that may jump.
    let claimed = info.duration.filter(|_| info.declares_streams() || info.declares_file());
    let claimed = claimed.map(|duration| duration.min(duration - info.start));
    let claimed = claimed.filter(|_| context.job.clip.is_none());
    if let Some(claimed) = claimed.filter(|&claimed| claimed > 1.5 * Duration::from_secs(limit).as_secs_f64())
    {
        return Err(too_long(claimed, context.job.profile));
    }
    let scan = packets(context, &info).await?;
    probe::join_programmes(&mut info, &scan);
    Ok(Found { info, scan, headers: heard(headers).await? })
}

/// Chooses the streams, and completes what is known of them.
async fn finish(
    context: &Context<'_>,
    Found { mut info, mut scan, headers }: Found,
) -> Result<(SourceInfo, Scan), Failure> {
    probe::join_audio(&mut info, &mut scan);
    probe::choose(&mut info, &scan);
    headers.judge(&mut info)?;
    cut(context, &mut info);
    first_frames(context, &mut info).await?;
    later_shapes(context, &mut info, &scan).await?;
    if let Some(video) = &mut info.video
        && let Some(timing) = scan.timing(video.index, video.time_base)
    {
        video.combed = fields::look(context, video, &timing).await?;
    }
    note(&mut info);
    if info.is_one_of(&["mov"])
        && let Some(speed) =
            blocking(context.job.input, |input| structure::speed(&mut File::open(input)?)).await?
    {
        info.warn(
            Warning::Speed,
            format!("the file asks for {speed:.2} times the speed in a part; it is played at its own speed"),
        );
    }
    Ok((info, scan))
}

async fn copy(
    from: &Path,
    to: &Path,
    copy: impl FnOnce(File, File) -> io::Result<()> + Send + 'static,
) -> Result<(), Failure> {
    let to = to.to_owned();
    blocking(from, move |from| {
        let written = File::create(&to).and_then(|to| copy(File::open(from)?, to));
        Ok(written.map_err(|error| cannot_write("joined", &error)))
    })
    .await?
}

async fn heard(headers: JoinHandle<Result<Transport, Failure>>) -> Result<Transport, Failure> {
    headers.await.map_err(|error| unreadable(&error))?
}

/// Reads a file off the async threads.
fn blocking<T: Send + 'static>(
    input: &Path,
    read: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> impl Future<Output = Result<T, Failure>> + 'static {
    let input = input.to_owned();
    let reading = tokio::task::spawn_blocking(move || read(&input));
    async { reading.await.map_err(|error| unreadable(&error))?.map_err(|error| unreadable(&error)) }
}

fn unreadable(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(FailureCode::Internal, "the source cannot be read").with("error", error)
}

/// The refusal of a source that lasts longer than the profile allows.
pub(crate) fn too_long(seconds: f64, profile: &Profile) -> Failure {
    Failure::new(FailureCode::TooLong, format!("the source lasts {seconds:.0} s"))
        .with("seconds", format!("{seconds:.3}"))
        .with("allowed_seconds", profile.max_duration_seconds)
        .with("profile", &profile.name)
}

/// Records what a viewer should know about streams that are not reproduced exactly.
fn note(info: &mut SourceInfo) {
    if let Some(index) = info.video.as_ref().filter(|video| video.alpha).map(|video| video.index) {
        info.warn(Warning::Alpha, format!("stream {index} can be transparent; it is shown over black"));
    }
    if let Some(index) = info
        .video
        .as_ref()
        .filter(|video| video.alpha_mode == Some(1) && !video.alpha)
        .map(|video| video.index)
    {
        info.warn(
            Warning::Alpha,
            format!("stream {index} has its transparency beside the frames; the frames are shown whole"),
        );
    }
    let matrix = info.video.as_ref().and_then(|video| {
        let name = video.color.unknown_matrix()?.to_owned();
        Some((video.index, if video.color.is_hdr() { "bt2020nc" } else { "that of its size" }, name))
    });
    if let Some((index, read_as, name)) = matrix {
        info.warn(Warning::Colours, format!("stream {index} has the matrix {name}; it is read as {read_as}"));
    }
    if let Some((index, crop)) =
        info.video.as_ref().map(|video| (video.index, video.crop)).filter(|(_, crop)| crop.any())
    {
        let Crop { left, right, top, bottom, .. } = crop;
        info.warn(Warning::Cropped, format!("stream {index} loses {left} pixels on the left, {right} on the right, {top} at the top, {bottom} at the bottom, as the file asks"));
    }
    let views = info.video.as_ref().and_then(|video| Some((video.index, video.stereo.clone()?)));
    if let Some((index, stereo)) = views {
        info.warn(
            Warning::Stereo3d,
            format!("stream {index} holds 2 views ({stereo}) in each frame; they are shown as they are"),
        );
    }
    if !info.chapters.is_empty() {
        let count = info.chapters.len();
        info.warn(
            Warning::Chapters,
            format!("{count} chapters are listed in source.chapters; players do not show them"),
        );
    }
    for audio in info.audio.clone().iter().filter(|audio| !audio.has_speakers()) {
        let AudioStream { index, channels, layout, .. } = audio;
        let layout = layout.as_deref().unwrap_or("no layout");
        info.warn(
            Warning::Channels,
            format!("stream {index} has {channels} channels ({layout}); they are mixed evenly"),
        );
    }
}

/// Takes over which edges a Matroska file wants to be cut off.
fn cut(context: &Context<'_>, info: &mut SourceInfo) {
    let Some(video) =
        info.video.as_mut().filter(|video| info.container.contains("matroska") && !video.crop.done)
    else {
        return;
    };
    // Edges are no reason to fail.
    let crops = File::open(context.job.input).and_then(crop::read).unwrap_or_default();
    video.cut_off(&crops);
}

/// Reads what only frames say. A video that cannot be decoded fails later, by name.
async fn first_frames(context: &Context<'_>, info: &mut SourceInfo) -> Result<(), Failure> {
    let known = |video: &&mut VideoStream| frames::CODECS.contains(&video.codec.as_str());
    let Some(video) = info.video.as_mut().filter(known) else { return Ok(()) };
    let (stream, packets) = (video.index.to_string(), format!("%+#{}", frames::PACKETS));
    let what = ["-select_streams", &stream, "-read_intervals", &packets, "-show_entries", frames::ENTRIES];
    let call = call(context, &[&what[..], &["-of", "json"]].concat(), PROBE_BYTES);
    match context.tools.run(call, &mut |_| (), context.stop).await {
        Ok(finished) => frames::complete(video, &finished.stdout),
        Err(failure) if failure.code == FailureCode::Interrupted => return Err(failure),
        Err(failure) => tracing::warn!(%failure, "the first frames cannot be read"),
    }
    Ok(())
}

/// Containers of broadcasts, and those that they are copied to.
const OF_BROADCASTS: [&str; 4] = ["mpegts", "mpeg", "matroska", "mxf"];

/// Looks for changes of the picture's shape.
async fn later_shapes(context: &Context<'_>, info: &mut SourceInfo, scan: &Scan) -> Result<(), Failure> {
    let Some(video) = info.video.as_ref().filter(|video| info.is_one_of(&OF_BROADCASTS) && !video.crop.any())
    else {
        return Ok(());
    };
    let Some(timing) = scan.timing(video.index, video.time_base) else { return Ok(()) };
    let place = |part| {
        let at = timing.start + (timing.end - timing.start) * part;
        format!("{at:.3}%+#{}", shape::PACKETS)
    };
    let (stream, places) = (video.index.to_string(), shape::PLACES.map(place).join(","));
    let what = ["-skip_frame", "nokey", "-select_streams", &stream, "-read_intervals", &places];
    let what = [&what[..], &["-show_entries", shape::ENTRIES, "-of", "json"]].concat();
    match context.tools.run(call(context, &what, PROBE_BYTES), &mut |_| (), context.stop).await {
        Ok(finished) => {
            let told = info.video.as_mut().and_then(|video| shape::complete(video, &finished.stdout));
            if let Some(words) = told {
                info.warn(Warning::ShapeChanges, words);
            }
        }
        Err(failure) if failure.code == FailureCode::Interrupted => return Err(failure),
        Err(failure) => tracing::warn!(%failure, "the shape of later frames cannot be read"),
    }
    Ok(())
}

async fn describe(context: &Context<'_>, size: u64) -> Result<SourceInfo, Failure> {
    let call = call(
        context,
        &["-show_format", "-show_streams", "-show_programs", "-show_chapters", "-of", "json"],
        PROBE_BYTES,
    );
    match context.tools.run(call, &mut |_| (), context.stop).await {
        Ok(finished) => {
            let too_large = finished.stderr_tail.contains("exceeds specified max pixel count");
            let info = probe::parse(&finished.stdout, size);
            match info {
                Err(failure) if too_large => Err(pixels(&failure)),
                other => other,
            }
        }
        Err(failure) => Err(refusal(failure)),
    }
}

fn pixels(failure: &Failure) -> Failure {
    Failure::new(FailureCode::TooManyPixels, "the video is larger than a decoder may open")
        .with("allowed_pixels", crate::process::MAX_PIXELS)
        .with("ffprobe", &failure.message)
}

/// The refusal that ffprobe's failure stands for.
fn refusal(failure: Failure) -> Failure {
    let said = |words: &str| failure.evidence.values().any(|value| value.contains(words));
    // ffmpeg has a limit of its own, and calls a file beyond it one for which it has no memory.
    if failure.code == FailureCode::MemoryLimit && said("Number of streams exceeds max_streams") {
        let allowed = probe::MAX_STREAMS;
        let too_many = Failure { code: FailureCode::TooManyStreams, ..failure };
        return Failure { message: "the file has more streams than are looked at".into(), ..too_many }
            .with("allowed", allowed);
    }
    if failure.code != FailureCode::EncodeFailed {
        return failure;
    }
    let (code, message) = if said("not on whitelist") {
        (FailureCode::UnsupportedContainer, "the container of the file is not one of the accepted ones")
    } else {
        (FailureCode::NotMedia, "the file is not media of an accepted kind")
    };
    Failure { code, message: message.into(), ..failure }
}

/// Whether this ffmpeg can bring high dynamic range to standard range.
pub(crate) async fn can_tone_map(context: &Context<'_>) -> Result<(), Failure> {
    let limits = call(context, &[], PROBE_BYTES).limits;
    let args = ["-hide_banner", "-filters"].map(OsString::from).to_vec();
    let call =
        Invocation { input: None, ..Invocation::reading(Tool::Ffmpeg, context.job.input, args, limits) };
    let (mut zscale, mut tonemap) = (false, false);
    let mut look = |line: &str| {
        let name = line.split_whitespace().nth(1);
        zscale |= name == Some("zscale");
        tonemap |= name == Some("tonemap");
    };
    context.tools.run(call, &mut look, context.stop).await?;
    if zscale && tonemap {
        return Ok(());
    }
    let info = FailureCode::HdrUnsupported.info();
    Err(Failure::new(FailureCode::HdrUnsupported, info.meaning)
        .with("zscale", zscale)
        .with("tonemap", tonemap))
}

async fn packets(context: &Context<'_>, info: &SourceInfo) -> Result<Scan, Failure> {
    let call = call(context, &["-show_entries", scan::ENTRIES, "-of", "compact=p=0:nk=1"], SCAN_BYTES);
    let mut scan = Scan::of(info);
    context.tools.run(call, &mut |line| scan.line(line), context.stop).await.map_err(
        |failure| match failure.code {
            FailureCode::EncodeFailed => Failure {
                code: FailureCode::SourceTruncated,
                message: "the file cannot be read to its end".into(),
                ..failure
            },
            _ => failure,
        },
    )?;
    Ok(scan)
}

fn call(context: &Context<'_>, what: &[&str], stdout_bytes: usize) -> Invocation {
    let mut args = words("-hide_banner -loglevel error");
    args.extend(input_flags().into_iter().map(OsString::from));
    args.extend(what.iter().map(OsString::from));
    args.push(local(context.job.input));
    let limits = Limits {
        wall: Duration::from_hours(1),
        stall: Duration::from_mins(5),
        cpu_seconds: 3600,
        memory_bytes: 4 << 30,
        file_bytes: 0,
        output_bytes: 0,
        stdout_bytes,
    };
    Invocation::reading(Tool::Ffprobe, context.job.input, args, limits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ffprobe_says_becomes_a_code() {
        let failed = |words| Failure::new(FailureCode::EncodeFailed, "x").with("stderr", words);
        for (words, code) in [
            ("[x] Format not on whitelist 'mov'", FailureCode::UnsupportedContainer),
            // The bytes of a real MP4 have been looked at before; this is something that only resembles one.
            ("moov atom not found", FailureCode::NotMedia),
            ("Invalid data found when processing input", FailureCode::NotMedia),
        ] {
            assert_eq!(refusal(failed(words)).code, code, "{words}");
        }
        let memory = |words| Failure::new(FailureCode::MemoryLimit, "x").with("stderr", words);
        let many = "[x] Number of streams exceeds max_streams parameter (1000), see the documentation";
        assert_eq!(refusal(memory(many)).code, FailureCode::TooManyStreams);
        assert_eq!(refusal(memory("Cannot allocate memory")).code, FailureCode::MemoryLimit);
        let crashed = Failure::new(FailureCode::EncoderCrashed, "x");
        assert_eq!(refusal(crashed.clone()), crashed);
    }
}
