//! Many seeds on each run of the tests, on all cores; `make sim` runs more.
#![allow(clippy::panic, reason = "a test fails by panicking")]

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use transcode_sim::{
    report::failure_text,
    run::{RunReport, run},
};

/// As many as two cores simulate in less than a minute. Two of them have 5,000 tasks.
const SEEDS: u64 = 6000;

#[test]
fn a_seed_gives_the_same_run_each_time() {
    for seed in 0..12 {
        let (first, second) = (run(seed, &[], false), run(seed, &[], true));
        assert_eq!(first.hash, second.hash, "seed {seed}");
        assert_eq!(first.steps, second.steps, "seed {seed}");
    }
    assert_ne!(run(1, &[], false).hash, run(2, &[], false).hash);
}

#[test]
fn no_seed_breaks_a_promise() {
    let next = AtomicU64::new(0);
    let one_after_the_other = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= SEEDS {
                return;
            }
            kept(seed);
        }
    };
    // A thread that fails fails the test, with the seed's own words above.
    let cores = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        (0..cores).for_each(|_| {
            scope.spawn(one_after_the_other);
        });
    });
}

fn kept(seed: u64) {
    let report = run(seed, &[], false);
    assert!(report.violation.is_none(), "{}", failure_text(&report));
}

#[test]
fn seeds_have_jobs_that_end_behind_a_newer_upload_and_tasks_that_are_stopped_for_it() {
    let reports: Vec<_> = (0..300).map(|seed| run(seed, &[], false)).collect();
    let sum = |of: fn(&RunReport) -> u64| reports.iter().map(of).sum::<u64>();
    let (superseded, stopped_early) = (sum(|it| it.superseded), sum(|it| it.stopped_early));
    assert!(superseded > 10 && stopped_early > 10, "{superseded} superseded, {stopped_early} stopped early");
}
