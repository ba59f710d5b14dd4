//! Lays out the timeline: when the result begins and ends, and whether the source is complete. Pure.

use transcode_config::contract::{Clip, Failure, FailureCode};

use super::{
    completeness::{self, Evidence},
    proportion, rate,
};
use crate::{
    examine::{clock::may_jump, probe::SourceInfo, scan::Scan},
    rational::{Rational, float, round_to_u64},
};

/// Audio that lasts at most this much longer than the video is cut with it, in seconds; if it lasts longer, the last
/// frame stays until its end.
const OVERHANG: f64 = 0.1;
/// Below this many frames a second, one more frame is better than audio that is cut.
const COARSE: f64 = 10.0;
/// Most jumps of the clock for which frames may be missing by rounding.
const MOST_JUMPS: u64 = 100;

/// When things happen, in seconds from the beginning of the source.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    /// Where the result begins: 0 without a clip, and always the beginning of a frame.
    pub begin: f64,
    /// Constant frame rate and where the video ends by itself; none for audio alone.
    pub video: Option<VideoTime>,
    /// For each audio track of the source, where it ends by itself.
    pub audio_ends: Vec<f64>,
    /// Where the result ends.
    pub end: f64,
}

/// Timing of the video.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct VideoTime {
    /// Constant frame rate.
    pub rate: Rational,
    /// Where the last frame of the source begins.
    pub last: f64,
    pub end: f64,
    /// Places at which the source's clock jumps.
    pub jumps: u64,
}

/// Removes empty streams, refuses a source that is incomplete or cannot be played to its end, and lays out the
/// timeline. Doubts are recorded as warnings.
pub fn lay_out(source: &mut SourceInfo, scan: &Scan) -> Result<Timeline, Failure> {
    completeness::drop_empty(source, scan)?;
    completeness::name_late_streams(source, scan);
    completeness::playable(source, scan)?;
    source.start = begin(source);
    let start = source.start;
    let evidence = Evidence { scan, ending: source.ending };
    let mut video_time = None;
    if let Some(video) = source.video.clone()
        && let Some(timing) = scan.timing(video.index, video.time_base)
    {
        let rate = rate::choose(&video, &timing);
        let frame = 1.0 / rate.value();
        // If the container gives the last frame no duration, it lasts as long as the others.
        let end = if timing.end > timing.last { timing.end } else { timing.last + frame };
        let end = evidence.video(source, &timing, end, (video.duration, frame))?;
        let jumps = u64::try_from(scan.jumps().1).unwrap_or(MOST_JUMPS).min(MOST_JUMPS);
        let last = (timing.last - start).max(0.0);
        // The last frame is repeated until the audio ends.
        let audio = source.audio.iter().filter_map(|audio| scan.timing(audio.index, audio.time_base));
        let seconds = audio.map(|timing| timing.end - start).fold(end - start, f64::max);
        let rate = proportion::limit(rate, seconds, timing.packets, source.size);
        video_time = Some(VideoTime { rate, last, end: (end - start).max(1.0 / rate.value()), jumps });
    }
    let mut audio_ends = Vec::new();
    for audio in source.audio.clone() {
        let Some(timing) = scan.timing(audio.index, audio.time_base) else { continue };
        evidence.audio(source, &timing, (audio.index, audio.duration))?;
        audio_ends.push((timing.end - start).max(0.0));
    }
    evidence.whole(source, video_time.map_or(0.0, |video| start + video.end))?;
    let longest = audio_ends.iter().copied().fold(0.0, f64::max);
    let end = match video_time {
        Some(video) if longest <= video.end + OVERHANG => video.end,
        // The end of a frame, or of the audio in it.
        Some(video) if video.rate.value() < COARSE => {
            video.rate.seconds_of(round_to_u64((longest * video.rate.value() - 0.001).ceil()))
        }
        _ => longest,
    };
    if !end.is_finite() || end <= 0.0 {
        return Err(Failure::new(FailureCode::NothingToPlay, "the streams of the file have no duration"));
    }
    Ok(Timeline { begin: 0.0, video: video_time, audio_ends, end })
}

/// The source time that ffmpeg makes 0: the beginning of the file or, where clocks jump, that of the streams that are
/// decoded.
fn begin(source: &SourceInfo) -> f64 {
    if !may_jump(&source.container) {
        return source.start;
    }
    let used =
        source.video.iter().map(|video| video.index).chain(source.audio.iter().map(|audio| audio.index));
    let started = used.filter_map(|index| source.clocks.iter().find(|clock| clock.index == index)?.start);
    started.reduce(f64::min).map_or(source.start, |first| first.max(source.start))
}

impl Timeline {
    /// The timeline of a clip. Both ends move to the nearest frame, so that video and audio begin and end together;
    /// if the source ends before the clip does, so does the result.
    pub fn clipped(self, clip: Clip) -> Result<Self, Failure> {
        let frame = |seconds: f64| match self.video {
            Some(VideoTime { rate, .. }) => rate.seconds_of(rate.frames_in(seconds)),
            None => seconds,
        };
        let seconds = |ms: u64| float(ms) / 1000.0;
        let begin = frame(seconds(clip.start_ms));
        let end = clip.end_ms.map_or(self.end, |ms| frame(seconds(ms)).min(self.end));
        // Less than a frame, or than a hundredth of a second of audio, cannot be played.
        let least = self.video.map_or(0.01, |video| 0.5 / video.rate.value());
        if end - begin < least {
            return Err(Failure::new(FailureCode::ClipOutside, FailureCode::ClipOutside.info().meaning)
                .with("clip_start_ms", clip.start_ms)
                .with("source_seconds", format!("{:.3}", self.end)));
        }
        Ok(Self { begin, end, ..self })
    }
}
