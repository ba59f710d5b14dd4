//! Examines the source (bytes, headers, times of packets) and the overlay.

pub mod clock;
pub mod combed;
pub mod crop;
pub mod edits;
pub mod ending;
pub mod fields;
pub mod hdr10;
pub mod overlay;
pub mod probe;
pub mod range;
pub mod scan;
pub(crate) mod source;
pub mod splice;
mod stamps;
pub mod structure;
mod tags;
pub mod transport;
