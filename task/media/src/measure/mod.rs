//! Measures the source before it is encoded (bits for each rung, loudness), and the loudness of the result.

mod even;
pub mod loudness;
pub mod per_title;
