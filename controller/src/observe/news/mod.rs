//! Events of jobs before their end: accepted, started, playable early, progress. Nothing waits for them: what the bus
//! does not take at once is dropped and counted. The outcomes are the planner's ([`transcode_core::plan`]).

mod sender;
mod teller;

pub use self::{
    sender::{Sender, start},
    teller::{News, Wanted},
};
