//! The controller: a reconciling operator for ECS.

pub mod action;
pub mod clock;
pub mod fact;
pub mod ports;
pub mod task_view;
