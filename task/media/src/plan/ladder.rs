//! Chooses the rungs of the ladder that a source gets. Pure.
//!
//! Sizes are those that a viewer sees (after rotation, with square pixels). The **short side** is compared, so a
//! portrait video gets the same rungs as a landscape one. Nothing is scaled up, except a source that is smaller than
//! its encoder takes. A source between two rungs gets its own size as the top one, and a source below the lowest gets
//! one rung.

use serde::Serialize;
use transcode_config::ladder::{Rung, VideoCodec};

use super::rate::{self, divisor};
use crate::{
    examine::{probe::VideoStream, range::Range},
    rational::{Rational, float, round_to_u64},
};

/// Encoders want at least one block of 16 pixels.
const MIN_SIDE: u32 = 16;
/// SVT-AV1 takes nothing smaller.
const MIN_SIDE_AV1: u32 = 64;
/// Longest side of a source that is scaled up for its encoder: limits the other side of a very narrow one.
const MAX_RAISED: f64 = 8192.0;
/// A source whose short side is this much above a rung takes that rung's place instead of standing beside it.
const ALIKE: f64 = 1.05;
/// How far a rung may move from its short side so that all rungs have exactly one aspect ratio (rule 1.33).
const MAX_SHIFT: f64 = 0.02;
/// Lowest average of a rung that is smaller than the ladder's first, bits per second.
const MIN_AVERAGE: u64 = 64_000;

/// One video rendition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rendition {
    /// Name, unique in the package and fit for a path: `720p`.
    pub name: String,
    /// Width in square pixels, even.
    pub width: u32,
    /// Height in square pixels, even.
    pub height: u32,
    /// Frames a second.
    pub rate: Rational,
    /// Keeps every n-th frame of the constant-rate source.
    pub frame_step: u32,
    /// Wanted average, bits per second.
    pub average_bps: u64,
    /// VBV rate, bits per second.
    pub max_bps: u64,
    /// VBV buffer, bits.
    pub buffer_bits: u64,
    /// Codec profile by the encoder's name.
    pub codec_profile: String,
    /// Dynamic range. Rungs of high range are HEVC with 10 bits.
    pub range: Range,
}

/// The renditions in `range` for a source at the constant `rate`, lowest first.
pub fn renditions(
    video: &VideoStream,
    rate: Rational,
    (rungs, codec): (&[Rung], VideoCodec),
    range: Range,
) -> Vec<Rendition> {
    let shape = Shape::of(video).fit_for(codec);
    let mut chosen: Vec<(Rung, (u32, u32))> = rungs
        .iter()
        .filter(|rung| f64::from(rung.short_side) <= shape.short() + 0.5)
        .map(|rung| (rung.clone(), shape.scaled_to(rung.short_side)))
        .collect();
    if let Some(above) = rungs.get(chosen.len()) {
        let below = chosen.last().map(|(rung, _)| rung.clone());
        match below {
            Some(below) if shape.short() < f64::from(below.short_side) * ALIKE => {
                for (_, size) in chosen.iter_mut().filter(|(rung, _)| rung.short_side == below.short_side) {
                    *size = shape.own();
                }
            }
            below => chosen.push((between(below.as_ref(), above, shape.short()), shape.own())),
        }
    }
    name(chosen, rate, range)
}

fn name(chosen: Vec<(Rung, (u32, u32))>, rate: Rational, range: Range) -> Vec<Rendition> {
    let mut renditions: Vec<Rendition> = Vec::new();
    for (rung, (width, height)) in chosen {
        let kind = if range == Range::Sdr { "" } else { "hdr-" };
        let mut name = format!("{kind}{}p", width.min(height));
        if renditions.iter().any(|other| other.name == name) {
            name = format!("{name}-{}k", rung.average_bps / 1000);
        }
        let most = rung.max_fps.map_or(rate::MAX_RATE, f64::from);
        let frame_step = divisor(rate, most);
        renditions.push(Rendition {
            name,
            width,
            height,
            rate: rate.divided_by(frame_step),
            frame_step,
            average_bps: rung.average_bps,
            max_bps: rung.max_bps,
            buffer_bits: rung.buffer_bits,
            codec_profile: rung.codec_profile,
            range,
        });
    }
    renditions
}

/// Rates of a rung whose short side lies below that of `above`: in proportion to its area.
fn between(below: Option<&Rung>, above: &Rung, short: f64) -> Rung {
    let share = (short / f64::from(above.short_side)).powi(2);
    let least = below.map_or(MIN_AVERAGE, |rung| rung.average_bps + rung.average_bps / 10);
    let average_bps = round_to_u64(float(above.average_bps) * share).max(least).min(above.average_bps);
    let scale = |bits: u64| round_to_u64(float(bits) * float(average_bps) / float(above.average_bps));
    Rung {
        average_bps,
        max_bps: scale(above.max_bps),
        buffer_bits: scale(above.buffer_bits),
        ..above.clone()
    }
}

/// A video's display size, and the exact ratio of its sides.
struct Shape {
    size: (f64, f64),
    ratio: (u64, u64),
}

impl Shape {
    fn of(video: &VideoStream) -> Self {
        let across = u64::from(video.width) * u64::from(video.pixel_aspect.num);
        let down = u64::from(video.height) * u64::from(video.pixel_aspect.den);
        let divisor = gcd(across, down).max(1);
        let (across, down) = (across / divisor, down / divisor);
        let ratio = if video.rotation.swaps_sides() { (down, across) } else { (across, down) };
        Self { size: video.display_size(), ratio }
    }

    /// Scales up in the same proportions to the encoder's smallest size: the only case in which a source is scaled
    /// up.
    fn fit_for(mut self, codec: VideoCodec) -> Self {
        let least = if codec == VideoCodec::Av1 { MIN_SIDE_AV1 } else { MIN_SIDE };
        let factor = f64::from(least) / self.short().max(1.0);
        if factor > 1.0 {
            let raised = |side: f64| (side * factor).min(MAX_RAISED.max(side));
            self.size = (raised(self.size.0), raised(self.size.1));
        }
        self
    }

    fn short(&self) -> f64 {
        self.size.0.min(self.size.1)
    }

    /// The source's own size, rounded down to even numbers.
    fn own(&self) -> (u32, u32) {
        (even_down(self.size.0), even_down(self.size.1))
    }

    /// The size whose short side is `short`, or so near to it that the aspect ratio is exact.
    fn scaled_to(&self, short: u32) -> (u32, u32) {
        // The smallest size with exactly this ratio and even sides; every multiple of it has both too.
        let unit = (self.ratio.0 * 2, self.ratio.1 * 2);
        let unit_short = unit.0.min(unit.1).max(1);
        let steps = round_to_u64(f64::from(short) / float(unit_short)).max(1);
        let exact = unit_short * steps;
        let near = (float(exact) / f64::from(short) - 1.0).abs() <= MAX_SHIFT;
        if near && float(exact) <= self.short() {
            let side = |side: u64| u32::try_from(side * steps).unwrap_or(u32::MAX);
            return (side(unit.0), side(unit.1));
        }
        let factor = f64::from(short) / self.short();
        (even(self.size.0 * factor), even(self.size.1 * factor))
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn even(side: f64) -> u32 {
    u32::try_from(round_to_u64(side / 2.0) * 2).unwrap_or(MIN_SIDE).max(MIN_SIDE)
}

fn even_down(side: f64) -> u32 {
    u32::try_from(round_to_u64((side / 2.0 + 1e-6).floor()) * 2).unwrap_or(MIN_SIDE).max(MIN_SIDE)
}

#[cfg(test)]
mod tests;
