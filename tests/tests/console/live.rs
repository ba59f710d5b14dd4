//! How a page keeps itself current: `tests/player/live.mjs` observes the console's own scripts, this judges.

use std::time::Duration;

use serde_json::{Value, json};
use transcode_tests::{paths, process::Process, wait};

/// Longest run; it takes some seconds.
const LIMIT: Duration = Duration::from_mins(5);

#[test]
fn a_page_is_asked_again_until_all_of_it_is_new_and_an_early_player_gives_way() {
    let folder = tempfile::tempdir().unwrap();
    let scripts = paths::checkout().join("controller/src/console/page");
    let args = [scripts, super::shots()].map(|path| path.display().to_string());
    let mut browser = Process::driver("live.mjs", &args, folder.path()).unwrap();
    wait::until_blocking(LIMIT, || browser.ended().is_some());
    let passed = browser.ended().is_some_and(|status| status.success());
    assert!(passed, "{}\n{}", browser.output(), browser.tail(30));
    let seen: Value = serde_json::from_str(&browser.output()).unwrap();
    let untouched = &seen["untouched"];
    assert_eq!(untouched["selected"], "It runs.", "what somebody selects stays: {untouched}");
    let end = (&untouched["news"], &untouched["title"], &untouched["early"]);
    assert_eq!(end, (&json!("film: succeeded"), &json!("rests"), &json!(false)), "{untouched}");
    let watched = &seen["watched"];
    assert_eq!(watched["early"], true, "nobody's film begins anew by itself: {watched}");
    assert_eq!(
        (&watched["now"], &watched["videos"], &watched["from"]),
        (&json!(false), &json!(1), &json!(3))
    );
}
