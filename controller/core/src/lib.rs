//! The core of the controller: what is known, what follows from it, what is to be done. Pure.
//!
//! ```text
//! SQS body ─ message ─ job ─► ledger ─► plan ─► action ─► AWS
//!                               ▲                           │
//!              facts ◄──────────┴───────────────────────────┘
//! ```
//!
//! There is no database and no leader. SQS says what is wanted, ECS says what runs, S3 says what is decided; the
//! [`ledger`](state::ledger) is a cache of the three that a restart rebuilds. Nothing reacts straight to an event: events
//! become [`fact`](protocol::fact)s, facts change the ledger, and the pure [`plan`](mod@plan)ner reads it and says which
//! [`action`](protocol::action)s to take. Applying them yields new facts.
//!
//! No clock, no file, no environment, no thread, no network and no randomness: time is an argument, and the adapters
//! stand behind [`ports`](effects::ports). So the simulator drives the same code through any history, as fast as the
//! processor allows.
//!
//! # Reading order
//! From the top down; each module uses those above it and none below.
//!
//! | module | what it answers |
//! |---|---|
//! | [`protocol`] | what happened, what is to be done |
//! | [`message`] | what does a body ask for? |
//! | [`policy`] | which numbers hold? |
//! | [`effects`] | which call carries an action out, and which facts answer it? |
//! | [`state`] | what is known? |
//! | [`judge`] | is an attempt over, how did it end, what is left behind, why is nothing launched? |
//! | [`absorb`] | how does a fact change what is known? |
//! | [`mod@plan`] | what is to be done now? |
//! | [`invariant`] | is a promise of the protocol broken? |
//! | [`reconciler`] | one turn of the loop: absorb, plan, begin |
//!
//! `weakness` switches on, for the tests of the tests, one deliberate fault at a time.
//!
//! # Invariants
//! | id | promise | kept in |
//! |---|---|---|
//! | S1 | a message is deleted only after its jobs' terminal records were read, and dead ones were acknowledged by the DLQ | `plan/leases.rs` |
//! | S2 | the terminal record is written at most once | `effects::ports::Store::bury`, the task |
//! | S5 | attempt n+1 starts only when n is proven over and the terminal record is absent | `judge/attempt.rs`, `plan/jobs.rs` |
//! | S7 | `RunTask` for (j, n, variant) is byte-identical each time and never sent after its deadline | the controller's `aws/run_task.rs` |
//! | S9, S10 | budgets are counted from the attempt objects, the platform's apart | `policy/`, the claim's history |
//! | S6 | one task works on a job, however far clocks are apart | `judge/attempt.rs` |
//! | S12 | the terminal record outranks ECS | `plan/jobs.rs` |
//! | L6 | calls keep to their rates, and slow down for throttles | `state/limiter.rs` |
//! | L7 | what losers leave behind is collected before the message is deleted | `judge/leftovers.rs`, the controller's `aws/leftovers.rs` |
//! | S15 | an unknown version is parked, never deleted or overwritten | `message/`, `absorb/` |
//! | S17 | stable names only move forward | `protocol/publishing.rs`, `protocol/order.rs`, the controller's `aws/publish.rs` |

/// How facts change what is known. May use [`judge`] and what is above it, and [`invariant`]; not [`mod@plan`].
pub mod absorb;
pub mod effects;
/// Promises of the protocol, checked in every turn. May use [`state`] and what is above it.
pub mod invariant;
pub mod judge;
pub mod message;
/// From what is known to what is to be done. May use [`judge`] and what is above it; not [`absorb`].
pub mod plan;
pub mod policy;
pub mod protocol;
/// One turn of the loop. May use everything above.
pub mod reconciler;
pub mod state;
pub mod weakness;
