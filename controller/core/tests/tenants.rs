//! Tenants: whose job is next, the most tasks of a tenant, and which messages are put back.

use std::mem;

use transcode_config::tenants::{Priority, TenantSettings};
use transcode_core::state::lease::Spare;

use super::*;

const MINUTE: Ms = 60_000;

fn rule(prefix: &str) -> TenantSettings {
    let prefix = prefix.to_owned().try_into().unwrap();
    TenantSettings { prefix, weight: 1, max_tasks: 0, max_vcpu: 0, priority: Priority::Normal }
}

impl Bench {
    /// With these tenants, this many slots, and this many jobs that may wait.
    fn with_tenants(rules: Vec<TenantSettings>, slots: usize, look_ahead: usize) -> Self {
        let mut world = Self::ready();
        let mut new = world.reconciler.ledger.rules.clone();
        new.sources[0].tenants = rules;
        let policy = Policy {
            max_tasks: slots,
            max_leases: slots * 3 + 10 + look_ahead,
            look_ahead: Some(look_ahead),
            launch_burst: 100,
            // Time passes without heartbeats and extensions.
            visibility: 12 * 60 * MINUTE,
            heartbeat_stale: 12 * 60 * MINUTE,
            no_progress: 24 * 60 * MINUTE,
            max_run: 24 * 60 * MINUTE,
            ..world.reconciler.policy().clone()
        };
        world.reconciler.reload(policy, new);
        world.turn([]);
        world
    }

    /// Delivers uploads and answers their readings: none has an attempt. Returns the plan after that.
    fn uploads(&mut self, keys: impl IntoIterator<Item = String>) -> Vec<Action> {
        let message = |key: String| Incoming {
            id: MessageId(key.clone().into()),
            receipt: "r".into(),
            body: upload_of(&key),
            sent_at_ms: None,
            receives: 1,
        };
        let messages = keys.into_iter().map(message).collect();
        let planned = self.turn([Fact::Received { queue: "default".into(), messages }]);
        self.answered(planned)
    }

    /// Answers readings, claims and releases until no more follow; returns all other actions.
    fn answered(&mut self, mut planned: Vec<Action>) -> Vec<Action> {
        let mut rest = Vec::new();
        while !planned.is_empty() {
            let mut facts = Vec::new();
            for action in mem::take(&mut planned) {
                match &action {
                    Action::Inspect { job, .. } => facts.push(inspected(job, None, None, None)),
                    Action::Claim { claim, .. } => {
                        facts.push(claimed(claim));
                    }
                    Action::Launch { claim } => {
                        let (job, attempt) = (claim.job.clone(), claim.attempt);
                        let task = TaskArn(job.to_string().into());
                        facts.push(Fact::Launched { job: job.clone(), attempt, task });
                        facts.push(seen(view(job.as_str(), &job, 1, TaskStatus::Running)));
                    }
                    Action::Release { lease, .. } => {
                        facts.push(Fact::Released { message: lease.message.clone() });
                    }
                    _ => {}
                }
                rest.push(action);
            }
            planned = self.turn(facts);
            if planned.is_empty() {
                planned = self.after(1);
            }
        }
        rest
    }

    /// A job is decided; returns the next plan.
    fn decide(&mut self, job: &JobKey) -> Vec<Action> {
        let ended = seen(view(job.as_str(), job, 1, TaskStatus::Ended));
        let planned = self.turn([ended, inspected(job, None, None, Some(succeeded(job)))]);
        self.answered(planned)
    }

    /// The number of messages in the receives under way.
    fn asks(&self) -> Option<u8> {
        self.reconciler.ledger.receiving["default"].call.map(|(max, _)| max)
    }
}

/// The tenants of the claimed jobs, by the beginning of their keys.
fn whose(actions: &[Action]) -> Vec<char> {
    let tenant = |action: &Action| match action {
        Action::Claim { spec, .. } => spec.source.key.chars().next(),
        _ => None,
    };
    actions.iter().filter_map(tenant).collect()
}

fn count(actions: &[Action], tenant: char) -> usize {
    whose(actions).iter().filter(|it| **it == tenant).count()
}

fn first_of(actions: &[Action], tenant: char) -> JobKey {
    let job = |action: &Action| match action {
        Action::Claim { spec, .. } if spec.source.key.starts_with(tenant) => Some(spec.job.clone()),
        _ => None,
    };
    actions.iter().find_map(job).unwrap()
}

