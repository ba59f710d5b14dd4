//! Model checking: the real core over small worlds, searched to the end.
//!
//! A [`state`] is the ledgers, the requests under way, and what queue, bucket and cluster hold. A step ([`steps`])
//! carries out one request at its service ([`services`]), loses its answer, delays the answer or the request itself,
//! kills a controller, lets a task begin or end, or lets time pass until a controller wants to act. What cannot go
//! wrong in an interesting way (listing, resolving, extending) is answered at once; everything else may happen in
//! every order. What may go wrong is bounded by number ([`Bounds`]), so the search ends.
//!
//! Two states are one when they differ only in the time of day, in which controller is which, or in differences of
//! times below a second ([`fingerprint`]). The core compares times with each other and with now, never with a
//! constant, and no limit of time in these worlds is shorter than a second.

mod answers;
mod fingerprint;
mod prefix;
mod search;
mod services;
mod small;
mod state;
mod steps;

pub use prefix::{Move, Prefix, search_prefix};
pub use search::{Searched, anything_breaks, search};
pub use small::Small;
pub use state::{Bounds, State, Step, WeakProtocol};
