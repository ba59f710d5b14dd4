//! Decides rates and rungs from the bits that each rung needs. Pure.

use serde::Serialize;

use super::ladder::Rendition;
use crate::rational::{float, round_to_u64};

/// Largest part of a source that is sampled.
const SHARE: f64 = 0.25;
/// Factor between the heaviest sampled group and the cap, for heavier parts of the title.
const HEADROOM: f64 = 1.5;
/// Factor between the measured average and the declared one.
const MARGIN: f64 = 1.1;
/// Lowest cap: the first frame alone must fit.
const LEAST_MAX: u64 = 32_000;
/// Seconds of the heaviest group that the buffer holds, so that a key frame with most of its bits fits.
const BUFFER_SECONDS: f64 = 3.0;

/// The bits that a rung needs for its quality, without a cap. Bits per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Need {
    /// Over all samples.
    pub average_bps: u64,
    /// Over the heaviest group of pictures.
    pub peak_bps: u64,
}

/// Whether a rung is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub enum RungDecision {
    Made,
    /// Not made: the next rung above needs hardly more bits.
    NearTheNext,
    /// Not made: whoever can play the profile's lowest rung can play a better one.
    WithinTheLowest,
}

/// A rung's need, and the decision about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Choice {
    /// Name: `720p`.
    pub name: String,
    /// The measured need.
    pub need: Need,
    /// The average that it got, bits per second.
    pub average_bps: u64,
    /// The cap that it got, bits per second.
    pub max_bps: u64,
    /// Its buffer, bits.
    pub buffer_bits: u64,
    /// Whether it is made.
    pub verdict: RungDecision,
}

/// The measurements and decisions. Part of `metadata.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PerTitle {
    /// Where the samples begin, in seconds of the result.
    pub samples: Vec<f64>,
    /// Length of each sample in seconds.
    pub sample_seconds: f64,
    /// Every rung of the profile's ladder, lowest first. Empty if nothing could be measured.
    pub rungs: Vec<Choice>,
    /// Why the ladder stayed as it was; none if it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_measured: Option<String>,
}

/// Where samples of `length` seconds begin in a source of `seconds`: at most `most`, in the middle of equal parts.
pub fn starts(seconds: f64, length: f64, most: u32) -> Vec<f64> {
    let room = (seconds * SHARE / length.max(0.001)).floor();
    let count = u32::try_from(round_to_u64(room)).unwrap_or(u32::MAX).clamp(1, most.max(1));
    let part = seconds / f64::from(count);
    let start = |number: u32| (f64::from(number) + 0.5) * part - length / 2.0;
    (0..count).map(|number| start(number).min(seconds - length).max(0.0)).collect()
}

/// Decides about every rung, lowest first. Nothing is ever raised, and the highest rung is always made.
pub fn choose(rungs: &[Rendition], needs: &[Need], least_step: f64) -> Vec<Choice> {
    let mut choices: Vec<Choice> = rungs.iter().zip(needs).map(|(rung, need)| rates(rung, *need)).collect();
    let lowest = rungs.first().map_or(0, |rung| rung.max_bps);
    let affordable = choices.iter().rposition(|choice| choice.max_bps <= lowest).unwrap_or(0);
    // The rate at which a rung ends: that of its quality, or its cap where that is lower.
    let ends_at = |number: usize| match (rungs.get(number), needs.get(number)) {
        (Some(rung), Some(need)) => float(need.average_bps.min(rung.max_bps)),
        _ => 0.0,
    };
    let mut above: Option<f64> = None;
    for (number, choice) in choices.iter_mut().enumerate().rev() {
        let own = ends_at(number);
        choice.verdict = match above {
            Some(above) if above < own * least_step => RungDecision::NearTheNext,
            Some(_) if number < affordable => RungDecision::WithinTheLowest,
            _ => RungDecision::Made,
        };
        if choice.verdict == RungDecision::Made {
            above = Some(own);
        }
    }
    choices
}

fn rates(rung: &Rendition, need: Need) -> Choice {
    let times = |bps: u64, factor: f64| round_to_u64(float(bps) * factor);
    let max_bps = times(need.peak_bps, HEADROOM).max(LEAST_MAX).min(rung.max_bps);
    let in_proportion = float(rung.buffer_bits) * float(max_bps) / float(rung.max_bps.max(1));
    let buffer_bits = round_to_u64(in_proportion.max(float(need.peak_bps) * BUFFER_SECONDS));
    Choice {
        name: rung.name.clone(),
        need,
        average_bps: times(need.average_bps, MARGIN).min(rung.average_bps).min(max_bps),
        max_bps,
        buffer_bits: buffer_bits.max(max_bps / 2).min(rung.buffer_bits),
        verdict: RungDecision::Made,
    }
}

/// Sets the rates of the chosen rungs and removes the others.
pub(crate) fn apply(rungs: &mut Vec<Rendition>, choices: &[Choice]) {
    let mut choices = choices.iter();
    rungs.retain_mut(|rung| {
        let Some(choice) = choices.next() else { return true };
        rung.average_bps = choice.average_bps;
        rung.max_bps = choice.max_bps;
        rung.buffer_bits = choice.buffer_bits;
        choice.verdict == RungDecision::Made
    });
}

#[cfg(test)]
mod tests;
