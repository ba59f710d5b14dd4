//! Reads the times of every packet: when each stream starts and ends, and how its frames are spaced. Pure.
//!
//! Headers lie about durations and frame rates, and ffmpeg ends with status 0 when half of a file is missing. So every
//! packet's time is read once (no decoding; about the speed of the disk) and all later decisions and proofs are made
//! from these numbers.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use super::{
    clock::{Clock, Jump, may_jump},
    probe::SourceInfo,
};
use crate::rational::{Rational, float};

/// Fields that [`Scan::line`] reads, as an argument of ffprobe.
pub const ENTRIES: &str = "packet=stream_index,pts,dts,duration,size,pos,flags";
/// Packets that may be out of order by presentation time: more than any codec reorders.
const REORDER: usize = 40;
/// Most distances between frames that are counted separately. A file with more has a variable rate in any case.
const MAX_DELTAS: usize = 512;
/// Distances in a block of [`Timing::blocks`]: divisible by the lengths of the patterns that films are broadcast in.
pub const BLOCK: u32 = 12;
/// Video without a container, by ffprobe's name: some parsers give no times.
const BARE: [&str; 5] = ["h264", "hevc", "m4v", "mpegvideo", "obu"];
/// Streams whose packets are counted.
const MAX_STREAMS: usize = 256;

/// Timing of one stream. Times in seconds on the file's own clock, jumps taken out.
#[derive(Debug, Clone, PartialEq)]
pub struct Timing {
    /// Packets that are shown (those that an edit list discards are not counted).
    pub packets: u64,
    /// Presentation time of the first.
    pub start: f64,
    /// When the last one ends.
    pub end: f64,
    /// Presentation time of the last one.
    pub last: f64,
    /// Distances between neighbours, in ticks of the stream's clock, with how often they occur.
    pub deltas: BTreeMap<i64, u64>,
    /// The same for sums of [`BLOCK`] distances in a row.
    pub blocks: BTreeMap<i64, u64>,
    /// Packets that the demuxer marks as damaged.
    pub corrupt: u64,
    /// Packets whose time lies more than half a second before that of a frame already shown.
    pub late: u64,
}

#[derive(Debug, Default)]
struct Stream {
    packets: u64,
    corrupt: u64,
    place: Option<(i64, i64)>,
    first: Option<i64>,
    end: Option<i64>,
    last: Option<i64>,
    waiting: BinaryHeap<Reverse<i64>>,
    shown: Shown,
    /// Least time between decoding and presentation.
    delay: Option<i64>,
    decoded: Late,
}

/// The packets so far, in the order of presentation.
#[derive(Debug, Default, Clone)]
struct Shown {
    previous: Option<i64>,
    deltas: BTreeMap<i64, u64>,
    blocks: BTreeMap<i64, u64>,
    block: (u32, i64),
    late: Late,
}

/// Times that should never step back.
#[derive(Debug, Default, Clone)]
struct Late {
    latest: Option<i64>,
    /// How long before the latest each late one lies, in ticks.
    by: BTreeMap<i64, u64>,
}

/// Collects packets line by line; memory does not grow with the file.
#[derive(Debug, Default)]
pub struct Scan {
    streams: BTreeMap<u32, Stream>,
    clock: Clock,
    reached: u64,
    /// Packets without any time follow one another: video without a container.
    bare: bool,
}

impl Scan {
    /// Scans the packets of a source whose video and audio will be decoded.
    pub fn of(source: &SourceInfo) -> Self {
        let video = source.video.iter().map(|video| (video.index, video.time_base));
        let audio = source.audio.iter().map(|audio| (audio.index, audio.time_base));
        let clock = Clock::new(may_jump(&source.container), video.chain(audio));
        Self { clock, bare: source.is_one_of(&BARE), ..Self::default() }
    }

    /// Takes one line of `ffprobe -of compact=p=0:nk=1`. Lines that are not packets are ignored.
    pub fn line(&mut self, line: &str) {
        // Fields come in ffprobe's own order, whatever order was asked for. `N/A` is not a number.
        let mut fields = line.trim().split('|');
        let index = fields.next().and_then(|value| value.parse::<u32>().ok());
        let mut number = || fields.next().and_then(|value| value.parse::<i64>().ok());
        let (pts, dts) = (number(), number());
        // Some demuxers count a negative duration as one of 32 bits.
        let duration = number().filter(|ticks| (0..i64::from(i32::MAX)).contains(ticks)).unwrap_or(0);
        let (size, position) = (number(), number());
        let flags = fields.next().unwrap_or_default();
        let Some(index) = index else { return };
        let bytes = position.zip(size).and_then(|(at, size)| u64::try_from(at.checked_add(size)?).ok());
        self.reached = self.reached.max(bytes.unwrap_or(0));
        let moved = self.clock.correction(index, dts, duration);
        let delay = self.streams.get(&index).and_then(|stream| stream.delay).unwrap_or(0);
        let due = || self.streams.get(&index).and_then(|stream| stream.end).unwrap_or(0);
        // Program streams give few presentation times.
        let shown = pts.or(dts.map(|dts| dts.saturating_add(delay))).or_else(|| self.bare.then(due));
        let Some(time) = shown.map(|time| time.saturating_add(moved)) else { return };
        if flags.contains('D') || (self.streams.len() >= MAX_STREAMS && !self.streams.contains_key(&index)) {
            return;
        }
        let stream = self.streams.entry(index).or_default();
        stream.corrupt += u64::from(flags.contains('C'));
        if let Some((pts, dts)) = pts.zip(dts) {
            let delay = pts.saturating_sub(dts).max(0);
            stream.delay = Some(stream.delay.map_or(delay, |least| least.min(delay)));
        }
        if let Some(dts) = dts {
            stream.decoded.add(dts.saturating_add(moved));
        }
        if let Some(at) = position {
            let (first, last) = stream.place.unwrap_or((at, at));
            stream.place = Some((first.min(at), last.max(at)));
        }
        stream.add(time, duration);
    }

