//! The controller itself: `run`, and what its container and its deployment ask (`healthcheck`, `check-config`).

mod check;
mod control;
mod logs;
mod reload;
mod run;

pub(in crate::cli) use check::{check_config, healthcheck};
pub(in crate::cli) use run::run;
