//! The controller: a reconciling operator for ECS.
//!
//! All decisions are in [`transcode_core`], which is pure. This crate connects the core to the outside: the loop on a
//! real clock, the adapters to AWS, log lines and metrics, and the commands.
//!
//! Each module may use the core, the configuration, and the modules that its line names. No module here decides
//! anything about a job.

/// Checks the protocol's promises against the logs of controllers. May use no other module.
pub mod audit;
/// Adapters to AWS: thin, one call each. May use [`events`], whose metrics it sends.
pub mod aws;
/// The commands. May use every module.
pub mod cli;
/// The pages of `console`: a server on loopback, which knows documents and no calls. May use [`observe`]'s connections and
/// the clock of [`runtime`].
mod console;
/// The dashboard, generated from names. May use no other module.
pub mod dashboard;
/// Checks a live environment and says what to repair. May use [`aws`], [`evidence`] and the clock of [`runtime`].
pub mod doctor;
/// Events, log lines and metrics by name. May use no other module.
pub mod events;
/// What is known of a controller beside its report. May use [`aws`], [`observe`]'s notes and the clock of [`runtime`].
mod evidence;
/// Log lines, metrics and the status page, from changes and plans. May use [`events`], and [`runtime`]'s `Observer`.
pub mod observe;
/// The loop on a real clock. May use no other module: it calls adapters through the core's ports, and reports through
/// its `Observer`.
pub mod runtime;
