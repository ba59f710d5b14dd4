use std::collections::BTreeMap;

use transcode_config::contract::{Attempt, JobKey, OutputTarget, SCHEMA, SourceObject, SourceOrder};

use super::*;

fn order(sequencer: Option<&str>, uploaded_at_ms: u64, accepted_at_ms: u64) -> SourceOrder {
    let sequencer = sequencer.map(str::to_owned);
    SourceOrder { sequencer, version_id: None, etag: None, uploaded_at_ms, accepted_at_ms }
}

fn pointer(job: &str, order: SourceOrder) -> Published {
    Published {
        schema: SCHEMA,
        output: OutputTarget { bucket: "videos".into(), prefix: "videos/a.mp4/".into() },
        source: SourceObject { bucket: "uploads".into(), key: "a.mp4".into() },
        job: JobKey::of(&[job]),
        attempt: Attempt::FIRST,
        folder: format!("videos/a.mp4/{job}/"),
        highest_sequencer: order.sequencer.clone(),
        order,
        serial: 1,
        published_at_ms: 1,
    }
}

/// A bucket with a pointer and entry points, which all carry a tag that changes with each write.
#[derive(Clone, Default)]
struct Bucket {
    pointer: Option<(Box<Published>, Tag)>,
    entries: BTreeMap<usize, (JobKey, Tag)>,
    writes: usize,
}

impl Bucket {
    fn holds(tag: Option<&Tag>, condition: &If) -> bool {
        match condition {
            If::Absent => tag.is_none(),
            If::Still(seen) => tag == Some(seen),
            If::Whatever => true,
        }
    }

    fn carry_out(&mut self, job: &JobKey, step: &Step) -> Option<Answer> {
        self.writes += 1;
        let tag = self.writes.to_string();
        Some(match step {
            Step::Look(entry) => Answer::Seen(self.entries.get(entry).map(|(_, tag)| tag.clone())),
            Step::ReadPointer => Answer::Pointer(self.pointer.clone()),
            Step::MovePointer(next, condition) => {
                let written = Self::holds(self.pointer.as_ref().map(|(_, tag)| tag), condition);
                if written {
                    self.pointer = Some((next.clone(), tag));
                }
                Answer::Written(written)
            }
            Step::Write(entry, condition) => {
                let written = Self::holds(self.entries.get(entry).map(|(_, tag)| tag), condition);
                if written {
                    self.entries.insert(*entry, (job.clone(), tag));
                }
                Answer::Written(written)
            }
            Step::Done(_) | Step::Busy => return None,
        })
    }

    fn run(&mut self, mut publishing: Publishing) -> Step {
        let job = publishing.next.job.clone();
        while let Some(answer) = self.carry_out(&job, &publishing.step()) {
            publishing.answer(answer);
        }
        publishing.step()
    }
}

/// Steps an older and a newer job in every order, with a kill after any step of either and, at the end, the write that
/// was under way when it died; then whoever lives ends, and is begun anew.
#[test]
fn in_every_order_of_two_jobs_steps_the_newer_one_stays() {
    let (old, new) = (pointer("old", order(Some("01"), 1, 1)), pointer("new", order(Some("02"), 2, 2)));
    let mut ends = 0;
    for pattern in 0_u32..1 << 14 {
        for killed_after in 0..8 {
            let mut bucket = Bucket::default();
            let mut jobs = [Publishing::new(old.clone(), 2), Publishing::new(new.clone(), 2)];
            let mut late = None;
            let mut steps = 0;
            for turn in 0..14 {
                let which = (pattern >> turn & 1) as usize;
                if which == 0 && steps == killed_after {
                    // What the older one has sent arrives after its death.
                    late = late.or(Some(jobs[0].step()));
                    continue;
                }
                steps += usize::from(which == 0);
                let job = jobs[which].next.job.clone();
                if let Some(answer) = bucket.carry_out(&job, &jobs[which].step()) {
                    jobs[which].answer(answer);
                }
            }
            let [first, second] = jobs;
            let ended = bucket.run(second);
            assert!(matches!(ended, Step::Done(Publication::Live(_))), "{ended:?}");
            bucket.run(first.clone());
            if let Some(step) = late {
                bucket.carry_out(&first.next.job, &step);
            }
            let again = bucket.run(Publishing::new(old.clone(), 2));
            assert_eq!(again, Step::Done(Publication::Superseded(new.job.clone())));
            assert!(bucket.entries.len() == 2 && bucket.entries.values().all(|(job, _)| *job == new.job));
            ends += 1;
        }
    }
    assert_eq!(ends, 8 << 14);
}

#[test]
fn who_is_newer_is_told_by_sequencer_then_upload_then_acceptance() {
    let live = pointer("live", order(Some("00F0"), 50, 500));
    let ask = |order: SourceOrder| standing(&JobKey::of(&["x"]), &live.source, &order, Some(&live));
    // Padded on the right: 00F is 00F0, and 00F1 is more, whatever the clocks say.
    assert_eq!(ask(order(Some("00F1"), 1, 1)), Standing::Newer);
    assert_eq!(ask(order(Some("00E"), 90, 900)), Standing::Older);
    assert_eq!(ask(order(Some("00ea123"), 90, 900)), Standing::Older);
    assert_eq!(ask(order(Some("00F"), 90, 501)), Standing::Newer, "a redrive of the live version");
    assert_eq!(ask(order(Some("00F"), 90, 499)), Standing::Older);
    assert_eq!(ask(order(None, 51, 1)), Standing::Newer);
    assert_eq!(ask(order(None, 49, 900)), Standing::Older);
    assert_eq!(standing(&live.job, &live.source, &live.order, Some(&live)), Standing::Live);
    let other = SourceObject { bucket: "others".into(), ..live.source.clone() };
    assert_eq!(
        standing(&JobKey::of(&["x"]), &other, &order(Some("FF"), 49, 1), Some(&live)),
        Standing::Older
    );
}

#[test]
fn what_was_once_live_with_a_sequencer_bars_lower_ones_for_ever() {
    let first = pointer("first", order(Some("05"), 5, 5));
    let by_hand = successor(pointer("by hand", order(None, 9, 9)), Some(&first));
    assert_eq!((by_hand.serial, by_hand.highest_sequencer.as_deref()), (2, Some("05")));
    let ask = |order: SourceOrder| standing(&JobKey::of(&["x"]), &first.source, &order, Some(&by_hand));
    assert_eq!(ask(order(Some("04"), 100, 100)), Standing::Older);
    assert_eq!(ask(order(Some("06"), 8, 100)), Standing::Older, "uploaded before what is live");
    assert_eq!(ask(order(Some("06"), 10, 100)), Standing::Newer);
}

#[test]
fn whoever_always_finds_another_in_the_way_comes_back_later() {
    let mut publishing = Publishing::new(pointer("a", order(None, 1, 1)), 1);
    publishing.answer(Answer::Written(false));
    for _ in 1..ROUNDS {
        publishing.answer(Answer::Seen(None));
        publishing.answer(Answer::Pointer(None));
        publishing.answer(Answer::Written(false));
    }
    assert_eq!(publishing.step(), Step::Busy);
}
