//! From an action to the facts that answer it: [`batch`] (which actions share a call), [`apply`] (which call), and
//! [`ports`] (the interface to SQS, ECS and S3). The adapters behind the ports are in the controller.
//!
//! May use [`crate::protocol`].

pub mod apply;
pub mod batch;
pub mod ports;