fn keys(tenant: &str, many: usize) -> impl Iterator<Item = String> {
    (0..many).map(move |number| format!("{tenant}/{number}.mp4"))
}

#[test]
fn behind_a_flood_of_one_tenant_the_next_free_slot_is_anothers() {
    let mut world = Bench::with_tenants(vec![rule("{id}/")], 2, 100);
    let claimed = world.uploads(keys("a", 20));
    assert_eq!(whose(&claimed), ['a', 'a']);
    world.mono += 10 * MINUTE;
    assert_eq!(whose(&world.uploads(keys("b", 2))), [], "no slot is free");
    assert_eq!(whose(&world.decide(&first_of(&claimed, 'a'))), ['b']);
}

#[test]
fn what_comes_free_together_is_shared_by_weight() {
    let rules = vec![TenantSettings { weight: 3, ..rule("a/") }, rule("{id}/")];
    let mut world = Bench::with_tenants(rules, 8, 100);
    world.reconciler.policy_mut().paused = true;
    world.uploads(keys("a", 20).chain(keys("b", 20)));
    world.reconciler.policy_mut().paused = false;
    let planned = world.turn([]);
    let claimed = world.answered(planned);
    assert_eq!((count(&claimed, 'a'), count(&claimed, 'b')), (6, 2));
}

#[test]
fn whoever_has_had_less_comes_first_until_that_is_made_up_for() {
    let mut world = Bench::with_tenants(vec![rule("{id}/")], 2, 100);
    let first = world.uploads(keys("a", 20));
    world.uploads(keys("b", 20));
    // All that is running is the one's, for ten minutes, while the other waits.
    world.mono += 10 * MINUTE;
    let job = first_of(&first, 'a');
    let mut running = vec![job.clone()];
    running.extend(claims(&first).into_iter().map(|claim| claim.job).filter(|other| *other != job));
    let mut next = Vec::new();
    for job in running {
        next.extend(world.decide(&job));
    }
    assert_eq!(whose(&next), ['b', 'b'], "it has 20 minutes coming");
    world.mono += 5 * MINUTE;
    let next = world.decide(&first_of(&next, 'b'));
    assert_eq!(whose(&next), ['b'], "5 of them are to come");
}

#[test]
fn a_tenant_is_owed_nothing_for_the_time_in_which_it_wanted_nothing() {
    let mut world = Bench::with_tenants(vec![rule("{id}/")], 2, 100);
    let first = world.uploads(keys("a", 20));
    world.mono += 600 * MINUTE;
    world.uploads(keys("b", 20));
    let next = claims(&first).into_iter().flat_map(|claim| world.decide(&claim.job)).collect::<Vec<_>>();
    assert_eq!(whose(&next), ['b', 'a'], "each has a slot since both compete");
}

#[test]
fn a_tenant_has_no_more_than_it_may_and_its_jobs_say_so() {
    let rules = vec![
        TenantSettings { max_tasks: 1, ..rule("a/") },
        TenantSettings { max_vcpu: 5, ..rule("b/") },
        rule("{id}/"),
    ];
    let mut world = Bench::with_tenants(rules, 10, 100);
    let claimed = world.uploads(keys("a", 5).chain(keys("b", 5)).chain(keys("c", 5)));
    assert_eq!([count(&claimed, 'a'), count(&claimed, 'b'), count(&claimed, 'c')], [1, 2, 5]);
    let notes: Vec<String> = world.reconciler.ledger.jobs.keys().map(|job| world.note(job)).collect();
    let said = |words: &str| notes.iter().filter(|note| note.contains(words)).count();
    assert_eq!(said("uploads/a/ has 1 of 1 tasks (max_tasks)"), 4);
    assert_eq!(said("uploads/b/ has 4 of 5 vCPU (max_vcpu)"), 3);
    let job = first_of(&claimed, 'a');
    assert_eq!(whose(&world.decide(&job)), ['a'], "what ends makes room for the next");
}

