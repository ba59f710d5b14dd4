//! Definitions that the controller and the task share: the settings file, the ladders, and the *contract*: the
//! objects in the state bucket, the exit codes and the failure codes through which the two communicate.
//!
//! This crate is a leaf. It does no input or output beyond reading the settings file.
//!
//! Unit tests stand beside the code. `tests/settings.rs` tests [`settings`], [`check`] and `load`; `tests/parsers` reads
//! the documents of [`contract`] from a corpus; `tests/tests/docs` compares every table with the documents.

pub mod aws;
pub mod check;
pub mod contract;
pub mod escape;
pub mod ladder;
#[cfg(feature = "load")]
pub mod load;
pub mod metrics;
pub mod prices;
#[cfg(feature = "schema")]
pub mod schema;
pub mod settings;
pub mod tenants;

#[cfg(feature = "load")]
pub use load::{SettingsError, load};
pub use settings::{DEFAULTS, Settings};
