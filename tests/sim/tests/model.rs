//! The real core in small worlds, each searched completely; and protocols weaker than ours, each refuted.
//!
//! `cargo test -p transcode-sim --profile fast --test model -- --nocapture` prints the number of states, and the
//! shortest path on which each weaker protocol breaks.
#![allow(
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking; the numbers are there to be read"
)]

use transcode_sim::checking::{
    Bounds, Prefix, Small, WeakProtocol, fair_worlds, search, search_prefix, steered_worlds,
};

const NOTHING: Bounds = Bounds {
    crashes: 0,
    lost: 0,
    delayed: 0,
    slow: 0,
    expired: 0,
    fails: 0,
    refused: 0,
    unseen: 0,
    returns: 0,
    waits: 2,
    away: 0,
    by_hand: 0,
};
/// One upload that can be transcoded.
const ONE: &[bool] = &[true];
/// One that is refused.
const REFUSED: &[bool] = &[false];
/// One of each.
const BOTH: &[bool] = &[true, false];

fn holds(controllers: usize, jobs: &[bool], bounds: Bounds) {
    // Depth first keeps few states at a time.
    let searched = search(Small::new(controllers, jobs, bounds, WeakProtocol::None), false);
    assert_eq!(searched.broken, None);
    println!(
        "{controllers} controllers, {} jobs, {bounds:?}: {} states, {} deep, all seen",
        jobs.len(),
        searched.states,
        searched.deepest
    );
    assert!(searched.finished, "the search was not finished");
    assert!(searched.settles, "nothing is ever settled");
}

/// Breadth first, so the trace is the shortest.
fn refuted(controllers: usize, jobs: &[bool], bounds: Bounds, weakness: WeakProtocol, promise: &str) {
    let searched = search(Small::new(controllers, jobs, bounds, weakness), true);
    let (broken, steps) = searched.broken.unwrap_or_else(|| panic!("{weakness:?} was not refuted"));
    println!("{weakness:?}: {broken} after {} steps ({} states): {steps:?}", steps.len(), searched.states);
    assert!(broken.starts_with(promise), "{broken}");
    assert!(steps.len() < 30, "{} steps are no short trace", steps.len());
}

#[test]
fn one_controller_that_crashes_and_loses_answers() {
    holds(1, ONE, Bounds { crashes: 1, lost: 1, fails: 1, ..NOTHING });
}

#[test]
fn one_controller_whose_requests_arrive_late() {
    holds(1, ONE, Bounds { crashes: 1, delayed: 1, waits: 4, ..NOTHING });
}

#[test]
fn one_controller_whose_launches_are_refused_and_not_seen() {
    holds(1, ONE, Bounds { refused: 1, unseen: 1, slow: 2, fails: 2, waits: 5, ..NOTHING });
}

#[test]
fn two_controllers_that_both_get_the_message_and_lose_an_answer() {
    holds(2, ONE, Bounds { expired: 1, lost: 1, fails: 1, ..NOTHING });
}

#[test]
fn two_controllers_of_which_one_crashes() {
    holds(2, ONE, Bounds { expired: 1, crashes: 1, waits: 1, ..NOTHING });
}

#[test]
fn two_controllers_whose_requests_arrive_late() {
    holds(2, ONE, Bounds { expired: 1, delayed: 1, ..NOTHING });
}

#[test]
fn two_controllers_that_get_old_answers() {
    holds(2, ONE, Bounds { expired: 1, slow: 1, ..NOTHING });
}

#[test]
fn two_controllers_that_both_refuse() {
    holds(2, REFUSED, Bounds { crashes: 1, expired: 1, lost: 1, slow: 1, ..NOTHING });
}

#[test]
fn three_controllers_that_all_get_the_message() {
    holds(3, ONE, Bounds { expired: 2, waits: 1, ..NOTHING });
}

#[test]
fn one_controller_with_two_jobs_that_crashes() {
    holds(1, BOTH, Bounds { crashes: 1, fails: 1, ..NOTHING });
}

#[test]
fn two_controllers_with_two_jobs() {
    holds(2, BOTH, Bounds { expired: 1, waits: 1, ..NOTHING });
    holds(2, BOTH, Bounds { lost: 1, waits: 1, ..NOTHING });
}

#[test]
fn weaker_protocols_are_refuted() {
    let killed = Bounds { crashes: 1, ..NOTHING };
    let twice = Bounds { expired: 1, ..NOTHING };
    refuted(1, ONE, killed, WeakProtocol::DeleteOnAccept, "S1");
    refuted(1, ONE, killed, WeakProtocol::RandomToken, "S6");
    refuted(2, ONE, twice, WeakProtocol::CountsReceives, "S5");
    refuted(2, REFUSED, twice, WeakProtocol::BlindTerminalRecord, "S2");
    refuted(1, ONE, Bounds { delayed: 1, ..NOTHING }, WeakProtocol::NoLaunchDeadline, "S5");
}

/// S17: publishers of two and three versions, also two of one version, that die with their writes under way.
#[test]
fn whoever_publishes_in_whatever_order_stable_names_never_go_back() {
    for (publishers, deaths) in [(vec![0, 1], 2), (vec![0, 1, 1], 0), (vec![0, 0, 1], 0), (vec![0, 1, 2], 0)]
    {
        let (states, broken) = search_prefix(Prefix { publishers: publishers.clone(), deaths, blind: false });
        println!("publishers of {publishers:?}, {deaths} deaths: {states} states, all seen");
        assert_eq!(broken, None);
    }
    let (states, broken) = search_prefix(Prefix { publishers: vec![0, 1], deaths: 0, blind: true });
    let (what, steps) = broken.expect("without conditional writes names go back");
    println!("without conditions: {what} after {} steps ({states} states): {steps:?}", steps.len());
    assert!(what.starts_with("S17"), "{what}");
}

/// L9: whenever uploads arrive, a newcomer is next, limits are kept, the longest line makes way, and a receive is always
/// under way.
#[test]
fn behind_a_flood_a_newcomer_is_next_and_no_tenant_has_more_than_it_may() {
    for (controllers, fair, bounds) in fair_worlds() {
        let searched = search(Small::of_tenants(controllers, fair, bounds), false);
        println!(
            "{controllers} controllers, {fair:?}, {bounds:?}: {} states, {} deep, all seen",
            searched.states, searched.deepest
        );
        assert_eq!(searched.broken, None, "{fair:?}");
        assert!(searched.finished && searched.settles, "{fair:?}: {searched:?}");
    }
}

/// S18, S19: whenever a cancel, a pause or a stop by hand comes, and whatever the bus takes, a cancelled job is neither
/// begun again nor published, what is paused is not begun, and a message goes only after its job's end was told.
#[test]
fn whenever_people_cancel_pause_and_stop_and_whatever_the_bus_takes_the_promises_hold() {
    let (mut obeys, mut too_late, mut put_aside) = (false, false, false);
    for (number, world) in steered_worlds().into_iter().enumerate() {
        let searched = search(world, false);
        println!("steered world {number}: {} states, {} deep, all seen", searched.states, searched.deepest);
        assert_eq!(searched.broken, None, "steered world {number}");
        assert!(searched.finished && searched.settles, "steered world {number}: {searched:?}");
        obeys |= searched.obeys;
        too_late |= searched.too_late;
        put_aside |= searched.put_aside;
    }
    assert_eq!((obeys, too_late, put_aside), (true, true, true), "each end of the race was seen");
}
