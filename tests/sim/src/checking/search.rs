//! Searches all states of a small world.

use stateright::{Checker, Model, Path};

use super::{
    Bounds, Small, State, Step, WeakProtocol, fair_worlds, prefix::anything_goes_back, steered_worlds,
};

/// The result of a search.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "each is something that has to happen in some state")]
pub struct Searched {
    /// Different states.
    pub states: usize,
    /// Steps to the state that is furthest away.
    pub deepest: usize,
    /// All states were visited.
    pub finished: bool,
    /// In at least one state every job is settled and every message deleted.
    pub settles: bool,
    /// In at least one state a task was stopped and its job ended as cancelled.
    pub obeys: bool,
    /// In at least one state a task won although somebody had cancelled.
    pub too_late: bool,
    /// In at least one state an event lay in the outbox.
    pub put_aside: bool,
    /// The broken promise and the steps to it.
    pub broken: Option<(&'static str, Vec<Step>)>,
}

fn found(path: Path<State, Step>) -> (&'static str, Vec<Step>) {
    (path.last_state().broken().unwrap_or_default(), path.into_actions())
}

/// Searches a world. `shortest` finds the shortest path to a broken promise, and needs more memory.
pub fn search(world: Small, shortest: bool) -> Searched {
    fn read(checker: &impl Checker<Small>) -> Searched {
        Searched {
            states: checker.unique_state_count(),
            deepest: checker.max_depth(),
            finished: checker.is_done(),
            settles: checker.discovery("every job is settled and every message gone").is_some(),
            obeys: checker.discovery("a cancel is obeyed").is_some(),
            too_late: checker.discovery("a cancel comes too late").is_some(),
            put_aside: checker.discovery("an event waits in the outbox").is_some(),
            broken: checker.discovery("every promise is kept").map(found),
        }
    }
    if shortest {
        read(&world.checker().spawn_bfs().join())
    } else {
        read(&world.checker().spawn_dfs().join())
    }
}

/// Searches a few worlds, each within a second. Returns a broken promise, if one is found.
pub fn anything_breaks() -> Option<&'static str> {
    if let Some(what) = anything_goes_back() {
        return Some(what);
    }
    let nothing = Bounds { waits: 2, ..Bounds::default() };
    let worlds: [(usize, &[bool], Bounds); 4] = [
        (1, &[true], Bounds { crashes: 1, lost: 1, fails: 1, ..nothing }),
        (1, &[true], Bounds { refused: 1, unseen: 1, slow: 2, fails: 2, waits: 5, ..nothing }),
        (2, &[false], Bounds { crashes: 1, expired: 1, lost: 1, slow: 1, ..nothing }),
        (2, &[true, false], Bounds { expired: 1, waits: 1, ..nothing }),
    ];
    let plain = worlds
        .into_iter()
        .map(|(controllers, jobs, bounds)| Small::new(controllers, jobs, bounds, WeakProtocol::None));
    let tenants = fair_worlds()
        .into_iter()
        .map(|(controllers, fair, bounds)| Small::of_tenants(controllers, fair, bounds));
    plain
        .chain(tenants)
        .chain(steered_worlds())
        .find_map(|world| search(world, false).broken.map(|(what, _)| what))
}
