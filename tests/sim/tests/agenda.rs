//! A turn visits only due rows. Here each turn is compared with one that visits every row.

use transcode_sim::{report::failure_text, run::run_compared};

#[test]
fn looking_at_what_is_due_plans_the_same_as_looking_at_everything() {
    for seed in 0..40 {
        let report = run_compared(seed);
        assert!(report.violation.is_none(), "{}", failure_text(&report));
    }
}
