//! Tracks of a transport stream that go on under another number (PID), often in another codec: a recording of a
//! channel that rearranged itself. Pure.
//!
//! ffmpeg shows each number as a stream of its own. Such streams never sound at the same time, so the next one is the
//! continuation of the track, and not another track.

use transcode_config::contract::{Failure, FailureCode, Warning};

use super::{AudioStream, SourceInfo, VideoStream};
use crate::{examine::scan::Scan, rational::Rational};

/// Seconds by which a continuation may begin before the end of what it continues: sound is sent ahead of its time.
const OVERLAP: f64 = 0.5;

/// Makes one track of the audio streams that follow one another, in the language of the first one, and counts their
/// packets as its own.
pub fn join_audio(source: &mut SourceInfo, scan: &mut Scan) {
    if !applies(source) {
        return;
    }
    let mut tracks: Vec<AudioStream> = Vec::new();
    for stream in std::mem::take(&mut source.audio) {
        let clock = (stream.index, stream.time_base);
        let before = |track: &AudioStream| follows(scan, (track.index, track.time_base), clock);
        let same = |track: &AudioStream| track.language == stream.language && before(track).is_some();
        let position = tracks.iter().position(same);
        let position = position.or_else(|| tracks.iter().position(|track| before(track).is_some()));
        let Some(track) = position.and_then(|position| tracks.get_mut(position)) else {
            tracks.push(stream);
            continue;
        };
        let begin = follows(scan, (track.index, track.time_base), clock).unwrap_or_default();
        let index = track.index;
        if track.parts.is_empty() {
            track.parts.push(index);
        }
        track.parts.push(stream.index);
        track.resumes.push(begin);
        scan.append(index, stream.index);
        source.warn(
            Warning::Joined,
            format!(
                "the audio of stream {index} goes on as stream {} at {:.2} s",
                stream.index,
                begin - source.start
            ),
        );
    }
    source.audio = tracks;
}

/// A stream that a video goes on as.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoPart {
    /// Its number (PID), and the number of the part before it.
    pub ids: (u32, u32),
    /// For the warning.
    pub what: String,
}

/// The later parts of videos that go on under another number. Parts in different codecs are refused: one decoder reads
/// a track.
pub fn video_parts(source: &SourceInfo, scan: &Scan) -> Result<Vec<VideoPart>, Failure> {
    if !applies(source) {
        return Ok(Vec::new());
    }
    let videos: Vec<_> = source.video.iter().chain(&source.other_videos).collect();
    let clock = |video: &VideoStream| (video.index, video.time_base);
    let mut parts = Vec::new();
    for pair in videos.windows(2) {
        let [first, second] = pair else { continue };
        let Some(begin) = follows(scan, clock(first), clock(second)) else { continue };
        let at = format!("{:.2}", begin - source.start);
        let what =
            format!("the video of stream {} goes on as stream {} at {at} s", first.index, second.index);
        match first.id.zip(second.id) {
            Some((before, after)) if first.codec == second.codec => {
                parts.push(VideoPart { ids: (after, before), what });
            }
            _ => {
                return Err(Failure::new(FailureCode::SourceDiscontinuous, what)
                    .with("codec", &first.codec)
                    .with("codec_later", &second.codec)
                    .with("seconds", at));
            }
        }
    }
    Ok(parts)
}

/// Forgets the programmes of a file in which one follows the other, as in recordings of two channels that were joined:
/// that is no multiplex.
pub fn join_programmes(source: &mut SourceInfo, scan: &Scan) {
    let place = |streams: &Vec<u32>| {
        let places = streams.iter().filter_map(|&index| scan.place(index));
        places.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
    };
    let shares = |one: &Vec<u32>, other: &Vec<u32>| {
        one.iter().any(|index| other.contains(index) && scan.place(*index).is_some())
    };
    let mut there: Vec<_> =
        source.programmes.iter().filter_map(|one| place(one).map(|at| (at, one))).collect();
    there.sort_unstable();
    let joined = there.windows(2).all(|pair| match pair {
        [((_, end), one), ((begin, _), other)] => begin > end || shares(one, other),
        _ => true,
    });
    if joined {
        source.programmes.clear();
    }
}

/// In a multiplex of several programmes streams of different programmes follow one another without belonging together.
fn applies(source: &SourceInfo) -> bool {
    source.is_one_of(&["mpegts"]) && source.programmes.len() < 2
}

/// When stream `second` begins, if that is behind the end of `first`: by the clock or, where that jumps, in the file.
fn follows(scan: &Scan, first: (u32, Rational), second: (u32, Rational)) -> Option<f64> {
    let (before, after) = (scan.timing(first.0, first.1)?, scan.timing(second.0, second.1)?);
    let place = scan.place(first.0).zip(scan.place(second.0));
    let behind = place.is_some_and(|((_, last), (next, _))| next > last);
    let earliest = before.end - OVERLAP;
    // The first packets behind a jump may still have the time of their own recording.
    (behind || after.start >= earliest).then_some(after.start.max(earliest))
}
