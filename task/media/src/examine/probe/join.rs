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

/// Refuses a video that goes on under another number: one decoder reads a track.
pub fn video_in_one(source: &SourceInfo, scan: &Scan) -> Result<(), Failure> {
    if !applies(source) {
        return Ok(());
    }
    let videos: Vec<_> = source.video.iter().chain(&source.other_videos).collect();
    let clock = |video: &VideoStream| (video.index, video.time_base);
    let next = videos.windows(2).find_map(|pair| match pair {
        [first, second] => follows(scan, clock(first), clock(second)).map(|begin| (*first, *second, begin)),
        _ => None,
    });
    let Some((first, second, begin)) = next else { return Ok(()) };
    let at = format!("{:.2}", begin - source.start);
    let message = format!("the video (stream {}) goes on as stream {} at {at} s", first.index, second.index);
    Err(Failure::new(FailureCode::SourceDiscontinuous, message)
        .with("codec", &first.codec)
        .with("codec_later", &second.codec)
        .with("seconds", at))
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
    (behind || after.start >= before.end - OVERLAP).then_some(after.start)
}
