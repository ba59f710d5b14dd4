//! Which video of several is the film, and which audio and text go with it. Pure.

use std::cmp::Reverse;

use super::{AudioStream, SourceInfo, VideoStream};
use crate::examine::scan::Scan;

/// A video that lasts less than this part of the longest one is a preview of it.
const PREVIEW: f64 = 0.1;

/// Of two that the file marks alike, one that lasts less than this part of the longest one is no film.
const EXCERPT: f64 = 0.5;

/// Chooses the video: a moving one before a still preview, then the one that the file marks as the default (in MP4
/// and MOV: an enabled track), then one that is no excerpt, then the largest, then the first. In a multiplex of several programmes only the streams of the chosen
/// video's programme are kept; without a video, those of the first programme with audio.
pub fn choose(source: &mut SourceInfo, scan: &Scan) {
    let mut videos: Vec<_> = source.video.take().into_iter().chain(source.other_videos.drain(..)).collect();
    let best = best(&videos, scan);
    source.video = best.map(|best| videos.remove(best));
    for other in videos {
        source.skip(other.index, format!("video ({})", other.codec), "another video stream is used");
    }
    one_programme(source, scan);
}

fn best(videos: &[VideoStream], scan: &Scan) -> Option<usize> {
    let seconds = |video: &VideoStream| {
        let timing = scan.timing(video.index, video.time_base).filter(|timing| timing.packets > 1);
        timing.map(|timing| timing.end - timing.start)
    };
    let longest = videos.iter().filter_map(seconds).fold(0.0, f64::max);
    let worse = |(position, video): &(usize, &VideoStream)| {
        let lasts = |part: f64| seconds(video).is_some_and(|seconds| seconds >= longest * part);
        let there = scan.timing(video.index, video.time_base).is_some();
        let pixels = u64::from(video.width) * u64::from(video.height);
        (!lasts(PREVIEW), !there, !video.default, !lasts(EXCERPT), Reverse(pixels), *position)
    };
    videos.iter().enumerate().min_by_key(worse).map(|(position, _)| position)
}

fn one_programme(source: &mut SourceInfo, scan: &Scan) {
    if source.programmes.len() < 2 {
        return;
    }
    let there = |audio: &&AudioStream| scan.timing(audio.index, audio.time_base).is_some();
    let first = source.audio.iter().find(there).map(|audio| audio.index);
    let Some(chosen) = source.video.as_ref().map(|video| video.index).or(first) else { return };
    let Some(own) = source.programmes.iter().find(|streams| streams.contains(&chosen)) else { return };
    // A stream without a programme belongs to every programme.
    let of_another = |index: u32| {
        !own.contains(&index) && source.programmes.iter().any(|streams| streams.contains(&index))
    };
    let audio = source.audio.extract_if(.., |audio| of_another(audio.index));
    let audio = audio.map(|audio| (audio.index, format!("audio ({})", audio.codec)));
    let text = source.text.extract_if(.., |text| of_another(text.index));
    let text = text.map(|text| (text.index, format!("subtitle ({})", text.codec)));
    for (index, what) in audio.chain(text).collect::<Vec<_>>() {
        source.skip(index, what, "it belongs to another programme");
    }
}
