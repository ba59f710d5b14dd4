//! What is measured of the source before it is encoded, and of what was encoded.

pub mod loudness;
pub mod per_title;
