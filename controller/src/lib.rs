//! The controller: a reconciling operator for ECS.
//!
//! ```text
//! SQS body ─ message ─ job ─► ledger ─► plan ─► action ─► AWS
//!                               ▲                           │
//!              facts ◄──────────┴───────────────────────────┘
//! ```
//!
//! There is no database and no leader. SQS says what is wanted, ECS says what runs, S3 says what is decided; the
//! [`ledger`] is a cache of the three that a restart rebuilds. Nothing reacts straight to an event: events become
//! [`fact`]s, facts change the ledger, and the pure [`plan`]ner reads it and says which [`action`]s to take. Applying
//! them yields new facts.
//!
//! # Reading order
//! [`message`] (what a body asks for) → [`fact`], [`action`] (the vocabulary) → [`ledger`] with [`lease`], [`job`],
//! [`tasks`] (what is known) by [`name`] in [`table`]s (what is due) → [`absorb`] (how facts change it) → [`mod@plan`] with
//! [`attempt`] (is it proven over?), [`outcome`] (how did it end?), [`leftovers`] (what did losers leave?),
//! [`letters`] (what was sent already?), [`image`] (may it be launched?), [`policy`] (the numbers), [`tally`],
//! [`limiter`], [`breaker`] and [`pause`] (is there room, is it too fast, is it any use, why is nothing launched?) →
//! [`reconciler`] (one turn of the loop) → [`mod@batch`] (what travels in one call). All of that is pure.
//! Around it: [`ports`] (what is asked of the world), [`apply`], and the adapters.
//!
//! # Invariants
//! | id | promise | kept in |
//! |---|---|---|
//! | S1 | a message is deleted only after its jobs' registers were read, and dead ones were acknowledged by the DLQ | `plan/leases.rs` |
//! | S2 | the register is written at most once | `ports::Store::bury`, the task |
//! | S5 | attempt n+1 starts only when n is proven over and the register is absent | `attempt.rs`, `plan/jobs.rs` |
//! | S7 | `RunTask` for (j, n, variant) is byte-identical each time and never sent after its deadline | `aws/run_task.rs` |
//! | S9, S10 | budgets are counted from the attempt objects, the platform's apart | `policy.rs`, the intent's history |
//! | S6 | one task works on a job, however far clocks are apart | `attempt.rs` |
//! | S12 | the register outranks ECS | `plan/jobs.rs` |
//! | L6 | calls keep to their rates, and slow down for throttles | `limiter.rs` |
//! | L7 | what losers leave behind is collected before the message is deleted | `leftovers.rs`, `aws/leftovers.rs` |
//! | S15 | an unknown version is parked, never deleted or overwritten | `message/`, `absorb.rs` |

pub mod absorb;
pub mod action;
pub mod apply;
pub mod attempt;
#[cfg(feature = "aws")]
pub mod audit;
#[cfg(feature = "aws")]
pub mod aws;
pub mod batch;
pub mod breaker;
#[cfg(feature = "aws")]
pub mod cli;
pub mod clock;
pub mod dashboard;
#[cfg(feature = "aws")]
pub mod doctor;
pub mod events;
pub mod fact;
#[cfg(feature = "aws")]
pub mod http;
pub mod image;
pub mod invariant;
pub mod job;
pub mod lease;
pub mod ledger;
pub mod leftovers;
pub mod letters;
pub mod limiter;
pub mod log_link;
pub mod message;
#[cfg(feature = "mutants")]
pub mod mutant;
#[cfg(not(feature = "mutants"))]
mod mutant;
pub mod name;
pub mod note;
#[cfg(feature = "aws")]
pub mod observe;
pub mod outcome;
pub mod pause;
pub mod plan;
pub mod policy;
pub mod ports;
pub mod reconciler;
#[cfg(feature = "aws")]
pub mod run;
pub mod table;
pub mod tally;
pub mod task_view;
pub mod tasks;
