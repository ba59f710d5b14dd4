//! What every command begins with: its global options, the settings, and clients.

mod confirm;
mod control;
mod options;
mod refused;
mod rules;
mod session;
mod stack;

pub(in crate::cli) use confirm::{asked, confirmed};
pub(in crate::cli) use control::{current, in_force, with_overlay};
pub(in crate::cli) use options::Options;
pub(in crate::cli) use refused::{Refused, load};
pub(in crate::cli) use rules::{rules, rules_with, source_bucket};
pub(in crate::cli) use session::{Session, unreadable, within};
