//! Checks of the whole: `doctor` for the environment, `audit` for the logs, `dashboard` for the eye.

mod audit;
mod dashboard;
mod doctor;

pub(in crate::cli) use audit::Audit;
pub(in crate::cli) use dashboard::Dashboard;
pub(in crate::cli) use doctor::Doctor;
