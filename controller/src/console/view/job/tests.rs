use serde_json::{Value, json};

use super::*;
use crate::console::documents;

const JOB: &str = "00000000000000000000000000000001";

/// A job that was decided at 50,000.
fn ended(outcome: &Value, more: &Value) -> Job {
    let mut terminal = json!({"schema": 1, "job": JOB, "nonce": "n", "written_at_ms": 50_000});
    let mut job = json!({"job": JOB, "attempts": [], "story": [], "says": "", "controller": "live"});
    for (to, from) in [(&mut terminal, outcome), (&mut job, more)] {
        to.as_object_mut().unwrap().extend(from.as_object().unwrap().clone());
    }
    job["terminal"] = terminal;
    documents::read(job).unwrap()
}

fn succeeded(more: &Value) -> Job {
    let won = json!({"outcome": "succeeded", "attempt": 2, "bucket": "b", "folder": "f/", "files": 1, "bytes": 1,
        "manifest": {"key": "k", "size": 1, "sha256": ""}, "duration_ms": 1, "entry_points": []});
    ended(&won, more)
}

fn live(job: &str) -> Value {
    json!({"live": {"schema": 1, "job": job, "output": {"bucket": "b", "prefix": "p/"}, "attempt": 2,
        "source": {"bucket": "in", "key": "a.mp4"}, "folder": "f/", "order": {"uploaded_at_ms": 1, "accepted_at_ms": 1}, "serial": 1,
        "published_at_ms": 55_000}})
}

fn is_asked_again(job: &Job, now_ms: u64) -> bool {
    super::job(job, ("test", "live"), false, now_ms).contains(" data-poll=")
}

#[test]
fn a_result_that_is_not_live_yet_is_settling_also_while_the_one_before_it_is_live() {
    let other = "00000000000000000000000000000002";
    let superseded = json!({"superseded": true, "live": live(other)["live"]});
    let reported =
        json!({"report": {"job": JOB, "state": "settling", "known_at_ms": 1}, "live": live(JOB)["live"]});
    for (more, state) in [
        (json!({}), "settling"),
        (live(other), "settling"),
        (superseded, "superseded"),
        (live(JOB), "succeeded"),
        (reported, "succeeded"),
    ] {
        assert_eq!(state_of(&succeeded(&more)), state, "{more}");
    }
}

#[test]
fn a_page_is_fetched_again_until_nothing_can_change_on_it() {
    let (soon, late) = (50_000 + REST_MS - 1, 50_000 + REST_MS);
    let live_job = succeeded(&live(JOB));
    assert!(is_asked_again(&live_job, soon), "what was read before the end may be old");
    assert!(!is_asked_again(&live_job, late));
    assert!(is_asked_again(&succeeded(&json!({})), late), "it is not live yet");
    let cancelled = json!({"outcome": "cancelled", "told": {"who": "anna", "why": "twice", "at_ms": 1}});
    assert!(is_asked_again(&ended(&cancelled, &json!({})), soon));
    assert!(!is_asked_again(&ended(&cancelled, &json!({})), late));
    let reported = json!({"report": {"job": JOB, "state": "settling", "known_at_ms": 1}});
    assert!(is_asked_again(&ended(&cancelled, &reported), late), "the controller still has it");
}

#[test]
fn every_part_that_may_come_later_has_its_place() {
    let bare = json!({"job": JOB, "attempts": [], "story": [], "says": "", "controller": "live"});
    let page = super::job(&documents::read(bare).unwrap(), ("test", "live"), false, 1);
    for id in [
        "environment",
        "title",
        "head",
        "facts",
        "time-line",
        "attempts",
        "renditions",
        "warnings",
        "verification",
        "story",
    ] {
        let place = page.split(&format!("id=\"{id}\"")).nth(1).and_then(|rest| rest.split('>').next());
        assert!(place.is_some_and(|rest| rest.contains("data-live")), "{id}: {page}");
    }
    assert!(page.contains("id=\"player\""), "{page}");
}
