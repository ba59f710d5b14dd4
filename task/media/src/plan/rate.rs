//! The constant frame rate that a source is brought to. Pure.
//!
//! Groups of pictures of the same length in every rung need frames at a constant, exact rate. Declared rates are
//! unreliable (variable frame rate, clocks of whole milliseconds, wrong headers), so the rate is measured from the
//! times at which frames are shown: the rate of most frames, however long a pause is. It is at most 60. It is above
//! the source's only where that is slower than people perceive as motion.

use std::collections::BTreeMap;

use crate::{
    examine::{
        probe::VideoStream,
        scan::{BLOCK, Timing},
    },
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

/// Rate of irregular video that is slower than this (slides, a camera that waits for motion). At this rate no frame
/// is shown more than 0.05 s off its own time.
const IRREGULAR: Rational = Rational { num: 10, den: 1 };
/// Regular video that is slower than one frame a second gets the multiple of its rate that reaches this: groups and
/// segments have sensible lengths, and each frame keeps its exact time.
const SLOWEST: f64 = 1.0;
const SLOW: f64 = 5.0;

/// Codecs whose header gives one rate for the whole stream: a frame that is not there repeats the one before.
const CONSTANT: [&str; 1] = ["theora"];
/// Longer steps than this are pauses: they need not be whole numbers of frames.
const PAUSE: f64 = 12.0;

/// The rate for a stream, in frames a second.
pub fn choose(video: &VideoStream, timing: &Timing) -> Rational {
    let by_header = video.base_rate.filter(|rate| (SLOWEST..=1000.0).contains(&rate.value()));
    if let Some(rate) = by_header.filter(|_| CONSTANT.contains(&video.codec.as_str())) {
        return limit(rate);
    }
    if timing.deltas.is_empty() {
        // One frame: nothing to measure.
        let declared = video.average_rate.or(video.base_rate).filter(|rate| rate.value() >= SLOWEST);
        return limit(declared.unwrap_or(Rational { num: 25, den: 1 }));
    }
    let Some(Measured { rate, regular }) = measured(video, timing) else {
        return limit(video.average_rate.unwrap_or(Rational { num: 25, den: 1 }));
    };
    if !regular && rate.value() < IRREGULAR.value() {
        return IRREGULAR;
    }
    if rate.value() < SLOWEST {
        let times = u32::try_from(round_to_u64((SLOW / rate.value()).ceil())).unwrap_or(1);
        return rate.times(times).unwrap_or(IRREGULAR);
    }
    limit(rate)
}

/// A rate, and whether every frame lies on its grid.
struct Measured {
    rate: Rational,
    regular: bool,
}

fn measured(video: &VideoStream, timing: &Timing) -> Option<Measured> {
    let tick = video.time_base.value();
    let spread = Spread { deltas: &timing.deltas, tick };
    // The distance of the fastest fifth of the frames: the smoothest motion, of which nothing must be dropped.
    let base = spread.alike(spread.fifth()?, spread.tolerance(spread.fifth()?));
    let grid = spread.on_grid(base.mean);
    if grid.share >= 0.9 {
        // A constant rate with pauses, or with frames left out: the mean over all steps is exact to about a tick over
        // the whole length, and pauses do not count.
        let tolerance = (1.5 * tick / (grid.mean * grid.steps)).clamp(0.000_2, 0.01);
        let rate = nearest(1.0 / grid.mean, tolerance, video.average_rate, exact(video, timing))?;
        return Some(Measured { rate, regular: grid.share >= 1.0 });
    }
    // For clocks with jitter and patterns such as 2:3: the sum of twelve distances is steady where each alone is not.
    let blocks = Spread { deltas: &timing.blocks, tick: tick / f64::from(BLOCK) };
    let rate = match blocks.fifth().filter(|_| blocks.count() >= 3.0) {
        Some(fast) => 1.0 / blocks.settle(fast),
        None => 1.0 / base.mean,
    };
    let rate = nearest(rate, 0.02, video.base_rate, None)?;
    Some(Measured { rate, regular: false })
}

/// The exact rate, if all distances are the same.
fn exact(video: &VideoStream, timing: &Timing) -> Option<Rational> {
    let (&delta, _) = timing.deltas.first_key_value().filter(|_| timing.deltas.len() == 1)?;
    let ticks = u32::try_from(delta).ok()?.checked_mul(video.time_base.num)?;
    Rational::new(video.time_base.den, ticks).filter(|rate| rate.num <= LARGEST)
}

/// Distances between frames in seconds, each with how often it occurs.
struct Spread<'a> {
    deltas: &'a BTreeMap<i64, u64>,
    tick: f64,
}

