//! What is measured of the source before it is encoded, and of what was encoded.

mod even;
pub mod loudness;
pub mod per_title;
