//! The constant frame rate that a source is brought to. Pure.
//!
//! Groups of pictures of the same length in every rung need frames at a constant, exact rate. Declared rates cannot be
//! trusted (variable frame rate, clocks of whole milliseconds, wrong headers), so the rate is read off the times at
//! which frames are really shown. It is at most 60 and never above what the source has.

use crate::{
    examine::{probe::VideoStream, scan::Timing},
    rational::{Rational, float, round_to_u64},
};

/// Highest rate that is delivered (rule 1.12 allows 60).
pub const MAX_RATE: f64 = 60.0;

/// Rates that cameras and standards use.
const STANDARD: &[Rational] = &[
    Rational { num: 1, den: 1 },
    Rational { num: 5, den: 1 },
    Rational { num: 10, den: 1 },
    Rational { num: 12, den: 1 },
    Rational { num: 25, den: 2 },
    Rational { num: 15_000, den: 1001 },
    Rational { num: 15, den: 1 },
    Rational { num: 20, den: 1 },
    Rational { num: 24_000, den: 1001 },
    Rational { num: 24, den: 1 },
    Rational { num: 25, den: 1 },
    Rational { num: 30_000, den: 1001 },
    Rational { num: 30, den: 1 },
    Rational { num: 48, den: 1 },
    Rational { num: 50, den: 1 },
    Rational { num: 60_000, den: 1001 },
    Rational { num: 60, den: 1 },
    Rational { num: 100, den: 1 },
    Rational { num: 120_000, den: 1001 },
    Rational { num: 120, den: 1 },
    Rational { num: 240_000, den: 1001 },
    Rational { num: 240, den: 1 },
];

/// The rate for a stream, in frames a second.
pub fn choose(video: &VideoStream, timing: &Timing) -> Rational {
    limit(measured(video, timing).unwrap_or(Rational { num: 25, den: 1 }))
}

fn measured(video: &VideoStream, timing: &Timing) -> Option<Rational> {
    let tick = video.time_base.value();
    let count: u64 = timing.deltas.values().sum();
    if count == 0 {
        // One frame: nothing to measure.
        return video.average_rate.or(video.base_rate);
    }
    let total: f64 = timing.deltas.iter().map(|(&delta, &times)| ticks(delta) * float(times)).sum();
    let mean = total / float(count);
    let regular: u64 = timing
        .deltas
        .iter()
        .filter(|&(&delta, _)| (ticks(delta) - mean).abs() * tick <= f64::max(0.002, 1.5 * tick))
        .map(|(_, &times)| times)
        .sum();
    if regular * 20 >= count * 19 {
        // Constant within rounding: the mean is exact to about a tick over the whole length.
        let tolerance = (1.5 / float(count) * tick / (mean * tick)).clamp(0.000_2, 0.01);
        return nearest(1.0 / (mean * tick), tolerance, video.average_rate);
    }
    // Variable: the rate of its smoothest motion, so that nothing is dropped. That is the distance below which a
    // fifth of the frames lie; it is averaged over like ones because clocks round to whole milliseconds.
    let mut seen = 0;
    let fast = timing.deltas.iter().find_map(|(&delta, &times)| {
        seen += times;
        (seen * 5 >= count).then_some(ticks(delta))
    })?;
    let alike = timing.deltas.iter().filter(|&(&delta, _)| (ticks(delta) - fast).abs() * tick <= 0.0015);
    let (sum, number) = alike.fold((0.0, 0.0), |(sum, number), (&delta, &times)| {
        (sum + ticks(delta) * float(times), number + float(times))
    });
    nearest(number / (sum * tick), 0.02, video.base_rate)
}

fn ticks(delta: i64) -> f64 {
    float(delta.unsigned_abs())
}

