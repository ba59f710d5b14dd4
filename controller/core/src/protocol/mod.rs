//! The vocabulary: what happened ([`fact`]), what is to be done ([`action`]), and what both name.
//!
//! May use the configuration's documents and nothing else of this crate.

pub mod action;
pub mod clock;
pub mod fact;
pub mod name;
pub mod order;
pub mod publishing;
pub mod task_view;
