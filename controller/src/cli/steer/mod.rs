//! Says what the controller shall do: writers of the control document, `retry`, and `plan`, which changes nothing.

mod cancel;
mod change;
mod forecast;
mod pause;
mod plan;
mod profile;
mod retry;
mod settings;

pub(crate) use self::{
    cancel::Cancel,
    pause::{Drain, Pause, Resume},
    plan::{Plan, planned},
    profile::Profiles,
    retry::Retry,
    settings::SettingsCommand,
};
