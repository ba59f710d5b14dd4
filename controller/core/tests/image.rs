//! The planner while the task's image is unfit.

use super::*;

const WHY: &str = "t:1: there is no image task:1 in ECR";

fn unfit() -> Fact {
    Fact::Unfit { reason: WHY.into() }
}

fn unread() -> Fact {
    let error =
        CallError { operation: "ecr:BatchGetImage", class: ErrorClass::Throttled, message: "slow".into() };
    Fact::ResolveFailed { error }
}

#[test]
fn an_image_that_does_not_fit_pauses_launches_says_why_and_costs_no_attempt() {
    let mut world = Bench::new();
    world.turn([Fact::Resynced { complete: true }, unread()]);
    let job = world.upload("m1", "a.mp4");
    assert_eq!(world.turn([inspected(&job, None, None, None)]), []);
    assert_eq!(
        world.note(&job),
        "launches pause: waiting for a valid task definition: ecr:BatchGetImage: slow"
    );
    assert_eq!(world.turn([unfit()]), [], "nothing is claimed");
    assert_eq!(world.note(&job), format!("launches pause: {WHY}"));
    assert_eq!(world.turn([unread()]), [], "what could not be read is no verdict");

    let claim = claim_of(&world.turn([pinned()]));
    assert_eq!((&*claim.task_definition, claim.image_digest.as_deref()), ("t:1", Some("sha256:1")));
    let claimed = claimed(&claim);
    assert_eq!(world.turn([unfit(), claimed]), [], "one that was claimed is not launched either");
    assert_eq!(world.note(&job), format!("launches pause: {WHY}"));
    let launch = world.turn([pinned()]);
    assert_eq!(launch, [Action::Launch { claim: claim.into() }], "the same attempt");
}

#[test]
fn an_image_that_fitted_goes_on_to_fit_while_it_cannot_be_read() {
    let mut world = Bench::ready();
    world.turn([unread()]);
    let job = world.upload("m1", "a.mp4");
    claim_of(&world.turn([inspected(&job, None, None, None)]));
}
