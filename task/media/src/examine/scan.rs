//! What the demuxer really finds: when each stream starts and ends, and how its frames are spaced. Pure.
//!
//! Headers lie about durations and frame rates, and ffmpeg ends with status 0 when half of a file is missing. So every
//! packet's time is read once (no decoding; about the speed of the disk) and all later decisions and proofs are made
//! from these numbers.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use crate::rational::{Rational, float};

/// Fields that [`Scan::line`] reads, as an argument of ffprobe.
pub const ENTRIES: &str = "packet=stream_index,pts,dts,duration,flags";
/// Packets that may be out of order by presentation time: more than any codec reorders.
const REORDER: usize = 40;
/// Different distances between frames that are told apart. A file with more is variable in any case.
const MAX_DELTAS: usize = 512;
/// Streams whose packets are counted.
const MAX_STREAMS: usize = 256;

/// Timing of one stream. Times in seconds on the file's own clock.
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
    /// Packets that the demuxer marks as damaged.
    pub corrupt: u64,
}

#[derive(Debug, Default)]
struct Stream {
    packets: u64,
    corrupt: u64,
    first: Option<i64>,
    end: Option<i64>,
    last: Option<i64>,
    previous: Option<i64>,
    deltas: BTreeMap<i64, u64>,
    waiting: BinaryHeap<Reverse<i64>>,
}

/// Collects packets line by line; memory does not grow with the file.
#[derive(Debug, Default)]
pub struct Scan {
    streams: BTreeMap<u32, Stream>,
}

impl Scan {
    /// Takes one line of `ffprobe -of compact=p=0:nk=1`. Lines that are not packets are ignored.
    pub fn line(&mut self, line: &str) {
        // In ffprobe's own order, whatever the order in which they are asked for. `N/A` is not a number.
        let mut fields = line.trim().split('|');
        let index = fields.next().and_then(|value| value.parse::<u32>().ok());
        let mut number = || fields.next().and_then(|value| value.parse::<i64>().ok());
        let (pts, dts, duration) = (number(), number(), number());
        let flags = fields.next().unwrap_or_default();
        let (Some(index), Some(time)) = (index, pts.or(dts)) else { return };
        if flags.contains('D') || (self.streams.len() >= MAX_STREAMS && !self.streams.contains_key(&index)) {
            return;
        }
        let stream = self.streams.entry(index).or_default();
        stream.corrupt += u64::from(flags.contains('C'));
        stream.add(time, duration.unwrap_or(0).max(0));
    }

    /// The timing of stream `index`, whose clock ticks every `time_base` seconds. None if it has no packets.
    pub fn timing(&self, index: u32, time_base: Rational) -> Option<Timing> {
        let stream = self.streams.get(&index)?;
        let mut deltas = stream.deltas.clone();
        let mut previous = stream.previous;
        let mut rest: Vec<_> = stream.waiting.iter().map(|Reverse(time)| *time).collect();
        rest.sort_unstable();
        for time in rest {
            note(&mut deltas, previous, time);
            previous = Some(time);
        }
        let seconds = |ticks: i64| {
            let magnitude = float(ticks.unsigned_abs()) * time_base.value();
            if ticks < 0 { -magnitude } else { magnitude }
        };
        Some(Timing {
            packets: stream.packets,
            start: seconds(stream.first?),
            end: seconds(stream.end?),
            last: seconds(stream.last?),
            deltas,
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
            note(&mut self.deltas, self.previous, time);
            self.previous = Some(time);
        }
    }
}

fn note(deltas: &mut BTreeMap<i64, u64>, previous: Option<i64>, time: i64) {
    let Some(delta) = previous.and_then(|previous| time.checked_sub(previous)).filter(|&delta| delta > 0)
    else {
        return;
    };
    if deltas.len() < MAX_DELTAS || deltas.contains_key(&delta) {
        *deltas.entry(delta).or_default() += 1;
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
            scan.line(&format!("0|{pts}|N/A|1|__"));
        }
        let timing = scan.timing(0, TENTHS).unwrap();
        assert_eq!(timing.packets, 7);
        assert!((timing.end - 0.7).abs() < 1e-9);
        assert_eq!(timing.deltas, BTreeMap::from([(1, 6)]));
    }

    #[test]
    fn packets_outside_of_the_edit_list_do_not_count() {
        let mut scan = Scan::default();
        scan.line("1|-5|-5|5|KD_");
        scan.line("1|0|0|5|K__");
        scan.line("side_data_type=x|");
        let timing = scan.timing(1, TENTHS).unwrap();
        assert_eq!((timing.packets, timing.start), (1, 0.0));
        assert!(scan.timing(0, TENTHS).is_none());
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(lines in proptest::collection::vec(".{0,60}", 0..20), times in proptest::collection::vec(any::<(u32, i64, i64)>(), 0..80)) {
            let mut scan = Scan::default();
            for line in &lines {
                scan.line(line);
            }
            for (index, pts, duration) in &times {
                scan.line(&format!("{}|{pts}|{pts}|{duration}|K", index % 3));
            }
            scan.timing(0, TENTHS);
        }
    }
}
