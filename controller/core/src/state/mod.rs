//! The known state: a cache of SQS, ECS and S3 that a restart rebuilds. The [`ledger`] holds all of it.
//!
//! [`job`], [`lease`] and [`task`] are its rows. [`agenda`] keeps them and says which are due. [`in_flight`] sums them
//! up; [`limiter`], [`breaker`], [`sent_letters`] and [`tenants`] remember earlier calls and their results; a [`note`]
//! says why a job waits; [`failing`] keeps the step that fails; [`outbox`] remembers whether the bus takes events;
//! [`periodic`] is a call that is repeated.
//!
//! May use [`crate::message`], [`crate::policy`] and [`crate::protocol`].

pub mod agenda;
pub mod away;
pub mod breaker;
mod excess;
pub mod failing;
pub mod few;
pub mod in_flight;
pub mod job;
pub mod lease;
pub mod ledger;
pub mod limiter;
pub mod note;
pub mod outbox;
pub mod periodic;
pub mod sent_letters;
pub mod task;
pub mod tenants;
