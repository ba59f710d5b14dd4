//! `deploy/template.yaml` and `deploy/events.yaml`, as CloudFormation made them on the emulator: every resource, and every
//! option. A new resource needs a check here; tests/README.md lists where the emulator differs from AWS.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod delivery;
mod events;
mod existing;
mod first;
mod options;
mod resources;
mod world;
