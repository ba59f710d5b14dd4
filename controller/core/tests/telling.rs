//! Each change is reported once, with its reason.

use transcode_core::{
    judge::launch_pause::Pause,
    message::{IgnoreReason, Ignored},
};

use super::*;

fn deleted(message: &str) -> Fact {
    Fact::Deleted { message: MessageId(message.into()) }
}

impl Bench {
    /// How many reported changes match `is`.
    fn times(&self, is: impl Fn(&Change) -> bool) -> usize {
        self.told.iter().filter(|change| is(change)).count()
    }

    fn settled(&self) -> usize {
        self.times(|change| matches!(change, Change::JobSettled { .. }))
    }

    /// A job that two messages ask for, decided and published.
    fn decided_for_two(&mut self) -> JobKey {
        let job = self.upload("m1", "a.mp4");
        self.deliver("m2", &upload_of("a.mp4"));
        self.turn([inspected(&job, None, None, Some(succeeded(&job)))]);
        self.turn([live(&job)]);
        job
    }
}

#[test]
fn a_job_is_settled_once_with_the_last_of_its_messages_also_when_all_go_in_one_batch() {
    let mut world = Bench::ready();
    world.decided_for_two();
    world.turn([deleted("m1"), deleted("m2")]);
    assert_eq!(world.settled(), 1);

    let mut world = Bench::ready();
    world.decided_for_two();
    world.turn([deleted("m1")]);
    assert_eq!(world.settled(), 0, "another message still asks for it");
    world.turn([deleted("m2")]);
    assert_eq!(world.settled(), 1);
}

#[test]
fn a_message_that_goes_is_told_once_with_its_reason() {
    let mut world = Bench::ready();
    world.decided_for_two();
    world.upload("m3", "b.mp4");
    world.turn([deleted("m1"), Fact::LeaseLost { message: MessageId("m2".into()) }]);
    world.after(12 * 3_600_000);
    let lost =
        |id: &str| world.times(|it| matches!(it, Change::LeaseLost { message, .. } if *message.0 == *id));
    assert_eq!((lost("m1"), lost("m2"), lost("m3")), (0, 1, 1));
    assert_eq!(world.times(|it| matches!(it, Change::MessageDeleted { .. })), 1);
}

#[test]
fn a_message_that_asks_for_nothing_is_told_with_its_reason_and_deleted() {
    let mut world = Bench::ready();
    let removed = upload_of("a.mp4").replace("ObjectCreated:Put", "ObjectRemoved:Delete");
    let planned = world.deliver("m1", &removed);
    assert!(matches!(planned.as_slice(), [Action::Delete { .. }]), "{planned:?}");
    let told = world.told.iter().find_map(|it| match it {
        Change::MessageIgnored { message, records } => Some((&*message.0, records.as_slice())),
        _ => None,
    });
    let expected =
        Ignored { reason: IgnoreReason::NotCreated, event: "ObjectRemoved:Delete s3://uploads/a.mp4".into() };
    assert_eq!(told, Some(("m1", &[expected][..])));
}

#[test]
fn a_terminal_record_is_told_once_however_often_it_is_read() {
    let mut world = Bench::ready();
    let job = world.upload("m1", "a.mp4");
    let read = || inspected(&job, None, None, Some(succeeded(&job)));
    world.turn([read(), read()]);
    world.turn([read()]);
    assert_eq!(world.times(|it| matches!(it, Change::JobDecided { .. })), 1);
}

#[test]
fn a_pause_is_told_when_it_begins_and_when_it_ends() {
    let mut world = Bench::ready();
    let unfit = || Fact::Unfit { reason: "no such image".into() };
    world.turn([unfit()]);
    world.turn([unfit()]);
    world.turn([pinned()]);
    world.after(1000);
    let begun = |it: &Change| matches!(it, Change::PauseBegun { pause: Pause::Unfit(_) });
    assert_eq!(world.times(begun), 1);
    assert_eq!(world.times(|it| matches!(it, Change::PauseEnded)), 1);
}
