//! From a failing seed to the fewest faults that still break a promise.

use crate::{
    fault::Fault,
    run::{Report, run},
};

/// Takes faults away one by one as long as the run still fails, and gives what is left with the last failing run.
pub fn shrink(report: &Report) -> (Vec<Fault>, Report) {
    let mut without: Vec<Fault> = Vec::new();
    let mut last = report.clone();
    for fault in report.struck.iter().rev() {
        let mut fewer = without.clone();
        fewer.push(*fault);
        let tried = run(report.seed, &fewer, false);
        if tried.violation.is_some() {
            (without, last) = (fewer, tried);
        }
    }
    let left = last.struck.iter().copied().filter(|fault| !without.contains(fault)).collect();
    (left, last)
}
