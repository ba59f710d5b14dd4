//! Exact fractions, such as frame rates and time bases.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A positive fraction in lowest terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rational {
    /// Numerator, at least 1.
    pub num: u32,
    /// Denominator, at least 1.
    pub den: u32,
}

impl Rational {
    /// 1/1.
    pub const ONE: Self = Self { num: 1, den: 1 };

    /// A fraction in lowest terms; none if either side is zero.
    pub fn new(num: u32, den: u32) -> Option<Self> {
        if num == 0 || den == 0 {
            return None;
        }
        let divisor = gcd(num, den);
        Some(Self { num: num / divisor, den: den / divisor })
    }

    /// Reads `30000/1001`, `16:9` or `25`. None for `0/0`, `N/A` and anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (num, den) = text.split_once(['/', ':']).unwrap_or((text, "1"));
        Self::new(num.parse().ok()?, den.parse().ok()?)
    }

    /// The value.
    pub fn value(self) -> f64 {
        f64::from(self.num) / f64::from(self.den)
    }

    /// This fraction divided by a whole number; itself if that does not fit.
    #[must_use]
    pub fn divided_by(self, divisor: u32) -> Self {
        self.den.checked_mul(divisor).and_then(|den| Self::new(self.num, den)).unwrap_or(self)
    }

    /// This fraction times a whole number; none if that does not fit.
    pub fn times(self, factor: u32) -> Option<Self> {
        let divisor = gcd(self.den, factor.max(1));
        Self::new(self.num.checked_mul(factor / divisor)?, self.den / divisor)
    }

    /// The fraction with the smallest denominator within `tolerance` (relative) of `value`, by continued fractions; none
    /// if its numerator would be larger than `most`.
    pub fn near(value: f64, tolerance: f64, most: u32) -> Option<Self> {
        let (mut before, mut now) = ((0_u64, 1_u64), (1_u64, 0_u64));
        let mut rest = value;
        for _ in 0..32 {
            let whole = round_to_u64(rest.floor());
            let step = |now: u64, before: u64| whole.checked_mul(now)?.checked_add(before);
            let next = (step(now.0, before.0)?, step(now.1, before.1)?);
            (before, now) = (now, next);
            if (float(now.0) / float(now.1) / value - 1.0).abs() <= tolerance {
                break;
            }
            rest = 1.0 / (rest - rest.floor());
        }
        let num = u32::try_from(now.0).ok().filter(|&num| num <= most)?;
        Self::new(num, u32::try_from(now.1).ok()?)
    }

    /// Seconds that `frames` frames last at this rate.
    pub fn seconds_of(self, frames: u64) -> f64 {
        let (num, den) = (u128::from(self.num), u128::from(self.den));
        // Whole nanoseconds first: a product of large frame counts stays exact.
        let nanos = u128::from(frames) * den * 1_000_000_000 / num;
        let (whole, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        whole_to_f64(whole) + whole_to_f64(rest) / 1e9
    }

    /// Frames that `seconds` hold at this rate, rounded to the nearest.
    pub fn frames_in(self, seconds: f64) -> u64 {
        round_to_u64(seconds * self.value())
    }
}

impl fmt::Display for Rational {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.num, self.den)
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[allow(clippy::cast_precision_loss, reason = "seconds and remainders stay far below 2^52")]
fn whole_to_f64(value: u128) -> f64 {
    value as f64
}

/// An integer as a float. Media sizes and tick counts stay below 2^52.
#[allow(clippy::cast_precision_loss, reason = "media sizes and tick counts stay far below 2^52")]
pub fn float(value: u64) -> f64 {
    value as f64
}

/// Rounds to the nearest whole number; anything negative or not a number gives 0.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, which is what is wanted"
)]
pub fn round_to_u64(value: f64) -> u64 {
    value.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_read_in_lowest_terms_and_nonsense_is_none() {
        assert_eq!(Rational::parse("60000/2002"), Some(Rational { num: 30000, den: 1001 }));
        assert_eq!(Rational::parse("64:45"), Some(Rational { num: 64, den: 45 }));
        assert_eq!(Rational::parse("25"), Some(Rational { num: 25, den: 1 }));
        for text in ["0/0", "0:1", "N/A", "", "/", "-25/1", "1/99999999999"] {
            assert_eq!(Rational::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_simplest_fraction_that_is_near_enough() {
        for (value, expected) in [
            (15.3, "153/10"),
            (10.0 / 3.0, "10/3"),
            (0.238_095, "5/21"),
            (7.0, "7/1"),
            (0.016_666_667, "1/60"),
        ] {
            assert_eq!(Rational::near(value, 1e-5, 1_000_000).unwrap().to_string(), expected);
        }
        assert_eq!(Rational::near(f64::NAN, 1e-5, 10), None);
        assert_eq!(Rational::near(1e9, 1e-5, 1_000_000), None);
        assert_eq!(Rational { num: 1, den: 60 }.times(300).unwrap().to_string(), "5/1");
        assert_eq!(Rational { num: u32::MAX, den: 7 }.times(3), None);
    }

    #[test]
    fn twelve_hours_of_ntsc_frames_are_exact() {
        let rate = Rational { num: 30000, den: 1001 };
        let frames = rate.frames_in(43_200.0);
        assert!((rate.seconds_of(frames) - 43_200.0).abs() <= 0.5 / rate.value() + 1e-9);
        assert!((rate.seconds_of(180) - 6.006).abs() < 1e-9);
    }
}
