//! Makes the package from encoded tracks: segments, playlists, manifest, images, documents.

mod braces;
pub mod captions;
pub mod choice;
pub mod codecs;
pub mod cut;
pub mod dash;
pub mod event_playlist;
pub mod folder;
pub mod fragment;
mod header;
pub mod hls;
pub mod images;
pub mod keys;
pub mod listing;
pub mod metadata;
pub mod progressive;
pub mod text;
pub mod track;
