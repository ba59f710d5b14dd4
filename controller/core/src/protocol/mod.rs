//! The vocabulary: what happened ([`fact`]), which calls are to be made ([`action`]), and the names that both use.
//!
//! May use the configuration's documents and nothing else of this crate.

pub mod action;
pub mod clock;
pub mod fact;
pub mod name;
pub mod order;
pub mod publishing;
pub mod steering;
pub mod task_view;
pub mod via;
