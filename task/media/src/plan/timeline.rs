//! When the result begins and ends, and whether the source is all there. Pure.

use transcode_config::contract::{Clip, Failure, FailureCode};

use super::{proportion, rate};
use crate::{
    examine::{
        probe::{Skipped, SourceInfo},
        scan::{Scan, Timing},
    },
    rational::{Rational, float},
};

/// How much of a declared duration may be missing besides two frames, in seconds. Muxers round, and the last packet's
/// duration is often unknown; a cut upload misses more.
const MISSING: f64 = 0.5;
/// Sound that runs on this much longer than the picture is cut with it; beyond it, the last picture stands still.
const OVERHANG: f64 = 0.1;

/// Containers whose header says how long the media is. For others ffprobe's duration is an estimate from the size.
const DECLARING: &[&str] = &["mov", "matroska", "avi", "flv", "asf", "wav", "w64", "mxf", "caf", "aiff"];

/// When things happen, in seconds from the beginning of the source.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    /// Where the result begins: 0 without a clip, and always the beginning of a frame.
    pub begin: f64,
    /// Constant frame rate and where the picture ends by itself; none for sound alone.
    pub video: Option<VideoTime>,
    /// For each sound track of the source, where it ends by itself.
    pub audio_ends: Vec<f64>,
    /// Where the result ends.
    pub end: f64,
}

/// Timing of the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VideoTime {
    /// Constant frame rate.
    pub rate: Rational,
    /// Where the last frame of the source ends.
    pub end: f64,
}

/// Removes streams that turned out to be empty, refuses a source that is not all there, and lays out the timeline.
pub fn lay_out(source: &mut SourceInfo, scan: &Scan) -> Result<Timeline, Failure> {
    drop_empty(source, scan)?;
    let start = source.start;
    let mut content: f64 = 0.0;
    let mut video_time = None;
    if let Some(video) = &source.video
        && let Some(timing) = scan.timing(video.index, video.time_base)
    {
        let rate = rate::choose(video, &timing);
        // Where the container gives the last frame no duration, it is shown as long as the others.
        let end = if timing.end > timing.last { timing.end } else { timing.last + 1.0 / rate.value() };
        complete(source, &timing, end, video.duration, 2.0 / rate.value())?;
        content = content.max(end);
        let rate = proportion::limit(rate, end - start, timing.packets, source.size);
        video_time = Some(VideoTime { rate, end: (end - start).max(1.0 / rate.value()) });
    }
    let mut audio_ends = Vec::new();
    for audio in &source.audio {
        let Some(timing) = scan.timing(audio.index, audio.time_base) else { continue };
        complete(source, &timing, timing.end, audio.duration, 0.1)?;
        content = content.max(timing.end);
        audio_ends.push((timing.end - start).max(0.0));
    }
    whole(source, scan, content)?;
    let longest = audio_ends.iter().copied().fold(0.0, f64::max);
    let end = match video_time {
        Some(video) if longest <= video.end + OVERHANG => video.end,
        _ => longest,
    };
    if !end.is_finite() || end <= 0.0 {
        return Err(Failure::new(FailureCode::NothingToPlay, "the streams of the file have no duration"));
    }
    Ok(Timeline { begin: 0.0, video: video_time, audio_ends, end })
}

impl Timeline {
    /// The part of it that a clip asks for. Both ends move to the nearest frame, so that picture and sound begin and end
    /// with each other; where the source ends before the clip does, so does the result.
    pub fn clipped(self, clip: Clip) -> Result<Self, Failure> {
        let frame = |seconds: f64| match self.video {
            Some(VideoTime { rate, .. }) => rate.seconds_of(rate.frames_in(seconds)),
            None => seconds,
        };
        let seconds = |ms: u64| float(ms) / 1000.0;
        let begin = frame(seconds(clip.start_ms));
        let end = clip.end_ms.map_or(self.end, |ms| frame(seconds(ms)).min(self.end));
        // Less than a frame, or a hundredth of a second of sound, is nothing to play.
        let least = self.video.map_or(0.01, |video| 0.5 / video.rate.value());
        if end - begin < least {
            return Err(Failure::new(FailureCode::ClipOutside, FailureCode::ClipOutside.info().meaning)
                .with("clip_start_ms", clip.start_ms)
                .with("source_seconds", format!("{:.3}", self.end)));
        }
        Ok(Self { begin, end, ..self })
    }
}

fn drop_empty(source: &mut SourceInfo, scan: &Scan) -> Result<(), Failure> {
    const WHY: &str = "it has no packets";
    let empty = |index, time_base| scan.timing(index, time_base).is_none();
    if let Some(video) = source.video.take_if(|video| empty(video.index, video.time_base)) {
        if video.duration.is_some_and(|declared| declared > MISSING) {
            return Err(missing("video", 0.0, video.duration.unwrap_or_default()));
        }
        source.skipped.push(Skipped {
            index: video.index,
            what: format!("video ({})", video.codec),
            why: WHY,
        });
    }
    let (kept, dropped): (Vec<_>, Vec<_>) =
        source.audio.drain(..).partition(|audio| !empty(audio.index, audio.time_base));
    source.audio = kept;
    for audio in dropped {
        source.skipped.push(Skipped {
            index: audio.index,
            what: format!("audio ({})", audio.codec),
            why: WHY,
        });
    }
    if source.video.is_none() && source.audio.is_empty() {
        return Err(Failure::new(FailureCode::NothingToPlay, "the streams of the file are empty"));
    }
    Ok(())
}

fn declares(source: &SourceInfo) -> bool {
    source.container.split(',').any(|name| DECLARING.contains(&name))
}

/// Compares a stream with the duration in its own header.
fn complete(
    source: &SourceInfo,
    timing: &Timing,
    end: f64,
    declared: Option<f64>,
    slack: f64,
) -> Result<(), Failure> {
    let found = end - timing.start;
    match declared {
        Some(declared) if declares(source) && found + MISSING + slack < declared => {
            Err(missing("stream", found, declared))
        }
        _ => Ok(()),
    }
}

/// Compares all that was found with the duration in the file's header.
fn whole(source: &SourceInfo, scan: &Scan, content: f64) -> Result<(), Failure> {
    // A MOV's header covers tracks that are not used; there each stream's own header has been compared.
    if !declares(source) || source.container.starts_with("mov") {
        return Ok(());
    }
    let texts = source.text.iter().filter_map(|text| scan.timing(text.index, Rational { num: 1, den: 1000 }));
    let end = texts.map(|timing| timing.end).fold(content, f64::max);
    match source.duration {
        // Some containers count from 0, and not from where the media begins.
        Some(declared) if end.max(end - source.start) + MISSING + 0.1 < declared => {
            Err(missing("file", end - source.start, declared))
        }
        _ => Ok(()),
    }
}

fn missing(what: &str, found: f64, declared: f64) -> Failure {
    Failure::new(
        FailureCode::SourceTruncated,
        format!("the {what} says that it lasts {declared:.2} s, but only {found:.2} s are there"),
    )
    .with("seconds_present", format!("{found:.3}"))
    .with("seconds_declared", format!("{declared:.3}"))
}
