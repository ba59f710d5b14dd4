//! Finds frames that are two fields of different times although nothing says so: combed edges wherever something moves.
//!
//! Files lose their flags when they are converted, and some recorders never set them. So a few short windows of the video
//! are decoded, and the lines of their frames compared. Only sizes and rates of interlaced standards are looked at.

use std::{ffi::OsString, fmt::Write, path::Path, time::Duration};

use transcode_config::contract::{Failure, FailureCode};

use super::{combed::Combed, probe::VideoStream, scan::Timing};
use crate::{
    job::{Context, cannot_write},
    process::{Invocation, Limits, Tool, input_flags, local, words},
};

/// Where the windows begin, as parts of the video.
const WINDOWS: [f64; 3] = [0.0, 0.5, 0.93];
/// Frames in a window.
const FRAMES: usize = 9;
/// The same and what decoders hold back.
const FRAMES_AND_MORE: u32 = 13;
/// Frames that are decoded between a key frame and a window; with more, the window is where they end.
const RUN_UP: u32 = 150;
/// Columns that are compared. Lines are never scaled.
const COLUMNS: u32 = 320;
/// Faster video has whole frames: standards with fields have at most 30 frames a second.
const FASTEST: f64 = 31.0;

/// Looks for combed frames. None if there are none, if nothing moves, or if the windows cannot be decoded: then the
/// frames' own flags count.
pub(super) async fn look(
    context: &Context<'_>,
    video: &VideoStream,
    timing: &Timing,
) -> Result<Option<Combed>, Failure> {
    let average = f64::from(u32::try_from(timing.packets).unwrap_or(u32::MAX)) / (timing.end - timing.start);
    let plausible = video.interlaced || video.may_be_interlaced();
    // Lines that are cut off would have to be cut off here too.
    if !plausible || average.is_nan() || average > FASTEST || video.crop.any() {
        return Ok(None);
    }
    let folder = context.job.work.join("fields");
    std::fs::create_dir_all(&folder).map_err(|error| cannot_write("fields", &error))?;
    let (columns, lines) = (video.width.min(COLUMNS), video.height);
    let seconds = (timing.end - timing.start, (f64::from(FRAMES_AND_MORE) / average).clamp(0.1, 10.0));
    let args = arguments(video, seconds, columns, context.job.input);
    let bytes = u64::from(columns) * u64::from(lines) * (1 + FRAMES as u64);
    let limits = Limits {
        wall: Duration::from_mins(10),
        stall: Duration::from_mins(2),
        cpu_seconds: 600,
        memory_bytes: 4 << 30,
        file_bytes: bytes,
        output_bytes: bytes * WINDOWS.len() as u64 + (1 << 20),
        stdout_bytes: 16 << 10,
    };
    let call = Invocation::reading(Tool::Ffmpeg, context.job.input, args, limits);
    let call = Invocation { output_dir: Some(folder.clone()), ..call };
    match context.tools.run(call, &mut |_| (), context.stop).await {
        Err(failure) if failure.code == FailureCode::Interrupted => return Err(failure),
        // What was written before counts.
        Err(failure) => tracing::warn!(%failure, "the fields of the video cannot be looked at to the end"),
        Ok(_) => {}
    }
    let windows: Vec<_> = (0..WINDOWS.len())
        .filter_map(|number| std::fs::read(folder.join(file(number))).ok())
        .filter_map(|bytes| judge(&bytes, columns as usize, lines as usize))
        .collect();
    std::fs::remove_dir_all(&folder).ok();
    let found = together(&windows);
    tracing::info!(?windows, ?found, "fields");
    Ok(found)
}

fn file(number: usize) -> String {
    format!("{number}.gray")
}

/// Each window is an input of its own, read from the key frame before it: decoding up to its exact time could cost as
/// much as the whole file where key frames are rare, so that has a bound.
fn arguments(
    video: &VideoStream,
    (seconds, window): (f64, f64),
    columns: u32,
    input: &Path,
) -> Vec<OsString> {
    let mut args = words("-hide_banner -nostdin -y -loglevel repeat+level+warning -nostats -progress pipe:1");
    for part in WINDOWS {
        args.extend(input_flags().into_iter().map(OsString::from));
        // Without an end ffmpeg would decode one input further while it works on the next.
        // From the key frame on, wherever it is.
        let more = if part > 0.0 { f64::from(RUN_UP) / f64::from(FRAMES_AND_MORE) } else { 0.0 };
        args.extend(words(&format!("-noautorotate -threads 1 -t {:.3}", window * (1.0 + more))));
        if part > 0.0 {
            args.extend(words(&format!("-noaccurate_seek -ss {:.3}", seconds * part)));
        }
        args.push("-i".into());
        args.push(local(input));
    }
    // Frames that are marked are deinterlaced anyway. What is left is combed without a mark.
    let marked = if video.interlaced { "" } else { "bwdif=mode=send_frame:parity=auto:deint=interlaced," };
    for number in 0..WINDOWS.len() {
        // A frame passes from its time on, or from its number on.
        let mut output =
            format!("-map {number}:{} -frames:v {FRAMES} -fps_mode passthrough -vf ", video.index);
        let _ = write!(
            output,
            "trim=start=0:start_frame={RUN_UP},{}{marked}scale=w={columns}:h={}:flags=bilinear,format=gray -f rawvideo {}",
            video.color.neutral(),
            video.height,
            file(number)
        );
        args.extend(words(&output));
    }
    args
}

