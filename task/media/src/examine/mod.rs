//! What the source is: its bytes, its headers, the times of its packets. And what the overlay is.

pub mod clock;
pub mod ending;
pub mod overlay;
pub mod probe;
pub mod range;
pub mod scan;
pub(crate) mod source;
pub mod structure;
