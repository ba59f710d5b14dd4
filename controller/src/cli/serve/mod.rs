//! The controller itself: `run`, and what its container and its deployment ask (`healthcheck`, `check-config`); and
//! `console`, which serves a person.

mod check;
mod console;
mod control;
mod desk;
mod logs;
mod reload;
mod run;

pub(crate) use check::{check_config, healthcheck};
pub(crate) use console::Console;
pub(crate) use run::run;