#[test]
fn a_higher_class_comes_first_and_a_lower_one_gets_a_twentieth() {
    let rules = vec![
        TenantSettings { priority: Priority::Low, ..rule("a/") },
        TenantSettings { priority: Priority::High, ..rule("b/") },
    ];
    let mut world = Bench::with_tenants(rules, 2, 500);
    world.reconciler.policy_mut().paused = true;
    world.uploads(keys("a", 100).chain(keys("b", 200)));
    world.reconciler.policy_mut().paused = false;
    let planned = world.turn([]);
    let mut running: Vec<Action> = world.answered(planned);
    assert_eq!(whose(&running), ['b', 'b']);
    let mut claimed = Vec::new();
    for _ in 0..100 {
        world.mono += 5 * MINUTE;
        let ended: Vec<JobKey> =
            claims(&mem::take::<Vec<_>>(&mut running)).into_iter().map(|claim| claim.job).collect();
        for job in ended {
            running.extend(world.decide(&job));
        }
        claimed.extend(whose(&running));
    }
    let low = claimed.iter().filter(|tenant| **tenant == 'a').count();
    assert_eq!(claimed.len(), 200);
    assert!((9..=11).contains(&low), "{low} of 200");
}

#[test]
fn however_many_wait_whatever_is_there_is_received() {
    let mut world = Bench::with_tenants(vec![rule("{id}/")], 2, 100);
    world.uploads(keys("a", 20));
    assert_eq!(world.asks(), Some(10), "there is no slot, and place in line");
    world.reconciler.policy_mut().look_ahead = None;
    world.turn([Fact::Received { queue: "default".into(), messages: vec![] }]);
    world.mono += MINUTE;
    world.turn([]);
    assert_eq!(world.asks(), None, "without tenants no more than can be launched");
}

#[test]
fn what_there_is_no_place_for_goes_back_from_the_end_of_the_longest_line() {
    let mut world = Bench::with_tenants(vec![rule("{id}/")], 2, 10);
    world.uploads(keys("b", 3));
    let planned = world.uploads(keys("a", 14));
    let back = |actions: &[Action]| -> Vec<(String, Ms)> {
        let release = |action: &Action| match action {
            Action::Release { lease, after_ms } => Some((lease.message.0.to_string(), *after_ms)),
            _ => None,
        };
        actions.iter().filter_map(release).collect()
    };
    // Two of the first tenant's are claimed, one waits; of fourteen nine may.
    let gone = back(&planned);
    assert_eq!(gone.len(), 5);
    assert!(
        gone.iter().all(|(key, after)| key.starts_with('a') && (MINUTE / 2..=MINUTE).contains(after)),
        "{gone:?}"
    );
    let ledger = &world.reconciler.ledger;
    assert!(ledger.leases.values().all(|lease| lease.spare.is_none()));
    assert_eq!(ledger.leases.len(), 12, "what went back is forgotten");
    world.mono += 1000;
    let gone = back(&world.uploads(keys("c", 1)));
    assert!(
        matches!(gone.as_slice(), [(key, _)] if key.starts_with('a')),
        "another's upload finds a place: {gone:?}"
    );
}

#[test]
fn what_goes_back_is_not_begun_meanwhile() {
    let mut world = Bench::with_tenants(vec![rule("{id}/")], 1, 2);
    let claimed = world.uploads(keys("a", 1));
    let looks: Vec<Action> =
        keys("b", 3).map(|key| world.deliver(&key, &upload_of(&key))).collect::<Vec<_>>().concat();
    let facts: Vec<Fact> = looks
        .iter()
        .filter_map(|action| match action {
            Action::Inspect { job, .. } => Some(inspected(job, None, None, None)),
            _ => None,
        })
        .collect();
    world.turn(facts);
    let planned = world.after(1);
    assert!(matches!(planned.as_slice(), [Action::Release { .. }]), "{planned:?}");
    let spare =
        |world: &Bench| world.reconciler.ledger.leases.values().filter_map(|it| it.spare).collect::<Vec<_>>();
    assert_eq!(spare(&world), [Spare::Excess]);
    let [Action::Release { lease, .. }] = planned.as_slice() else { panic!("{planned:?}") };
    let failed = error(ErrorClass::Transient, "no answer");
    world.turn([Fact::MessageCallFailed { message: lease.message.clone(), error: failed }]);
    let mut next = world.decide(&first_of(&claimed, 'a'));
    for _ in 0..2 {
        let job = first_of(&next, 'b');
        next = world.decide(&job);
    }
    assert_eq!(whose(&next), [], "two may be begun, and the third goes back however often that fails");
}

