//! One clock for a file whose own clock jumps. Pure.
//!
//! The clock of a file jumps where recordings were joined, streams were cut, or a programme switches from one studio
//! to another. For the containers in which that happens (`AVFMT_TS_DISCONT`) ffmpeg moves everything after the jump,
//! so that it goes on where the last frame ended. ffprobe prints the times before that correction. This module
//! applies the same correction, so that a plan made from packet times holds for the decoder.
//!
//! The rules are those of ffmpeg's `ts_discontinuity_detect` (5.1 to 7.1), with its default of ten seconds.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::rational::{Rational, float};

/// Containers in which ffmpeg expects the clock to jump.
const JUMPING: [&str; 3] = ["mpegts", "mpeg", "ogg"];
/// Gaps of more than this are jumps of the clock and no gaps, in microseconds.
const JUMP: i64 = 10_000_000;
/// Steps back by more than this are jumps of the clock, in microseconds.
const BACK: i64 = 100_000;

/// A place at which the clock jumps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Jump {
    /// Where, in seconds on the corrected clock.
    pub at: f64,
    /// By how much, in seconds; forward is positive.
    pub by: f64,
}

/// Puts the times of packets right, in the order of the file. Times inside in microseconds, as in ffmpeg.
#[derive(Debug, Default)]
pub(super) struct Clock {
    jumping: bool,
    streams: BTreeMap<u32, Stream>,
    offset: i64,
    last: Option<i64>,
    /// The first jumps, and the number of all jumps.
    pub(super) jumps: (Vec<Jump>, usize),
}

/// Jumps that are kept one by one.
const REMEMBERED: usize = 8;

#[derive(Debug)]
struct Stream {
    time_base: Rational,
    /// Time of the last packet.
    now: Option<i64>,
    /// Where the last packet ends, so where the next one is due.
    next: Option<i64>,
}

/// Whether the clock of a container may jump, by ffprobe's name of it.
pub fn may_jump(container: &str) -> bool {
    container.split(',').any(|name| JUMPING.contains(&name))
}

impl Clock {
    /// Follows the streams that will be decoded: only they can make the clock jump. `jumping`: the answer of
    /// [`may_jump`].
    pub(super) fn new(jumping: bool, streams: impl IntoIterator<Item = (u32, Rational)>) -> Self {
        let stream = |(index, time_base)| (index, Stream { time_base, now: None, next: None });
        Self { jumping, streams: streams.into_iter().map(stream).collect(), ..Self::default() }
    }

    /// The correction to add to the times of this packet, in ticks of its stream.
    pub(super) fn correction(&mut self, index: u32, dts: Option<i64>, duration: i64) -> i64 {
        if !self.jumping {
            return 0;
        }
        let Some(stream) = self.streams.get_mut(&index) else { return 0 };
        if let Some(dts) = dts {
            let mut now = micros(dts, stream.time_base).saturating_add(self.offset);
            let due = match stream.next {
                // After a packet of the same stream, a step back is a jump too; the first packet of a stream is
                // compared with the other streams.
                Some(next) if away(now, next) > JUMP || Some(now.saturating_add(BACK)) < stream.now => {
                    Some(next)
                }
                Some(_) => None,
                None => self.last.filter(|&last| away(now, last) > JUMP),
            };
            if let Some(due) = due {
                let by = now.saturating_sub(due);
                self.offset = self.offset.saturating_sub(by);
                now = due;
                if self.jumps.0.len() < REMEMBERED {
                    self.jumps.0.push(Jump { at: seconds(now), by: seconds(by) });
                }
                self.jumps.1 += 1;
            }
            stream.now = Some(now);
            stream.next = Some(now.saturating_add(micros(duration, stream.time_base)));
            self.last = Some(now);
        }
        ticks(self.offset, stream.time_base)
    }
}

fn away(a: i64, b: i64) -> i64 {
    a.saturating_sub(b).saturating_abs()
}

fn micros(ticks: i64, time_base: Rational) -> i64 {
    scaled(ticks, 1_000_000 * i128::from(time_base.num), i128::from(time_base.den))
}

fn ticks(micros: i64, time_base: Rational) -> i64 {
    scaled(micros, i128::from(time_base.den), 1_000_000 * i128::from(time_base.num))
}

/// Rounds to the nearest, halves away from zero, as ffmpeg does.
fn scaled(value: i64, times: i128, through: i128) -> i64 {
    let product = i128::from(value) * times;
    let half = if product < 0 { -through / 2 } else { through / 2 };
    i64::try_from((product + half) / through).unwrap_or(if value < 0 { i64::MIN / 4 } else { i64::MAX / 4 })
}

fn seconds(micros: i64) -> f64 {
    let magnitude = float(micros.unsigned_abs()) / 1e6;
    if micros < 0 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MPEG: Rational = Rational { num: 1, den: 90_000 };

    #[test]
    fn a_second_recording_goes_on_where_the_first_ended() {
        let mut clock = Clock::new(true, [(0, MPEG), (1, MPEG)]);
        for frame in 0..50 {
            assert_eq!(clock.correction(0, Some(126_000 + frame * 3600), 3600), 0);
            assert_eq!(clock.correction(1, Some(126_000 + frame * 3600), 3600), 0);
        }
        // Another clock begins: by the video the file goes on at 126,000 + 50 × 3,600, and the audio moves with it.
        assert_eq!(clock.correction(0, Some(0), 3600), 306_000);
        assert_eq!(clock.correction(1, Some(-1920), 1920), 306_000);
        assert_eq!(clock.correction(0, Some(3600), 3600), 306_000);
        assert_eq!(clock.jumps, (vec![Jump { at: 3.4, by: -3.4 }], 1));
    }

    #[test]
    fn hours_are_jumps_and_seconds_are_gaps() {
        let mut clock = Clock::new(true, [(0, MPEG)]);
        clock.correction(0, Some(0), 3600);
        assert_eq!(clock.correction(0, Some(9 * 90_000), 3600), 0, "the signal was away for nine seconds");
        let hour = 3600 * 90_000;
        assert_eq!(clock.correction(0, Some(hour), 3600), 9 * 90_000 + 3600 - hour);
    }

    #[test]
    fn only_decoded_streams_of_containers_that_jump_are_put_right() {
        for (jumping, index) in [(false, 0), (true, 7)] {
            let mut clock = Clock::new(jumping, [(0, MPEG)]);
            clock.correction(index, Some(90_000_000), 3600);
            assert_eq!(clock.correction(index, Some(0), 3600), 0);
        }
        assert!(may_jump("mpegts") && may_jump("ogg") && !may_jump("mov,mp4,m4a,3gp,3g2,mj2"));
    }

    proptest! {
        #[test]
        fn no_times_make_it_panic(times in proptest::collection::vec(any::<(u32, i64, i64)>(), 0..80), num in 1_u32.., den in 1_u32..) {
            let base = Rational::new(num, den).unwrap();
            let mut clock = Clock::new(true, [(0, base), (1, MPEG)]);
            for (index, dts, duration) in times {
                clock.correction(index % 3, Some(dts), duration);
            }
        }
    }
}
