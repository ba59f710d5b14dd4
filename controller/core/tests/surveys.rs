//! One listing of all beacons says which jobs are read.

use transcode_config::contract::Beacon;
use transcode_core::protocol::fact::{Hint, Sighting};

use super::*;

/// Time between two listings in these tests: that of the settings.
const EVERY: Ms = 60_000;

fn beacon(percent: u8) -> Beacon {
    Beacon { stage: Stage::Transcoding, percent, playable: false }
}

/// A listing with the first attempt's beacon of a job, written for the `mark`th time.
fn listed(job: &JobKey, mark: u64, beacon: Beacon) -> Fact {
    let sighting = Sighting { job: job.clone(), attempt: Attempt::FIRST, mark, beacon };
    Fact::Surveyed { sightings: vec![sighting] }
}

fn stop_of(actions: &[Action]) -> Option<&'static str> {
    actions.iter().find_map(|action| match action {
        Action::Stop { reason, .. } => Some(*reason),
        _ => None,
    })
}

/// A task at work, and its documents read.
fn at_work() -> (Bench, JobKey, Claim) {
    let mut world = Bench::ready();
    let (job, claim) = world.launched("m1", "a.mp4", "task/1");
    world.turn([seen(view("task/1", &job, 1, TaskStatus::Running))]);
    world.turn([read(&job, &claim, 1, 1.0)]);
    (world, job, claim)
}

fn read(job: &JobKey, claim: &Claim, seq: u64, percent: f32) -> Fact {
    let beat = Heartbeat { percent, ..heartbeat(job, seq, TaskState::Working) };
    inspected(job, Some(claim), Some(beat), None)
}

/// Lets time pass up to the next listing, answers what is read by `percent`, and absorbs the listing. Returns whether the
/// job was read for it, and the reason of a stop.
fn next(
    world: &mut Bench,
    (job, claim): (&JobKey, &Claim),
    listing: Fact,
    (seq, percent): (u64, f32),
) -> (bool, Option<&'static str>) {
    let (mut facts, mut was_read, mut stopped) = (vec![listing], false, None);
    for _ in 0..EVERY / 5000 {
        world.mono += 5000;
        let view = view("task/1", job, 1, TaskStatus::Running);
        let actions = world.turn(facts.drain(..).chain([seen(view)]));
        stopped = stopped.or(stop_of(&actions));
        was_read |= reads(&actions, job);
        for action in actions {
            match action {
                Action::Inspect { .. } => facts.push(read(job, claim, seq, percent)),
                Action::Extend { lease, for_ms } => {
                    facts.push(Fact::Extended { message: lease.message, for_ms });
                }
                _ => {}
            }
        }
    }
    world.turn(facts);
    (was_read, stopped)
}

#[test]
fn while_tasks_are_in_flight_their_beacons_are_listed_and_otherwise_not() {
    let surveys = |world: &mut Bench| {
        world.mono += EVERY + 1000;
        let (plan, _) =
            world.reconciler.turn([], Now { mono: world.mono, wall: 1_700_000_000_000 + world.mono });
        plan.actions.iter().filter(|action| matches!(action, Action::Survey)).count()
    };
    let mut idle = Bench::ready();
    assert_eq!([surveys(&mut idle), surveys(&mut idle)], [0, 0]);
    let (mut world, job, _) = at_work();
    world.turn([listed(&job, 1, beacon(1))]);
    assert_eq!([surveys(&mut world), surveys(&mut world)], [1, 0], "one call at a time");
    let error = error(ErrorClass::Transient, "503");
    world.turn([Fact::SurveyFailed { error }]);
    assert_eq!(surveys(&mut world), 1, "again after a failure");
}

#[test]
fn a_job_whose_beacon_is_written_again_and_again_is_not_read_and_its_task_is_alive() {
    let (mut world, job, claim) = at_work();
    let pair = (&job, &claim);
    // The first listing has nothing to compare with.
    next(&mut world, pair, listed(&job, 1, beacon(1)), (2, 1.0));
    for minute in 2..30_u8 {
        let listing = listed(&job, minute.into(), beacon(minute));
        assert_eq!(next(&mut world, pair, listing, (2, 1.0)), (false, None), "minute {minute}");
    }
    let attempt = world.reconciler.ledger.jobs.get(&job).unwrap().attempt.clone().unwrap();
    assert_eq!(attempt.progress(), Some((Stage::Transcoding, 29.0)), "people see it");
}

#[test]
fn a_beacon_that_stands_still_is_no_sign_of_life() {
    let (mut world, job, claim) = at_work();
    let pair = (&job, &claim);
    next(&mut world, pair, listed(&job, 1, beacon(1)), (1, 1.0));
    let mut stopped = None;
    for minute in 0..7 {
        let (was_read, stop) = next(&mut world, pair, listed(&job, 1, beacon(1)), (1, 1.0));
        assert!(was_read, "minute {minute}: the heartbeat decides");
        stopped = stopped.or(stop);
    }
    assert_eq!(stopped, Some(stop_reason::NO_HEARTBEAT));
}

#[test]
fn a_beacon_that_is_gone_or_shows_another_stage_has_its_job_read_at_once() {
    let publishing = Beacon { stage: Stage::Publishing, ..beacon(2) };
    let playable = Beacon { playable: true, ..beacon(2) };
    let (mut world, job, claim) = at_work();
    for (mark, second) in [(10, Some(publishing)), (20, Some(playable)), (30, None)] {
        for minute in 0..3 {
            let listing = listed(&job, mark + minute, beacon(1));
            next(&mut world, (&job, &claim), listing, (mark + minute, 1.0));
        }
        let listing = match second {
            Some(beacon) => listed(&job, mark + 9, beacon),
            None => Fact::Surveyed { sightings: vec![] },
        };
        world.mono += 1000;
        assert!(reads(&world.turn([listing]), &job), "{second:?}");
        world.turn([read(&job, &claim, mark + 9, 1.0)]);
    }
}

#[test]
fn a_hint_is_not_lost_to_a_listing_of_the_same_turn() {
    let (mut world, job, claim) = at_work();
    next(&mut world, (&job, &claim), listed(&job, 1, beacon(1)), (2, 1.0));
    next(&mut world, (&job, &claim), listed(&job, 2, beacon(2)), (2, 1.0));
    let hint = Fact::Hinted(Hint::TerminalRecord(job.clone()));
    assert!(reads(&world.turn([hint, listed(&job, 3, beacon(3))]), &job));
}

/// The beacon shows whole percent; of a task that works for days one takes hours.
#[test]
fn of_a_task_that_is_slower_than_its_beacon_shows_the_heartbeat_decides() {
    let no_progress = Bench::ready().reconciler.policy().no_progress;
    let minutes = no_progress / EVERY;
    for (grows, most) in [(true, 3 * minutes), (false, minutes * 3 / 2)] {
        let (mut world, job, claim) = at_work();
        let (mut stopped, mut readings) = (None, 0);
        for minute in 1..=most {
            let percent = if grows { 1.0 + f32::from(u16::try_from(minute).unwrap()) / 1000.0 } else { 1.0 };
            let (was_read, stop) =
                next(&mut world, (&job, &claim), listed(&job, minute, beacon(1)), (minute + 1, percent));
            stopped = stopped.or(stop);
            if stopped.is_some() {
                break;
            }
            readings += u64::from(was_read);
        }
        assert_eq!(stopped, (!grows).then_some(stop_reason::NO_PROGRESS), "{grows}");
        assert!(readings <= most / 8, "{readings} readings in {most} minutes");
    }
}
