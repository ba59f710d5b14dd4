//! What every command begins with: its global options, the settings, and clients.

mod confirm;
mod control;
mod options;
mod refused;
mod rules;
mod session;
mod stack;

pub(crate) use confirm::{asked, confirmed};
pub(crate) use control::{current, in_force, with_overlay};
pub(crate) use options::Options;
pub(crate) use refused::{Refused, load};
pub(crate) use rules::{complete, rules_with, source_bucket};
pub(crate) use session::{Session, unreadable, within};