/// The distances that are about the same.
struct Alike {
    mean: f64,
}

/// How distances lie on a grid.
struct Grid {
    /// Step of the grid in seconds.
    mean: f64,
    /// Steps over the distances that fit, without pauses.
    steps: f64,
    /// Part of the distances that fit.
    share: f64,
}

impl Spread<'_> {
    fn all(&self) -> impl Iterator<Item = (f64, f64)> {
        self.deltas.iter().map(|(&delta, &times)| (float(delta.unsigned_abs()) * self.tick, float(times)))
    }

    fn count(&self) -> f64 {
        self.all().map(|(_, times)| times).sum()
    }

    fn fifth(&self) -> Option<f64> {
        let (count, mut seen) = (self.count(), 0.0);
        self.all().find_map(|(delta, times)| {
            seen += times;
            (seen * 5.0 >= count).then_some(delta)
        })
    }

    /// How much a distance may differ from `delta` and still count as the same: clocks round, many of them to whole
    /// milliseconds.
    fn tolerance(&self, delta: f64) -> f64 {
        f64::max(1.5 * self.tick, (delta / 8.0).min(0.002))
    }

    /// The mean of the distances within `tolerance` of `delta`.
    fn alike(&self, delta: f64, tolerance: f64) -> Alike {
        let near = self.all().filter(|(other, _)| (other - delta).abs() <= tolerance);
        let (sum, number) =
            near.fold((0.0, 0.0), |(sum, number), (other, times)| (sum + other * times, number + times));
        Alike { mean: if number > 0.0 { sum / number } else { delta } }
    }

    /// The mean of the cluster of distances around `delta`.
    fn settle(&self, delta: f64) -> f64 {
        (0..4).fold(delta, |mean, _| self.alike(mean, mean * 0.06).mean)
    }

    /// How the distances lie on a grid of about `step`.
    fn on_grid(&self, step: f64) -> Grid {
        let tolerance = self.tolerance(step);
        // If the grid is hardly wider than the clock's rounding, everything seems to lie on it.
        let most = if tolerance <= step / 4.0 { f64::INFINITY } else { 1.0 };
        let fits = |&(delta, _): &(f64, f64)| {
            let steps = (delta / step).round().clamp(1.0, most);
            // Over a long pause the error of the step adds up.
            (delta - steps * step).abs() <= tolerance.max(steps * step * 0.005).min(step.max(tolerance) / 2.0)
        };
        let (mut span, mut steps, mut number) = (0.0, 0.0, 0.0);
        for (delta, times) in self.all().filter(fits) {
            let each = (delta / step).round().clamp(1.0, most);
            number += times;
            if each <= PAUSE {
                span += delta * times;
                steps += each * times;
            }
        }
        let mean = if steps > 0.0 { span / steps } else { step };
        Grid { mean, steps, share: number / self.count() }
    }
}

/// Largest numerator of a rate: the clocks of the result are multiples of it.
const LARGEST: u32 = 1_000_000;

