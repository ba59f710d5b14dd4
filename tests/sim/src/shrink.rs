//! Reduces a failing seed to the fewest faults that still break a promise.

use crate::{
    fault::Fault,
    run::{RunReport, run},
};

/// Most events of all shrinking runs together: a run in an endless loop takes as many as it may, each time.
const MOST_STEPS: u64 = 10_000_000;

/// Removes faults one by one as long as the run still fails. Returns the remaining faults and the last failing run.
pub fn shrink(report: &RunReport) -> (Vec<Fault>, RunReport) {
    let mut without: Vec<Fault> = Vec::new();
    let mut last = report.clone();
    let mut steps = 0;
    for fault in report.struck.iter().rev() {
        if steps > MOST_STEPS {
            break;
        }
        let mut fewer = without.clone();
        fewer.push(*fault);
        let tried = run(report.seed, &fewer, false);
        steps += tried.steps;
        if tried.violation.is_some() {
            (without, last) = (fewer, tried);
        }
    }
    let left = last.struck.iter().copied().filter(|fault| !without.contains(fault)).collect();
    (left, last)
}
