//! The core of the controller: the ledger of known state, the rules that judge it, and the plan that follows. Pure.
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
//! The core uses no clock, file, environment, thread, network or randomness: time is an argument, and the adapters
//! stand behind [`ports`](effects::ports). Therefore the simulator drives the same code through any history, as fast as
//! the processor allows.
//!
//! # Reading order
//! Read from the top down; each module uses only modules above it.
//!
//! | module | what it answers |
//! |---|---|
//! | [`protocol`] | what happened, and what must be done? |
//! | [`message`] | what does a body ask for? |
//! | [`policy`] | which limits, deadlines and rates are in force? |
//! | [`effects`] | which call carries an action out, and which facts answer it? |
//! | [`state`] | what is known? |
//! | [`judge`] | is an attempt over, how did it end, what did it leave behind, why do launches pause? |
//! | [`absorb`] | how does a fact change what is known? |
//! | [`mod@plan`] | which calls are due now? |
//! | [`invariant`] | is a promise of the protocol broken? |
//! | [`reconciler`] | one turn of the loop: absorb, plan, begin the calls |
//!
//! `weakness` switches on one deliberate fault at a time: `make mutants` tests the tests with it.
//!
//! # Invariants
//! | id | promise | kept in |
//! |---|---|---|
//! | S1 | a message is deleted only after the terminal records of its jobs were read, and the DLQ has acknowledged the letter of each dead job | `plan/leases.rs` |
//! | S2 | the terminal record is written at most once | `effects::ports::Store::give_up`, the task |
//! | S5 | attempt n+1 starts only when attempt n is proven over and the terminal record is absent | `judge/attempt.rs`, `plan/jobs.rs` |
//! | S7 | `RunTask` for (j, n, variant) is byte-identical each time and never sent after its deadline | the controller's `aws/run_task.rs` |
//! | S9, S10 | the controller counts budgets from the attempt objects; the platform has a budget of its own |
//! `policy/`, the claim's history |
//! | S6 | one task works on a job, however far the clocks of the machines differ | `judge/attempt.rs` |
//! | S12 | the terminal record outranks ECS | `plan/jobs.rs` |
//! | L6 | calls stay below their rates, and throttling lowers the rates | `state/limiter.rs` |
//! | L7 | the leftovers of losers are collected before the message is deleted | `judge/leftovers.rs`, the controller's `aws/leftovers.rs` |
//! | L9 | a flood of one tenant delays no other | `state/tenants.rs`, `state/excess.rs`, `plan/shares.rs` |
//! | L10 | a call that AWS refuses until somebody changes something is repeated less and less often | `state/failing.rs` |
//! | S15 | a document or message of an unknown version is parked, never deleted or overwritten | `message/`, `absorb/` |
//! | S19 | a cancelled job begins no attempt, and ends without a result unless a task won first | `judge/asked.rs`, `plan/cancelled.rs` |
//! | S17 | stable names only move forward | `protocol/publishing.rs`, `protocol/order.rs`, the controller's `aws/publish.rs` |
//! | S20 | each job is in the index before its first claim, and with its end before its message goes | `plan/leases.rs`, the controller's `aws/index.rs` |

/// How facts change what is known. May use [`judge`] and what is above it, and [`invariant`]; not [`mod@plan`].
pub mod absorb;
pub mod effects;
/// Promises of the protocol, checked in every turn. May use [`state`] and what is above it.
pub mod invariant;
pub mod judge;
pub mod message;
/// The planner: the ledger in, actions out. May use [`judge`] and what is above it; not [`absorb`].
pub mod plan;
pub mod policy;
pub mod protocol;
/// One turn of the loop. May use everything above.
pub mod reconciler;
pub mod state;
pub mod weakness;