    /// Counts the packets of stream `later` as those of stream `first`, which it continues.
    pub fn append(&mut self, first: u32, later: u32) {
        let Some(more) = self.streams.remove(&later) else { return };
        let stream = self.streams.entry(first).or_default();
        stream.packets += more.packets;
        stream.corrupt += more.corrupt;
        stream.place = stream
            .place
            .or(more.place)
            .map(|(first, last)| (first, more.place.map_or(last, |more| more.1.max(last))));
        stream.first = stream.first.into_iter().chain(more.first).min();
        stream.end = stream.end.max(more.end);
        stream.last = stream.last.max(more.last);
    }

    /// Where in the file, in bytes, the first and the last packet of a stream begin, among those whose place is known.
    pub fn place(&self, index: u32) -> Option<(i64, i64)> {
        self.streams.get(&index)?.place
    }

    /// Where the last packet ends, in bytes of the file; 0 where the container gives no positions.
    pub fn reached(&self) -> u64 {
        self.reached
    }

    /// The first few jumps of the clock, and the number of all jumps.
    pub fn jumps(&self) -> (&[Jump], usize) {
        (&self.clock.jumps.0, self.clock.jumps.1)
    }

    /// Indexes of the streams that have packets.
    pub fn streams(&self) -> impl Iterator<Item = u32> {
        self.streams.keys().copied()
    }

    /// The timing of stream `index`, whose clock ticks every `time_base` seconds. None if it has no packets.
    pub fn timing(&self, index: u32, time_base: Rational) -> Option<Timing> {
        let stream = self.streams.get(&index)?;
        let mut shown = stream.shown.clone();
        let mut rest: Vec<_> = stream.waiting.iter().map(|Reverse(time)| *time).collect();
        rest.sort_unstable();
        for time in rest {
            shown.add(time);
        }
        let seconds = |ticks: i64| {
            let magnitude = float(ticks.unsigned_abs()) * time_base.value();
            if ticks < 0 { -magnitude } else { magnitude }
        };
        let late = |late: &Late| {
            let times = late.by.iter().filter(|&(&ticks, _)| seconds(ticks) > 0.5);
            times.map(|(_, times)| times).sum::<u64>()
        };
        Some(Timing {
            packets: stream.packets,
            start: seconds(stream.first?),
            end: seconds(stream.end?),
            last: seconds(stream.last?),
            late: late(&shown.late).max(late(&stream.decoded)),
            deltas: shown.deltas,
            blocks: shown.blocks,
            corrupt: stream.corrupt,
        })
    }
}

impl Stream {
    fn add(&mut self, time: i64, duration: i64) {
        self.packets += 1;
        self.first = Some(self.first.map_or(time, |first| first.min(time)));
        self.last = Some(self.last.map_or(time, |last| last.max(time)));
        let end = time.saturating_add(duration);
        self.end = Some(self.end.map_or(end, |known| known.max(end)));
        self.waiting.push(Reverse(time));
        if self.waiting.len() > REORDER
            && let Some(Reverse(time)) = self.waiting.pop()
        {
            self.shown.add(time);
        }
    }
}

impl Shown {
    fn add(&mut self, time: i64) {
        let before = self.previous.replace(time);
        self.late.add(time);
        let Some(delta) = before.and_then(|before| time.checked_sub(before)).filter(|&delta| delta > 0)
        else {
            return;
        };
        note(&mut self.deltas, delta);
        let (number, sum) = (self.block.0 + 1, self.block.1.saturating_add(delta));
        self.block = (number, sum);
        if number == BLOCK {
            note(&mut self.blocks, sum);
            self.block = (0, 0);
        }
    }
}

impl Late {
    fn add(&mut self, time: i64) {
        let latest = *self.latest.get_or_insert(time);
        self.latest = Some(latest.max(time));
        if time < latest {
            // Rounded to about two digits: only the order of magnitude counts.
            let by = latest.saturating_sub(time);
            let step = 10_i64.pow(by.ilog10().saturating_sub(1));
            *self.by.entry(by / step * step).or_default() += 1;
        }
    }
}

