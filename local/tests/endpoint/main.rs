//! The endpoint as its users see it: through the real SDK over HTTP, with shell scripts for images.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(
    clippy::cloned_ref_to_slice_refs,
    clippy::redundant_closure_for_method_calls,
    reason = "a list of one is read at a glance, and so is `task.cpu()`; the paths of the SDK's types are long"
)]

mod catalog;
mod events;
mod faults;
mod launching;
mod lifecycle;
mod listing;
mod metadata;
mod program;
mod stopping;
mod support;
mod tokens;
