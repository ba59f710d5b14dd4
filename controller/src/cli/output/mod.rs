//! What a command prints: one place decides form, colour and escapes.
//!
//! | `-o` | prints |
//! |---|---|
//! | `table` | for people: tables, or sentences; coloured on a terminal unless `NO_COLOR` is set |
//! | `json` | one document with stable field names |
//! | `yaml` | the same as YAML |
//! | `name` | the keys alone, one a line, for `xargs` |

mod advice;
mod format;
mod table;
mod text;
mod words;

pub(crate) use advice::advice;
#[cfg(test)]
pub(crate) use format::prints;
pub(crate) use format::{Format, Output, Show};
pub(crate) use table::{Cut, Table};
pub(crate) use text::{Text, Tint};
pub(crate) use words::{address, complain, milliseconds, say, shown, span, time};