/// The declared rate if it agrees with the measured one, else the nearest standard rate, else the measured one as a
/// fraction of thousandths.
fn nearest(rate: f64, tolerance: f64, declared: Option<Rational>) -> Option<Rational> {
    if !rate.is_finite() || rate <= 0.0 {
        return declared;
    }
    let distance = |candidate: &Rational| (candidate.value() / rate - 1.0).abs();
    let standard = STANDARD
        .iter()
        .copied()
        .filter(|candidate| distance(candidate) <= tolerance)
        .min_by(|a, b| distance(a).total_cmp(&distance(b)));
    // 29.97 and 30 are both near for a short clip; there the header may decide.
    if let Some(declared) =
        declared.filter(|declared| STANDARD.contains(declared) && distance(declared) <= tolerance)
    {
        return Some(declared);
    }
    standard.or_else(|| {
        let thousandths = u32::try_from(round_to_u64(rate * 1000.0)).ok()?;
        Rational::new(thousandths.max(1), 1000)
    })
}

/// Divides by a whole number until the rate is at most 60, so that frames are left out evenly.
fn limit(rate: Rational) -> Rational {
    rate.divided_by(divisor(rate, MAX_RATE))
}

/// The smallest whole number by which `rate` must be divided to be at most `most`.
pub fn divisor(rate: Rational, most: f64) -> u32 {
    // 30.3 from a rough clock is still "30".
    let quotient = (rate.value() / (most * 1.02)).ceil();
    u32::try_from(round_to_u64(quotient)).unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn stream(time_base: Rational, declared: &str) -> VideoStream {
        let json = format!(
            r#"{{"streams":[{{"codec_type":"video","codec_name":"h264","width":64,"height":64,"time_base":"{time_base}",
            "avg_frame_rate":"{declared}","r_frame_rate":"{declared}"}}]}}"#
        );
        crate::examine::probe::parse(json.as_bytes(), 1).unwrap().video.unwrap()
    }

    fn timing(deltas: &[(i64, u64)]) -> Timing {
        let deltas = deltas.iter().copied().collect::<BTreeMap<_, _>>();
        Timing { packets: 1, start: 0.0, end: 1.0, last: 1.0, deltas, corrupt: 0 }
    }

    const MILLIS: Rational = Rational { num: 1, den: 1000 };

    #[test]
    fn rates_are_read_off_the_frames_not_off_the_header() {
        for (base, declared, deltas, expected) in [
            (Rational { num: 1, den: 12_800 }, "25/1", &[(512, 132)][..], "25/1"),
            (Rational { num: 1, den: 30_000 }, "30000/1001", &[(1001, 300)], "30000/1001"),
            (Rational { num: 1, den: 30_000 }, "120/1", &[(1001, 300)], "30000/1001"),
            (MILLIS, "30000/1001", &[(33, 190), (34, 110)], "30000/1001"),
            (MILLIS, "1000/1", &[(33, 6300), (34, 3663)], "30000/1001"),
            (MILLIS, "0/0", &[(41, 2), (42, 6)], "24000/1001"),
            (MILLIS, "24000/1001", &[(1000, 9)], "1/1"),
            (Rational { num: 1, den: 60_000 }, "60000/1001", &[(1001, 600)], "60000/1001"),
            (Rational { num: 1, den: 120 }, "120/1", &[(1, 600)], "60/1"),
            (Rational { num: 1, den: 90_000 }, "90/1", &[(1000, 600)], "45/1"),
            // A phone that drops to 24 in the dark and does 30 otherwise.
            (Rational { num: 1, den: 600 }, "2797/100", &[(20, 200), (25, 90), (40, 3)], "30/1"),
        ] {
            let chosen = choose(&stream(base, declared), &timing(deltas));
            assert_eq!(chosen.to_string(), expected, "{declared} {deltas:?}");
        }
    }

    #[test]
    fn one_frame_takes_the_declared_rate_and_nothing_takes_25() {
        assert_eq!(choose(&stream(MILLIS, "30/1"), &timing(&[])).to_string(), "30/1");
        assert_eq!(choose(&stream(MILLIS, "0/0"), &timing(&[])).to_string(), "25/1");
    }
}
