//! What a command prints: one place decides form, colour and escapes.
//!
//! | `-o` | prints |
//! |---|---|
//! | `table` | for people: tables, or sentences; coloured on a terminal unless `NO_COLOR` is set |
//! | `json` | one document with stable field names |
//! | `yaml` | the same as YAML |
//! | `name` | the keys alone, one a line, for `xargs` |

mod format;
mod table;
mod text;
mod words;

pub(in crate::cli) use format::{Format, Output, Show};
pub(in crate::cli) use table::Table;
pub(in crate::cli) use text::{Text, Tint};
pub(in crate::cli) use words::{address, complain, milliseconds, say, shown, span, time};
