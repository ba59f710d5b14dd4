//! Keeps the size of the result in proportion to the size of the source. Pure.
//!
//! A file of two frames that are hours apart is small, and the same hours at 60 frames a second are two million
//! frames that somebody pays for. So the file's own frames and bytes bound the frames of the result, and its bytes bound
//! the groups of pictures and with them the segments, each of which is a whole picture, a file and a request. No
//! source is refused for it: the rate is divided by a whole number, groups become longer, and the result keeps its
//! duration.

use crate::rational::{Rational, float, round_to_u64};

/// Frames that any result may have: an hour at five a second.
const FREE_FRAMES: f64 = 18_000.0;
/// Frames made for each frame of the source: a slide a minute is shown at ten frames a second.
const FRAMES_PER_FRAME: f64 = 600.0;
/// Bytes of the source for each frame made. An encoder takes more than that for a frame that repeats the one before.
const BYTES_PER_FRAME: f64 = 4.0;
/// Groups of pictures that any result may have: an hour of two seconds each.
const FREE_GROUPS: f64 = 1800.0;
/// Bytes of the source for each group made. Speech takes that in a tenth of a second.
const BYTES_PER_GROUP: f64 = 256.0;

/// The rate of a result of `seconds`: the measured `rate`, or less if the source's `frames` and `bytes` are too few
/// for it.
pub fn limit(rate: Rational, seconds: f64, frames: u64, bytes: u64) -> Rational {
    let paid = (float(frames) * FRAMES_PER_FRAME).min(float(bytes) / BYTES_PER_FRAME);
    let wanted = rate.value() * seconds;
    let times = (wanted / paid.max(FREE_FRAMES)).ceil();
    // At least one, also if `times` is not a number.
    let times = u32::try_from(round_to_u64(times.max(1.0))).unwrap_or(u32::MAX);
    let limited = rate.divided_by(times);
    // If the fraction does not fit, its clock is one that no real file has; whole thousandths are then exact enough.
    if limited == rate && times > 1 { thousandths(paid.max(FREE_FRAMES) / seconds) } else { limited }
}

/// Length of a group of pictures in a result of `seconds`: the profile's `wanted`, or more if the source's `bytes` are
/// too few for so many groups. Audio alone is cut into segments as if it had such groups.
pub fn group(wanted: f64, seconds: f64, bytes: u64) -> f64 {
    wanted.max(seconds / (float(bytes) / BYTES_PER_GROUP).max(FREE_GROUPS))
}

/// The next lower rate in whole thousandths, at least one thousandth.
fn thousandths(rate: f64) -> Rational {
    let num = u32::try_from(round_to_u64((rate * 1000.0).floor())).unwrap_or(1).max(1);
    Rational { num, den: 1000 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIXTY: Rational = Rational { num: 60, den: 1 };

    fn made(rate: Rational, seconds: f64, frames: u64, bytes: u64) -> (String, f64) {
        let rate = limit(rate, seconds, frames, bytes);
        (rate.to_string(), rate.value() * seconds)
    }

    #[test]
    fn a_small_file_does_not_ask_for_hours_at_sixty_frames_a_second() {
        let (rate, frames) = made(SIXTY, 39_000.0, 40, 40_000);
        assert_eq!(rate, "6/13");
        assert!(frames <= FREE_FRAMES);
        // Many frames that are nearly nothing do not, either.
        assert!(made(SIXTY, 39_000.0, 100_000, 400_000).1 <= 100_000.0);
    }

    #[test]
    fn a_small_file_does_not_ask_for_thousands_of_segments() {
        assert!((group(2.0, 39_000.0, 75_000) - 39_000.0 / FREE_GROUPS).abs() < 1e-9);
        assert!((group(2.0, 39_000.0, 1_024_000) - 39_000.0 / 4000.0).abs() < 1e-9);
        for (what, seconds, bytes) in [
            ("nothing for an hour", 3600.0, 2000),
            ("speech for twelve hours at 16 kbit/s", 43_200.0, 86_400_000),
            ("a screen that does not change, for twelve hours at 30 frames a second", 43_200.0, 16_000_000),
        ] {
            assert!((group(2.0, seconds, bytes) - 2.0).abs() < 1e-9, "{what}");
        }
    }

    #[test]
    fn ordinary_files_keep_their_rate() {
        for (what, rate, seconds, frames, bytes) in [
            ("a still second of nothing", SIXTY, 1.0, 60, 800),
            ("a film", SIXTY, 7200.0, 432_000, 2_000_000_000),
            ("a screen that seldom changes", Rational { num: 30, den: 1 }, 3600.0, 600, 3_000_000),
            ("a slide a minute for three hours", Rational { num: 10, den: 1 }, 10_800.0, 180, 5_000_000),
            (
                "a picture a minute for an hour, at five a second",
                Rational { num: 5, den: 1 },
                3600.0,
                60,
                60_000,
            ),
            ("a still of an hour at one frame a second", Rational { num: 1, den: 1 }, 3600.0, 3600, 90_000),
        ] {
            assert_eq!(limit(rate, seconds, frames, bytes), rate, "{what}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_sent_the_frames_are_paid_for(
            num in 1_u32..240_000, den in 1_u32..1002, seconds in 0.0_f64..50_000.0, frames: u64, bytes: u64,
        ) {
            let rate = Rational::new(num, den).unwrap();
            let limited = limit(rate, seconds, frames, bytes);
            let paid = (float(frames) * FRAMES_PER_FRAME).min(float(bytes) / BYTES_PER_FRAME).max(FREE_FRAMES);
            prop_assert!(limited.value() * seconds <= paid * 1.000_001);
            prop_assert!(limited.value() <= rate.value());
            prop_assert!(seconds / group(2.0, seconds, bytes) <= (float(bytes) / BYTES_PER_GROUP).max(FREE_GROUPS) * 1.000_001);
        }
    }
}
