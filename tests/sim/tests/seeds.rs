//! A few seeds on each run of the tests; `make sim` runs many.

use transcode_sim::run::run;

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
    for seed in 0..40 {
        let report = run(seed, &[], false);
        assert!(report.violation.is_none(), "{}", transcode_sim::report::failure_text(&report));
    }
}
