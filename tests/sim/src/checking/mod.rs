//! Model checking: the real core in small worlds, searched completely.
//!
//! A [`state`] consists of the ledgers, the requests under way, and the contents of queue, bucket and cluster. A step
//! ([`steps`]) carries out one request at its service ([`services`]), loses its answer, delays the answer or the
//! request, kills a controller, lets a task begin or end, or lets time pass until a controller's next turn. Calls whose
//! order and loss change nothing (list, resolve, extend) are answered at once; all others may happen in every order.
//! The number of faults of each kind is bounded ([`Bounds`]), so the search ends.
//!
//! Two states are equal if they differ only in the time of day, in the numbering of the controllers, or in time
//! differences below a second ([`fingerprint`]). The core compares times with each other and with now, never with a
//! constant, and no time limit in these worlds is shorter than a second.

mod answers;
mod fair;
mod fingerprint;
mod prefix;
mod search;
mod services;
mod small;
mod state;
mod steered;
mod steps;
mod tenancy;

pub use fair::{Fair, fair_worlds};
pub use prefix::{Move, Prefix, search_prefix};
pub use search::{Searched, anything_breaks, search};
pub use small::Small;
pub use state::{Bounds, State, Step, WeakProtocol};
pub use steered::{Want, steered_worlds};
