//! Time as an argument: the core never reads a clock; each caller passes the time in.

/// Milliseconds.
pub type Ms = u64;

/// One point in time, on two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Monotonic clock: milliseconds since the process began, never set back. All timers use it.
    pub mono: Ms,
    /// Wall clock: milliseconds since 1970; it may jump. Used only for comparisons with times of other machines, with a
    /// margin.
    pub wall: Ms,
}
