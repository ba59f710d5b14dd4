//! From encoded tracks to a package.

pub mod choice;
pub mod codecs;
pub mod cut;
pub mod dash;
pub mod early;
pub mod folder;
pub mod fragment;
mod header;
pub mod hls;
pub mod images;
pub mod keys;
pub mod progressive;
pub mod text;
