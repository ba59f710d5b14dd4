//! A small random generator of our own (splitmix64): the same numbers on every machine and with every version of every
//! crate.

/// The generator.
#[derive(Debug, Clone)]
pub struct Rng(u64);

/// Mixes several numbers into one.
pub fn mix(parts: &[u64]) -> u64 {
    parts.iter().fold(0x51_7c_c1_b7_27_22_0a_95, |state, part| scramble(state ^ scramble(*part)))
}

fn scramble(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Rng {
    /// A generator for a seed.
    pub fn new(seed: u64) -> Self {
        Self(scramble(seed))
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        let out = scramble(self.0);
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        out
    }

    /// A number in `0..bound`; 0 for an empty range.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.draw() % bound }
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// A number in `low..=high` with an evenly distributed order of magnitude: short and long delays are equally
    /// likely.
    pub fn spread(&mut self, low: u64, high: u64) -> u64 {
        let (low, high) = (low.max(1), high.max(1));
        let octaves = u64::from((high / low).max(1).ilog2());
        let base = low << self.below(octaves + 1);
        self.between(base, (base * 2).min(high).max(base)).min(high)
    }

    /// True with probability `rate`.
    #[allow(clippy::cast_precision_loss, reason = "53 bits are kept")]
    pub fn chance(&mut self, rate: f64) -> bool {
        rate > 0.0 && ((self.draw() >> 11) as f64) < rate * (1_u64 << 53) as f64
    }

    /// One of `from`; `otherwise` if there is none.
    pub fn pick<T: Copy>(&mut self, from: &[T], otherwise: T) -> T {
        let index = self.below(from.len() as u64);
        usize::try_from(index).ok().and_then(|index| from.get(index)).copied().unwrap_or(otherwise)
    }
}
