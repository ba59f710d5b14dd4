//! From an action to the facts that answer it: [`batch`] (what travels in one call), [`apply`] (which call), and
//! [`ports`] (what is asked of the world). The adapters stand behind the ports, in the controller.
//!
//! May use [`crate::protocol`].

pub mod apply;
pub mod batch;
pub mod ports;
