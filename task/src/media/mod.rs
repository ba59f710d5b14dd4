//! media
pub mod rational;
pub mod structure;
pub mod probe;
pub mod scan;
pub mod rate;
pub mod ladder;
