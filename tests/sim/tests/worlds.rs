//! The named worlds: each tests one promise.

use transcode_sim::{run::run_named, setup::worlds::named};

#[test]
fn no_named_world_breaks_a_promise() {
    for world in named() {
        let name = world.name;
        let report = run_named(world, false);
        assert!(report.violation.is_none(), "{name}: {:?}", report.violation);
        assert!(report.jobs > 0 && report.worked > 0, "{name}: nothing happened");
    }
}