/// What was found in a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Window {
    /// Frames that are combed by the upper field's being first, or the lower one's.
    top_first: usize,
    bottom_first: usize,
    /// Frames that are whole although something moves.
    whole: usize,
}

/// Several frames must agree: a third of those that move, as in films at 2:3, and two at least.
fn together(windows: &[Window]) -> Option<Combed> {
    let combed = |window: &Window| window.top_first.max(window.bottom_first);
    let agrees = |window: &&Window| {
        let against = window.whole + window.top_first.min(window.bottom_first);
        combed(window) >= 2 && combed(window) * 2 >= against
    };
    let found: Vec<_> = windows.iter().filter(agrees).collect();
    let top = found.iter().map(|window| window.top_first).sum::<usize>();
    let bottom = found.iter().map(|window| window.bottom_first).sum::<usize>();
    let mostly = |window: &Window| combed(window) >= 3 * window.whole;
    (!found.is_empty()).then(|| Combed {
        top_first: top >= bottom,
        throughout: found.len() * 2 > windows.len() && windows.iter().all(mostly),
    })
}

/// Judges the frames of a window: one byte a pixel. None if there are too few.
fn judge(bytes: &[u8], columns: usize, lines: usize) -> Option<Window> {
    let frames: Vec<_> = bytes.chunks_exact((columns * lines).max(1)).collect();
    let mut window = Window::default();
    for pair in frames.windows(2) {
        let [now, next] = pair else { continue };
        match (Frame { columns, lines, now, next }).kind() {
            Some(Kind::TopFirst) => window.top_first += 1,
            Some(Kind::BottomFirst) => window.bottom_first += 1,
            Some(Kind::Whole) => window.whole += 1,
            None => {}
        }
    }
    (frames.len() >= 3).then_some(window)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    TopFirst,
    BottomFirst,
    Whole,
}

/// Least part of the pixels that must be combed.
const COMBED: usize = 500;
/// How much two lines must differ, of 255.
const STEP: u8 = 12;

