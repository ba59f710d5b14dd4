//! Finds single time stamps of a transport stream that are broken: the stream's clock goes on behind them as if they were
//! not there. Pure.
//!
//! ffmpeg takes such a stamp for a jump of the clock and moves everything behind it, so that one bit gone wrong freezes
//! the video for as long. The repaired stamp lies between its neighbours.

use crate::rational::float;

/// Ticks of the clock in a second.
const SECOND: i64 = 90_000;
/// The clock has 33 bits.
const TURN: i64 = 1 << 33;
/// Stamps of audio that are off by less are let through; ffmpeg moves nothing for them.
const SLACK: i64 = SECOND / 10;
/// The same for video, whose stamps may be reordered and follow one another slowly.
const VIDEO_SLACK: i64 = SECOND;
/// Longest distance between two stamps of a stream (ISO/IEC 13818-1, 2.7.4), to begin with.
const FIRST_STEP: i64 = SECOND * 7 / 10;
/// Broken stamps in a row. With more, the clock jumps.
const IN_A_ROW: usize = 4;
/// Stamps that are repaired in a file; and one in so many of a stream at most: more is no accident.
const MAX_REPAIRS: usize = 1000;
const ONE_IN: u64 = 50;

/// The stamps of a PES packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) pts: i64,
    pub(super) dts: Option<i64>,
}

impl Stamp {
    fn decoded(self) -> i64 {
        self.dts.unwrap_or(self.pts)
    }

    fn moved(self, by: i64) -> Self {
        let on = |time: i64| (time + by).rem_euclid(TURN);
        Self { pts: on(self.pts), dts: self.dts.map(on) }
    }
}

/// Reads the stamps of the PES packet that begins here, and says whether it is audio.
pub(super) fn read(pes: &[u8]) -> Option<(Stamp, bool)> {
    let &[0, 0, 1, number @ (0xbd | 0xc0..=0xef | 0xfd), _, _, 0x80..=0xbf, flags, _] = pes.first_chunk()?
    else {
        return None;
    };
    let pts = time(pes.get(9..14).filter(|_| flags & 0x80 != 0)?)?;
    let dts = if flags & 0x40 == 0 { None } else { Some(time(pes.get(14..19)?)?) };
    Some((Stamp { pts, dts }, !matches!(number, 0xe0..=0xef | 0xfd)))
}

/// Writes them in place of those that are there.
pub(super) fn write(pes: &mut [u8], stamp: Stamp) {
    for (at, time) in [(9, Some(stamp.pts)), (14, stamp.dts)] {
        let bytes = pes.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<5>);
        if let (Some(time), Some([first, middle @ .., c, d])) = (time, bytes) {
            let part = |from: i64| u16::try_from((time >> from & 0x7fff) << 1 | 1).unwrap_or(1).to_be_bytes();
            *first = *first & 0xf1 | u8::try_from((time >> 30 & 7) << 1).unwrap_or(0);
            (*middle, [*c, *d]) = (part(15), part(0));
        }
    }
}

fn time(bytes: &[u8]) -> Option<i64> {
    let &[first, a, b, c, d] = bytes.first_chunk()?;
    let (high, low) =
        (i64::from(u16::from_be_bytes([a, b]) >> 1), i64::from(u16::from_be_bytes([c, d]) >> 1));
    Some(i64::from(first & 0x0e) << 29 | high << 15 | low)
}

/// The right stamps of a packet whose own are broken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Repair {
    /// Number of the packet of the transport stream.
    pub(super) packet: u64,
    pub(super) stamp: Stamp,
    /// How far off the broken ones are, in seconds.
    pub(super) by: f64,
}

/// The stamps of one stream, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Stamps {
    seen: u64,
    good: Option<Stamp>,
    /// The last distances between good stamps.
    steps: [i64; 4],
    /// Stamps that do not fit, with the numbers of their packets.
    waiting: Vec<(u64, Stamp)>,
    repairs: Vec<Repair>,
}

impl Stamps {
    /// Adds the stamps of packet `number`.
    pub(super) fn add(&mut self, number: u64, stamp: Stamp, audio: bool) {
        self.seen += 1;
        let Some(good) = self.good else {
            self.good = Some(stamp);
            return;
        };
        let steps = i64::try_from(self.waiting.len()).unwrap_or(0) + 1;
        let ahead = ahead(stamp, good);
        let usual = self.steps.into_iter().max().filter(|&step| step > 0).unwrap_or(FIRST_STEP);
        if (0..=usual.saturating_mul(steps).saturating_add(SLACK)).contains(&ahead) {
            self.mend(good, ahead, steps, if audio { SLACK } else { VIDEO_SLACK });
            self.steps.rotate_right(1);
            self.steps[0] = ahead / steps;
        } else if self.waiting.len() < IN_A_ROW {
            self.waiting.push((number, stamp));
            return;
        }
        self.waiting.clear();
        self.good = Some(stamp);
    }

