//! Real controllers and tasks on the local AWS while processes die, stand still, fight and are answered badly. After each:
//! no message lost, nothing done twice, nothing left over.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod crashes;
mod faults;
mod rivals;
