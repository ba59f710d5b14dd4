//! The task against a real S3 over HTTP: the program as it ships, an emulator, and a proxy that makes the faults.
//!
//! | file | promises |
//! |---|---|
//! | `alone.rs` | the program on files, without AWS |
//! | `event_playlist.rs` | S4: what can be played before the job is decided, and that nothing of a loser stays |
//! | `edit.rs` | a part of the source, an overlay: fetched, and refused by name |
//! | `host.rs` | what is around the task may be silent: metadata endpoint, CloudWatch |
//! | `start.rs` | S8: when a task does no work |
//! | `publish.rs` | S3, S4, S12, S16: what a success leaves |
//! | `terminal.rs` | S2, fault rows 41, 42, 56: who decided the job |
//! | `source.rs` | fault rows 43, 44, 60: each refusal by its code, resumed downloads |
//! | `stop.rs` | S6, L3, L7, L8, rows 46, 57, 61: stops of every kind |

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod alone;
mod edit;
mod event_playlist;
mod fixture;
mod host;
mod publish;
mod source;
mod start;
mod stop;
mod terminal;