    /// Repairs what lies outside of its neighbours: `good`, and the one that is `far` ahead of it, `steps` later.
    fn mend(&mut self, good: Stamp, far: i64, steps: i64, slack: i64) {
        for (&(number, stamp), step) in self.waiting.iter().zip(1..) {
            let off = ahead(stamp, good);
            if !(-slack..=far + slack).contains(&off) && self.repairs.len() < MAX_REPAIRS {
                let by = off - far * step / steps;
                self.repairs.push(Repair { packet: number, stamp: stamp.moved(-by), by: seconds(by) });
            }
        }
    }

    /// The repairs, unless there are so many that the stream is of another kind.
    pub(super) fn repairs(&self) -> impl Iterator<Item = Repair> {
        let most = usize::try_from(1 + self.seen / ONE_IN).unwrap_or(MAX_REPAIRS);
        let few = self.repairs.len() <= most;
        self.repairs.iter().copied().filter(move |_| few)
    }
}

fn seconds(ticks: i64) -> f64 {
    let magnitude = float(ticks.unsigned_abs()) / float(SECOND.unsigned_abs());
    if ticks < 0 { -magnitude } else { magnitude }
}

/// How many ticks one stamp lies ahead of another, on a clock that wraps.
fn ahead(stamp: Stamp, of: Stamp) -> i64 {
    let ticks = (stamp.decoded() - of.decoded()).rem_euclid(TURN);
    if ticks < TURN / 2 { ticks } else { ticks - TURN }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The repairs of a stream with these presentation times, in hundredths of a second.
    fn repaired(times: impl IntoIterator<Item = i64>, audio: bool) -> Vec<(u64, i64)> {
        let mut stamps = Stamps::default();
        for (number, time) in (0..).zip(times) {
            stamps.add(number, Stamp { pts: (time * 900).rem_euclid(TURN), dts: None }, audio);
        }
        stamps.repairs().map(|repair| (repair.packet, repair.stamp.pts / 900)).collect()
    }

    fn with(changes: &[(usize, i64)], from: i64) -> Vec<i64> {
        let mut times: Vec<_> = (0..100).map(|number| from + number * 4).collect();
        for &(number, by) in changes {
            times[number] += by;
        }
        times
    }

    #[test]
    fn a_stamp_that_lies_outside_of_its_neighbours_gets_their_middle() {
        for by in [-250, -50, 50, 500, 3000, 1_800_000] {
            assert_eq!(repaired(with(&[(50, by)], 0), true), [(50, 200)], "{by}");
        }
        assert_eq!(repaired(with(&[(50, 500), (51, -90)], 0), true), [(50, 200), (51, 204)]);
        // 2^33 ticks are 95,443.7 s: the clock wraps at number 42.
        assert_eq!(repaired(with(&[(50, 500)], 9_544_200), true).len(), 1);
    }

    #[test]
    fn jumps_pauses_and_reordered_frames_are_no_damage() {
        let none: [(u64, i64); 0] = [];
        for (what, times, audio) in [
            ("a pause", (0..50).chain(300..350).map(|time| time * 4).collect::<Vec<_>>(), true),
            ("a step back", (0..50).chain(20..70).map(|time| time * 4).collect(), true),
            ("a jump by an hour", (0..50).chain(90_000..90_050).map(|time| time * 4).collect(), true),
            ("slides", vec![0, 4, 8, 500, 504, 1200, 2000, 2004], false),
            (
                "reordered",
                (0..50).flat_map(|time| [3, 1, 2].map(|one| (time * 3 + one) * 20)).collect(),
                false,
            ),
            ("a bit off", with(&[(50, 9)], 0), true),
            ("always", (0..100).map(|time| time * 4 + time % 5 / 4 * 500).collect(), true),
        ] {
            assert_eq!(repaired(times, audio), none, "{what}");
        }
    }

    #[test]
    fn stamps_are_written_as_they_are_read() {
        for (pts, dts) in [(TURN - 1, None), (0x1_2345_6789, Some(5)), (0, Some(TURN - 2))] {
            let flags = if dts.is_some() { 0xc0 } else { 0x80 };
            let mut pes = vec![0, 0, 1, 0xe0, 0, 0, 0x80, flags, 10, 0x21];
            pes.resize(30, 0x11);
            let stamp = Stamp { pts, dts };
            write(&mut pes, stamp);
            assert_eq!(read(&pes), Some((stamp, false)));
            // The bits between the parts are ones.
            assert!([9, 11, 13].iter().all(|&at| pes[at] & 1 == 1) && pes[9] & 0xf0 == 0x20);
        }
        assert_eq!(read(&[0, 0, 1, 0xc0, 0, 0, 0x80, 0, 0]), None);
    }

    proptest! {
        #[test]
        fn no_stamps_and_no_bytes_make_it_panic(
            times in proptest::collection::vec((0..TURN, any::<Option<u32>>()), 0..200), bytes in proptest::collection::vec(any::<u8>(), 0..30),
        ) {
            let mut stamps = Stamps::default();
            for (number, (pts, dts)) in (0..).zip(times) {
                stamps.add(number, Stamp { pts, dts: dts.map(i64::from) }, number % 3 == 0);
            }
            stamps.repairs().for_each(|repair| write(&mut bytes.clone(), repair.stamp));
            read(&[&[0, 0, 1, 0xc0][..], &bytes].concat());
        }
    }
}
