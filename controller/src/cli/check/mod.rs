//! Checks of the whole: `doctor` for the environment, `audit` for the logs, `dashboard` for the eye.

mod audit;
mod dashboard;
mod doctor;

pub(crate) use audit::Audit;
pub(crate) use dashboard::Dashboard;
pub(crate) use doctor::Doctor;