struct Frame<'a> {
    columns: usize,
    lines: usize,
    now: &'a [u8],
    next: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Fields of one time make a whole frame, and mixed with those of the next frame a combed one, whichever is taken.
    /// Of interlaced fields each is as far from its neighbour in the next frame as from that in its own: mixed the
    /// right way they are combed as before, the wrong way much more. None if too little moves.
    fn kind(&self) -> Option<Kind> {
        let least = self.columns * self.lines / COMBED;
        let itself = self.combs([self.now, self.now]);
        // The upper field of the next frame with the lower one of this frame, and the other way round.
        let (upper, lower) = (self.combs([self.next, self.now]), self.combs([self.now, self.next]));
        let (near, far) = (upper.min(lower), upper.max(lower));
        if far < least {
            return None;
        }
        // Grain and fine patterns are combed in both directions.
        let combed =
            itself >= least && itself * 2 >= near && far * 4 >= near * 5 && itself >= 3 * self.ribs();
        Some(match (combed, upper < lower) {
            (false, _) => Kind::Whole,
            (true, true) => Kind::TopFirst,
            (true, false) => Kind::BottomFirst,
        })
    }

    fn line(&self, of: &'a [u8], number: usize) -> &'a [u8] {
        of.get(number * self.columns..(number + 1) * self.columns).unwrap_or_default()
    }

    /// Pixels that differ from those above and below, which are alike, as are those two lines away. `of`: the frames
    /// that the even and the odd lines are from.
    fn combs(&self, of: [&'a [u8]; 2]) -> usize {
        let line = |number: usize| self.line(of[number % 2], number);
        let combs = |number: usize| {
            let [first, second, third, fourth, fifth] = [0, 1, 2, 3, 4].map(|more| line(number + more));
            let pixels = first.iter().zip(second).zip(third).zip(fourth).zip(fifth);
            let five = pixels.map(|((((first, second), third), fourth), fifth)| {
                [*first, *second, *third, *fourth, *fifth]
            });
            five.filter(|five| zigzag(*five)).count()
        };
        (0..self.lines.saturating_sub(4)).map(combs).sum()
    }

    /// The same along the lines.
    fn ribs(&self) -> usize {
        let ribs = |number| {
            let line = self.line(self.now, number);
            line.windows(5).filter(|five| <[u8; 5]>::try_from(*five).is_ok_and(zigzag)).count()
        };
        (0..self.lines).map(ribs).sum()
    }
}

fn zigzag([first, second, third, fourth, fifth]: [u8; 5]) -> bool {
    let step = third.abs_diff(second).min(third.abs_diff(fourth));
    step >= STEP
        && (third > second) == (third > fourth)
        && second.abs_diff(fourth) <= step / 2
        && first.abs_diff(third) <= step / 2
        && fifth.abs_diff(third) <= step / 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COLUMNS: usize = 64;
    const LINES: usize = 48;

    /// Frames of a picture, by the brightness at a column, a line and a time in fields. `first`: the field of the even
    /// lines' delay and that of the odd ones'.
    fn frames(delays: [usize; 2], picture: impl Fn(usize, usize, usize) -> u8) -> Vec<u8> {
        let pixel = |frame: usize, at: usize| {
            let (x, y) = (at % COLUMNS, at / COLUMNS);
            picture(x, y, 2 * frame + delays[y % 2])
        };
        (0..FRAMES)
            .flat_map(|frame| (0..COLUMNS * LINES).map(move |at| (frame, at)))
            .map(|(frame, at)| pixel(frame, at))
            .collect()
    }

    /// A bar that moves to the right.
    fn bar(x: usize, _: usize, time: usize) -> u8 {
        if (x + COLUMNS - 2 * time % COLUMNS) % COLUMNS < 16 { 220 } else { 30 }
    }

    fn found(bytes: &[u8]) -> Option<Combed> {
        together(&[judge(bytes, COLUMNS, LINES).unwrap()])
    }

    #[test]
    fn fields_of_different_times_are_combed_in_their_order() {
        let combed = |top_first| Some(Combed { top_first, throughout: true });
        assert_eq!(found(&frames([0, 1], bar)), combed(true));
        assert_eq!(found(&frames([1, 0], bar)), combed(false));
        assert_eq!(found(&frames([0, 0], bar)), None, "whole frames");
        assert_eq!(found(&frames([0, 1], |x, y, _| bar(x, y, 0))), None, "nothing moves");
    }

    #[test]
    fn fine_patterns_and_grain_of_whole_frames_are_not_combed() {
        let grain = |x: usize, y: usize, time: usize| {
            let mixed = (x * 7919 + y * 104_729 + time * 1_299_709).wrapping_mul(2_654_435_761) >> 7;
            u8::try_from(mixed % 256).unwrap()
        };
        let lines = |_: usize, y: usize, time: usize| if (y + time / 2).is_multiple_of(2) { 250 } else { 10 };
        let still = |x: usize, y: usize, time: usize| {
            if x < 40 && y.is_multiple_of(2) { 250 } else { bar(x, y, time) }
        };
        let board = |x: usize, y: usize, time: usize| if (x + y + time).is_multiple_of(2) { 250 } else { 10 };
        let crawl = |x: usize, y: usize, time: usize| {
            if (y + time / 2).is_multiple_of(5) && x % 7 < 4 { 240 } else { 20 }
        };
        assert_eq!(found(&frames([0, 0], grain)), None);
        assert_eq!(found(&frames([0, 0], lines)), None);
        assert_eq!(found(&frames([0, 0], still)), None);
        assert_eq!(found(&frames([0, 0], board)), None);
        assert_eq!(found(&frames([0, 0], crawl)), None);
    }

    #[test]
    fn part_of_a_video_and_a_film_at_2_to_3_are_looked_at_frame_by_frame() {
        let window = |top_first, whole| Window { top_first, whole, bottom_first: 0 };
        let partly = Some(Combed { top_first: true, throughout: false });
        assert_eq!(
            together(&[window(0, 0), window(0, 0), window(8, 0)]),
            partly,
            "nothing moves in the first half"
        );
        assert_eq!(together(&[window(0, 8), window(0, 0), window(8, 0)]), partly);
        assert_eq!(together(&[window(3, 5), window(3, 5)]), partly);
        assert_eq!(together(&[window(1, 7), window(0, 8), window(1, 0)]), None, "a frame or two");
        assert_eq!(together(&[]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000), columns in 0_usize..40, lines in 0_usize..40) {
            judge(&bytes, columns, lines);
        }
    }
}
