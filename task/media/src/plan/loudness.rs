//! The constant gain from measured to wanted loudness, and its filters. Pure.

use serde::Serialize;

/// Highest peak after correction, in dB below full scale. Encoding adds some.
const CEILING: f64 = -1.5;
/// Quieter audio is silence, or a hum that must not be lifted. R128 itself starts at -70.
const SILENCE: f64 = -60.0;
/// Largest gain for quiet audio, in dB.
pub(crate) const MOST: f64 = 24.0;

/// Measured loudness of an audio track.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Loudness {
    /// Integrated loudness in LUFS.
    pub integrated: f64,
    /// True peak in dB relative to full scale.
    pub peak: f64,
}

/// A correction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Gain {
    /// Gain in dB.
    pub db: f64,
    /// Whether peaks must be limited.
    pub limit: bool,
}

/// The gain from `measured` to `target` LUFS; none for silence.
pub fn gain(measured: Loudness, target: f64) -> Option<Gain> {
    if !measured.integrated.is_finite() || measured.integrated < SILENCE {
        return None;
    }
    let db = (target - measured.integrated).min(MOST);
    Some(Gain { db, limit: measured.peak + db > CEILING })
}

/// The filters for a gain, with a comma in front.
pub fn filters(gain: Gain) -> String {
    let volume = format!(",volume=volume={:.2}dB:precision=float", gain.db);
    let limit = 10_f64.powf(CEILING / 20.0);
    if gain.limit { format!("{volume},alimiter=limit={limit:.4}:level=0:latency=1") } else { volume }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gains_stop_at_the_ceiling_and_silence_is_left_alone() {
        let at = |integrated, peak| gain(Loudness { integrated, peak }, -23.0);
        assert_eq!(at(-33.0, -13.0), Some(Gain { db: 10.0, limit: false }));
        assert_eq!(at(-13.0, 0.0), Some(Gain { db: -10.0, limit: false }));
        assert_eq!(at(-33.0, -3.0), Some(Gain { db: 10.0, limit: true }));
        assert_eq!(at(-55.0, -50.0), Some(Gain { db: MOST, limit: false }));
        assert_eq!(at(-70.0, -200.0), None);
        assert_eq!(at(f64::NEG_INFINITY, 0.0), None);
    }
}