fn note(spread: &mut BTreeMap<i64, u64>, delta: i64) {
    if spread.len() < MAX_DELTAS || spread.contains_key(&delta) {
        *spread.entry(delta).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TENTHS: Rational = Rational { num: 1, den: 10 };

    #[test]
    fn reordered_frames_are_measured_in_the_order_they_are_shown() {
        let mut scan = Scan::default();
        for pts in [0, 3, 1, 2, 6, 4, 5] {
            scan.line(&format!("0|{pts}|N/A|1|10|N/A|__"));
        }
        let timing = scan.timing(0, TENTHS).unwrap();
        assert_eq!(timing.packets, 7);
        assert!((timing.end - 0.7).abs() < 1e-9);
        assert_eq!(timing.deltas, BTreeMap::from([(1, 6)]));
    }

    #[test]
    fn a_file_of_many_streams_and_odd_distances_takes_bounded_memory() {
        let mut scan = Scan::default();
        for index in 0..1000 {
            scan.line(&format!("{index}|0|N/A|1|10|N/A|K_"));
        }
        assert_eq!(scan.streams().count(), 256);
        let mut time: i64 = 0;
        for distance in 1..20_000 {
            time += distance;
            scan.line(&format!("0|{time}|N/A|1|10|N/A|K_"));
        }
        let timing = scan.timing(0, TENTHS).unwrap();
        assert_eq!((timing.packets, timing.deltas.len(), timing.blocks.len()), (20_000, 512, 512));
    }

    #[test]
    fn packets_outside_of_the_edit_list_do_not_count() {
        let mut scan = Scan::default();
        scan.line("1|-5|-5|5|10|100|KD_");
        scan.line("1|0|0|5|10|110|K__");
        scan.line("side_data_type=x|");
        let timing = scan.timing(1, TENTHS).unwrap();
        assert_eq!((timing.packets, timing.start), (1, 0.0));
        assert_eq!(scan.reached(), 120);
        assert!(scan.timing(0, TENTHS).is_none());
    }

    #[test]
    fn a_duration_below_zero_is_none() {
        let mut scan = Scan::default();
        scan.line("0|10|10|5|10|0|K_");
        scan.line("0|15|15|4294967114|10|0|K_");
        assert!((scan.timing(0, TENTHS).unwrap().end - 1.5).abs() < 1e-9);
    }

    #[test]
    fn packets_that_come_again_are_late_and_reordered_ones_are_not() {
        let mut scan = Scan::default();
        for pts in (0..100).map(|number| if number % 3 == 1 { number + 1 } else { number }).chain(0..100) {
            scan.line(&format!("0|{pts}|{pts}|1|10|0|__"));
        }
        let late = scan.timing(0, TENTHS).unwrap().late;
        assert!((50..95).contains(&late), "{late}");
    }

    #[test]
    fn a_short_second_recording_is_late_though_it_could_be_reordered() {
        let mut scan = Scan::default();
        for dts in (0..15).chain(0..15) {
            scan.line(&format!("0|{dts}|{dts}|1|10|0|K_"));
        }
        assert_eq!(scan.timing(0, TENTHS).unwrap().late, 9);
    }

    #[test]
    fn packets_without_a_presentation_time_are_shown_as_long_after_decoding_as_the_others() {
        let mut scan = Scan::default();
        for (pts, dts) in [("1", 0), ("2", 1), ("N/A", 2), ("N/A", 3)] {
            scan.line(&format!("0|{pts}|{dts}|1|10|0|K_"));
        }
        let timing = scan.timing(0, TENTHS).unwrap();
        assert_eq!((timing.start, timing.end), (0.1, 0.5));
        assert_eq!(timing.deltas, BTreeMap::from([(1, 3)]));
    }

    #[test]
    fn blocks_are_steady_where_each_distance_is_not() {
        let mut scan = Scan::default();
        for number in 0..121 {
            // 2:3 at 60 fields a second.
            let pts = number / 2 * 5 + number % 2 * 2;
            scan.line(&format!("0|{pts}|{pts}|2|10|0|__"));
        }
        let timing = scan.timing(0, TENTHS).unwrap();
        assert_eq!(timing.deltas, BTreeMap::from([(2, 60), (3, 60)]));
        assert_eq!(timing.blocks, BTreeMap::from([(30, 10)]));
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(lines in proptest::collection::vec(".{0,60}", 0..20), times in proptest::collection::vec(any::<(u32, i64, i64)>(), 0..80)) {
            let mut scan = Scan::default();
            for line in &lines {
                scan.line(line);
            }
            for (index, pts, duration) in &times {
                scan.line(&format!("{}|{pts}|{pts}|{duration}|{pts}|{duration}|K", index % 3));
            }
            scan.timing(0, TENTHS);
        }
    }
}
