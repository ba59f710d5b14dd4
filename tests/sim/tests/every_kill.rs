//! Row 48: kill -9 before and after every effect of a scenario (S13).

use transcode_sim::{
    run::{run_plain, run_steered},
    world::Kill,
};

#[test]
fn killed_at_any_effect_the_restarted_controller_finishes_the_work() {
    let (plain, effects) = run_plain(None);
    assert!(plain.violation.is_none(), "{:?}", plain.violation);
    let (jobs, worked) = (plain.jobs, plain.worked);
    // Polling goes on for ever; what matters has happened long before.
    let effects = effects.min(600);
    assert!(effects > 100, "{effects} effects are too few for a scenario");
    for effect in 1..=effects {
        for after in [false, true] {
            let (report, _) = run_plain(Some(Kill { effect, after }));
            assert!(
                report.violation.is_none(),
                "killed at effect {effect} (after: {after}): {:?}\n{}",
                report.violation,
                report.trace.join("\n")
            );
            assert_eq!(report.jobs, jobs);
            assert_eq!(report.wasted, 0, "killed at effect {effect}: work was done twice");
        }
    }
    assert!(worked > 0);
}

#[test]
fn killed_at_any_effect_the_restarted_controller_cancels_and_pauses_as_before() {
    let (plain, effects, cancelled) = run_steered(None);
    assert!(plain.violation.is_none(), "{:?}", plain.violation);
    assert_eq!(cancelled, 2, "one that ran, and one that waited");
    let effects = effects.min(400);
    for effect in 1..=effects {
        for after in [false, true] {
            let (report, ..) = run_steered(Some(Kill { effect, after }));
            let what = || format!("{:?}\n{}", report.violation, report.trace.join("\n"));
            assert!(report.violation.is_none(), "killed at effect {effect} (after: {after}): {}", what());
        }
    }
}
