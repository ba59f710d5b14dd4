//! Examines the source (bytes, headers, times of packets) and the overlay.

pub mod clock;
pub mod crop;
pub mod ending;
pub mod hdr10;
pub mod overlay;
pub mod probe;
pub mod range;
pub mod scan;
pub(crate) mod source;
pub mod structure;
pub mod transport;
