//! Time as an argument. The core never asks a clock; whoever calls it says what time it is.

/// Milliseconds.
pub type Ms = u64;

/// One moment, on two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Monotonic: milliseconds since the process began, never set back. All timers use it.
    pub mono: Ms,
    /// Wall clock: milliseconds since 1970, may jump. Only for what is compared with other machines, with a margin.
    pub wall: Ms,
}