#[test]
fn a_message_that_is_put_back_for_two_weeks_is_not_taken_for_a_poison_message() {
    let policy = Bench::ready().reconciler.policy().clone();
    for id in ["a", "b", "c"] {
        let (mut waited, mut receives) = (0, 0);
        while waited < 14 * 24 * 60 * MINUTE {
            receives += 1;
            waited += policy.put_back_for(receives, 0, &MessageId(id.into()));
        }
        assert!(
            (200..290).contains(&receives),
            "{receives} receives; the template's queue gives up after 300"
        );
        let flood = policy.put_back_for(1, 10_000, &MessageId(id.into()));
        assert!(
            flood >= 10_000 * 50 / 2,
            "{flood} ms: more would come back than leaves time for what is new"
        );
    }
}

#[test]
fn a_free_slot_costs_the_same_however_many_wait() {
    let visits = |waiting: usize| {
        let mut world = Bench::with_tenants(vec![rule("{id}/")], 2, 5000);
        let claimed = world.uploads(keys("a", waiting).chain(keys("b", waiting)));
        let job = first_of(&claimed, 'a');
        world.after(1);
        let now = world.now();
        let ended = seen(view(job.as_str(), &job, 1, TaskStatus::Ended));
        let decided = inspected(&job, None, None, Some(succeeded(&job)));
        let (plan, _) = world.reconciler.turn([ended, decided], now);
        assert_eq!(whose(&plan.actions).len(), 1, "one slot is free");
        plan.jobs.len()
    };
    assert_eq!(visits(10), visits(500));
}

#[test]
fn new_rules_hold_for_what_waits() {
    let mut world = Bench::with_tenants(vec![rule("{id}/")], 2, 100);
    let claimed = world.uploads(keys("a", 20).chain(keys("b", 20)));
    let (policy, mut rules) = (world.reconciler.policy().clone(), world.reconciler.ledger.rules.clone());
    rules.sources[0].tenants = vec![TenantSettings { max_tasks: 1, ..rule("a/") }, rule("{id}/")];
    world.reconciler.reload(policy.clone(), rules.clone());
    rules.sources[0].tenants.clear();
    let next = world.decide(&claims(&claimed)[0].job);
    assert_eq!(next.iter().filter(|it| matches!(it, Action::Claim { .. })).count(), 1);
    let accounts =
        world.reconciler.ledger.tenants.iter().map(|(_, it)| it.terms.max_tasks).collect::<Vec<_>>();
    assert_eq!(accounts, [1, usize::MAX]);
    world.reconciler.reload(Policy { look_ahead: None, ..policy }, rules);
    world.turn([]);
    assert_eq!(world.reconciler.ledger.tenants.iter().count(), 0, "nobody is a tenant any more");
}

#[test]
fn after_a_restart_a_running_task_counts_for_the_tenant_that_its_specification_names() {
    let mut world = Bench::with_tenants(vec![TenantSettings { max_tasks: 1, ..rule("a/") }], 5, 100);
    let claimed = world.uploads(keys("a", 1));
    let Some(Action::Claim { spec, .. }) = claimed.iter().find(|it| matches!(it, Action::Claim { .. }))
    else {
        panic!("{claimed:?}")
    };
    let (job, rules) = (spec.job.clone(), world.reconciler.ledger.rules.clone());
    let policy = world.reconciler.policy().clone();
    world.reconciler = Reconciler::new("another", policy, rules);
    let running = view("task/1", &job, 1, TaskStatus::Running);
    let asked =
        world.turn([Fact::TaskListed(Box::new(running)), Fact::Resynced { complete: true }, pinned()]);
    assert!(asked.contains(&Action::ReadSpec { job: job.clone() }), "{asked:?}");
    let there = Some(Box::new((**spec).clone()));
    let planned = world.turn([Fact::SpecRead { job: job.clone(), spec: there }]);
    assert_ne!(planned, asked, "it is asked for once");
    let known = world.reconciler.ledger.jobs.get(&job).and_then(|job| job.accepted.as_ref());
    assert_eq!(known.map(|spec| spec.source.key.as_str()), Some("a/0.mp4"), "people see of what it is made");
    let more = world.uploads((1..3).map(|number| format!("a/{number}.mp4")));
    assert_eq!(whose(&more), [], "it has the one task that it may");
}
