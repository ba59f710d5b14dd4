//! The controller: a reconciling operator for ECS.
//!
//! What it decides is in [`transcode_core`], which is pure. This crate is what joins that to the world: the loop on a
//! real clock, the adapters to AWS, what people see, and the commands.
//!
//! Each module may use the core and the configuration, and beside them what its line says. Nothing here decides what becomes of a job.

/// Holds the protocol's invariants against the logs of controllers. May use no other module.
pub mod audit;
/// Adapters to AWS: thin, one call each. May use [`events`], whose numbers it sends.
pub mod aws;
/// The commands. May use every module.
pub mod cli;
/// The dashboard as a function of names. May use no other module.
pub mod dashboard;
/// Looks at a live environment and says what to do. May use [`aws`] and the clock of [`runtime`].
pub mod doctor;
/// Events, log lines and metrics by name. May use no other module.
pub mod events;
/// What people see of what happens: log lines, metrics, the status page. May use [`events`], and
/// [`runtime`]'s `Observer`.
pub mod observe;
/// The loop on a real clock. May use no other module: it knows adapters by the
/// core's ports, and what people see by its `Observer`.
pub mod runtime;
