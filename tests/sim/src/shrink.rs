//! From a failing seed to the fewest faults that still break a promise.

use crate::{
    fault::Fault,
    run::{RunReport, run},
};

/// Events that shrinking may take in all: a run that goes round in circles takes as many as it may each time.
const MOST_STEPS: u64 = 10_000_000;

/// Takes faults away one by one as long as the run still fails, and gives what is left with the last failing run.
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
