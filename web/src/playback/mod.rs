//! Playback of private packages.
//!
//! | way | for | expires |
//! |---|---|---|
//! | [`Tree`]: playlists with signed addresses | HLS without a CDN: previews, a few viewers | each address, with the signer's credentials at the latest |
//! | [`CloudFront`]: signed cookies, signed addresses | HLS, DASH and images for many viewers | the policy |
//!
//! DASH names its segments by a template, so they cannot carry a signature each: DASH needs cookies.

mod cloudfront;
mod path;
mod playlist;
mod tree;

pub use cloudfront::{CloudFront, Cookies};
pub use playlist::{Reference, cues, references, spliced};
pub use tree::{MAX_PLAYLISTS, Tree};
