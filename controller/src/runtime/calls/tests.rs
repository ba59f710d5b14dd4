//! Which calls are made when, with calls that are answered when the test says so.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::*;

/// Calls under way, in the order in which they began, each with what ends it: `false` makes it panic.
type Begun = Arc<Mutex<Vec<(String, oneshot::Sender<bool>)>>>;

fn limits(concurrency: usize) -> Limits {
    Limits { concurrency, give_up: Duration::from_mins(1), drain: Duration::from_mins(1) }
}

fn read(job: &str) -> Work {
    Work::One(Action::ReadSpec { job: transcode_config::contract::JobKey::of(&[job]) })
}

fn poll() -> Work {
    Work::One(Action::Receive { queue: "jobs".into(), max: 1 })
}

/// What makes calls that wait for the test.
fn made(begun: &Begun) -> impl Fn(Work) -> std::pin::Pin<Box<dyn Future<Output = Vec<Fact>> + Send>> + use<> {
    let begun = Arc::clone(begun);
    move |work| {
        let (end, ended) = oneshot::channel();
        begun.lock().unwrap().push((format!("{work:?}"), end));
        Box::pin(async move {
            assert!(ended.await.unwrap(), "the call panics");
            vec![Fact::DrainRequested]
        })
    }
}

fn names(begun: &Begun) -> Vec<String> {
    begun.lock().unwrap().iter().map(|(name, _)| name.clone()).collect()
}

/// Ends the oldest call under way that is no long poll.
fn end(begun: &Begun, well: bool) {
    let mut begun = begun.lock().unwrap();
    let at = begun.iter().position(|(name, _)| !name.contains("Receive")).unwrap();
    begun.remove(at).1.send(well).unwrap();
}

fn named(works: &[Work]) -> Vec<String> {
    works.iter().map(|work| format!("{work:?}")).collect()
}

#[tokio::test]
async fn calls_beyond_the_limit_wait_in_order_until_one_is_answered_or_panics() {
    let begun = Begun::default();
    let mut calls = Calls::new(made(&begun), limits(2));
    for work in [read("a"), read("b"), read("c"), poll(), read("d")] {
        calls.start(work);
    }
    assert_eq!(names(&begun), named(&[read("a"), read("b"), poll()]), "a long poll takes nobody's place");
    assert_eq!(calls.waiting.len(), 2);

    end(&begun, true);
    let answered = calls.set.join_next_with_id().await.unwrap();
    assert_eq!(calls.answer(answered), [Fact::DrainRequested]);
    assert_eq!(names(&begun), named(&[read("b"), poll(), read("c")]));

    end(&begun, false);
    let panicked = calls.set.join_next_with_id().await.unwrap();
    let facts = calls.answer(panicked);
    assert!(!facts.is_empty() && !facts.contains(&Fact::DrainRequested), "it is given up: {facts:?}");
    assert_eq!(names(&begun), named(&[poll(), read("c"), read("d")]));
    assert_eq!((calls.waiting.len(), calls.bounded), (0, 2));

    while calls.bounded > 0 {
        end(&begun, true);
        let answered = calls.set.join_next_with_id().await.unwrap();
        calls.answer(answered);
    }
    assert_eq!((calls.works.len(), calls.set.len()), (1, 1), "only the long poll is left");
}