/// The declared rate if it agrees with the measured one, else the nearest standard rate, else the exact one if there
/// is one, else the simplest fraction within the accuracy of the measurement.
fn nearest(
    rate: f64,
    tolerance: f64,
    declared: Option<Rational>,
    exact: Option<Rational>,
) -> Option<Rational> {
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
    standard.or(exact).or_else(|| Rational::near(rate, tolerance.min(0.000_2), LARGEST))
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
        let blocks = BTreeMap::new();
        Timing { packets: 1, start: 0.0, end: 1.0, last: 1.0, deltas, blocks, corrupt: 0, late: 0 }
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

    /// By what a demuxer finds: frames at these times, in milliseconds.
    fn at(milliseconds: impl IntoIterator<Item = u64>) -> String {
        let mut scan = crate::examine::scan::Scan::default();
        for time in milliseconds {
            scan.line(&format!("0|{time}|{time}|1|10|0|K_"));
        }
        choose(&stream(MILLIS, "0/0"), &scan.timing(0, MILLIS).unwrap()).to_string()
    }

    #[test]
    fn pauses_and_outliers_have_no_say() {
        // 30 frames a second with a pause of 1.5 s.
        let pause = |number: u64| number * 1000 / 30 + if number >= 450 { 1500 } else { 0 };
        assert_eq!(at((0..990).map(pause)), "30/1");
        // 60 frames a second, one of which came twice.
        assert_eq!(at((0..100).map(|number| number * 1000 / 60).chain([1651])), "60/1");
        // A screen that is recorded at 60 wherever it moves.
        let moves =
            (0..900).filter(|number| number % 7 != 3 && number % 11 != 5 && !(200..350).contains(number));
        assert_eq!(at(moves.map(|number| number * 50 / 3)), "60/1");
        // A pause that is no whole number of frames.
        let gap = |number: u64| number * 40 + if number >= 50 { 5019 } else { 0 };
        assert_eq!(at((0..100).map(gap)), "25/1");
        // A pause so long that it is most of the file.
        assert_eq!(at((0..60).map(|number| number * 40 + if number >= 30 { 600_000 } else { 0 })), "25/1");
    }

    #[test]
    fn a_trembling_clock_keeps_its_rate() {
        // Each frame up to 12 ms off; a browser's recorder.
        let off = |number: u64| (number * 7919 + number * number * 31) % 25;
        assert_eq!(at((0..900).map(|number| 20 + number * 1000 / 30 + off(number) - 12)), "30/1");
        // A film in 2:3.
        assert_eq!(at((0..900).map(|number| (number / 2 * 5 + number % 2 * 2) * 1001 / 60)), "24000/1001");
        // Half a minute of 60 in a minute of 30.
        let sections =
            (0..1800).map(|number| number * 100 / 3).chain((0..1800).map(|number| 60_000 + number * 50 / 3));
        assert_eq!(at(sections), "60/1");
    }

    #[test]
    fn slow_frames_come_at_their_time() {
        assert_eq!(at([0, 4200, 9720, 16_120, 21_920, 30_400]), "10/1");
        assert_eq!(at((0..60).map(|number| number * 1000)), "1/1");
        // A frame a minute, every ten seconds, twice in seven seconds.
        assert_eq!(at((0..60).map(|number| number * 60_000)), "5/1");
        assert_eq!(at((0..60).map(|number| number * 10_000)), "5/1");
        assert_eq!(at((0..60).map(|number| number * 500)), "2/1");
        assert_eq!(at((0..600).map(|number| number * 10_000 / 33)), "33/10");
        // A second, but for one that came late.
        assert_eq!(at((0..60).map(|number| number * 1000 + if number > 30 { 400 } else { 0 })), "10/1");
        // Frames that are no standard's stay exact.
        let base = Rational { num: 1, den: 90_000 };
        assert_eq!(choose(&stream(base, "0/0"), &timing(&[(7000, 200)])).to_string(), "90/7");
    }

    #[test]
    fn a_codec_with_one_rate_in_its_header_leaves_out_frames_that_do_not_change() {
        let base = Rational { num: 1, den: 25 };
        let mut video = stream(base, "25/1");
        assert_eq!(choose(&video, &timing(&[(12, 1)])).to_string(), "25/12");
        video.codec = "theora".into();
        assert_eq!(choose(&video, &timing(&[(12, 1)])).to_string(), "25/1");
    }

    #[test]
    fn one_frame_takes_the_declared_rate_and_nothing_takes_25() {
        assert_eq!(choose(&stream(MILLIS, "30/1"), &timing(&[])).to_string(), "30/1");
        assert_eq!(choose(&stream(MILLIS, "0/0"), &timing(&[])).to_string(), "25/1");
    }
}
