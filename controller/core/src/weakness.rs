//! Deliberate weaknesses for the tests of the tests: `on(n)` is false, always, unless the feature `mutants` is built
//! in and somebody has switched number n on. `make mutants` switches each on in turn, and something must notice.

/// Whether weakness `number` is switched on.
#[cfg(not(feature = "mutants"))]
#[inline]
pub(crate) const fn on(_number: u8) -> bool {
    false
}

#[cfg(feature = "mutants")]
mod switch {
    use std::sync::atomic::{AtomicU8, Ordering};

    static ON: AtomicU8 = AtomicU8::new(0);

    /// Switches weakness `number` on and the others off; 0 switches all off.
    pub fn switch_on(number: u8) {
        ON.store(number, Ordering::Relaxed);
    }

    /// Whether weakness `number` is switched on.
    pub fn on(number: u8) -> bool {
        ON.load(Ordering::Relaxed) == number
    }
}

#[cfg(feature = "mutants")]
pub use switch::{on, switch_on};
