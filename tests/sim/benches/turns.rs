//! `make bench`: growth of the controller's turn with the number of tasks in flight.
include!("../../benches/shared/ratio.rs");

use std::{collections::BTreeMap, sync::Arc};

use transcode_config::contract::{Beacon, Claim, Heartbeat, JobKey, SCHEMA, Stage, TaskState, UserMetadata};
use transcode_core::{
    policy::Policy,
    protocol::{
        action::Action,
        clock::{Ms, Now},
        fact::{Fact, Incoming, MessageId, Pinned, Sighting, Snapshot},
        task_view::{Billed, Identity, TaskArn, TaskStatus, TaskView},
    },
    reconciler::Reconciler,
};
use transcode_sim::setup::Setup;

/// A minute without news, with 5,000 tasks in flight and with 500; a ratio of 10 is linear growth. Due rows come in
/// bursts: of single seconds, the median one would be idle.
fn main() {
    let (mut many, mut few) = (Fleet::running(5000), Fleet::running(500));
    let times = in_turns(21, on_processor, || many.minute(), || few.minute());
    report("a minute of the loop with 5,000 tasks in flight / with 500", times);
}

/// Processor time of this thread: excludes other work of the machine.
fn on_processor() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// A controller whose every call succeeds at once, and whose tasks run for ever. (The simulator's services would be
/// part of the measurement.)
struct Fleet {
    reconciler: Reconciler,
    mono: Ms,
    claims: BTreeMap<JobKey, Arc<Claim>>,
}

impl Fleet {
    fn running(tasks: usize) -> Self {
        let Setup { policy, rules, .. } = Setup::plain();
        let policy = Policy {
            max_tasks: tasks,
            max_leases: tasks * 2,
            launch_burst: 5000,
            launch_interval: 50,
            read_interval: 50,
            ..policy
        };
        let mut fleet = Self {
            reconciler: Reconciler::new("bench", policy, rules),
            mono: 3_600_000,
            claims: BTreeMap::new(),
        };
        let messages = (0..tasks).map(message).collect();
        fleet.settle(vec![Fact::Received { queue: "jobs".into(), messages }]);
        while fleet.reconciler.ledger.tasks.len() < tasks {
            fleet.second();
        }
        fleet
    }

    fn minute(&mut self) {
        (0..60).for_each(|_| self.second());
    }

    fn second(&mut self) {
        self.mono += 1000;
        self.settle(Vec::new());
    }

    /// Takes turns until the answers cause no more actions.
    fn settle(&mut self, mut facts: Vec<Fact>) {
        loop {
            let now = Now { mono: self.mono, wall: 1_700_000_000_000 + self.mono };
            let (plan, _) = self.reconciler.turn(facts, now);
            facts = plan.actions.into_iter().flat_map(|action| self.answer(action)).collect();
            if facts.is_empty() {
                return;
            }
        }
    }

    fn answer(&mut self, action: Action) -> Vec<Fact> {
        match action {
            Action::Inspect { job, .. } => {
                let claim = self.claims.get(&job).cloned();
                let heartbeat = claim.as_ref().map(|claim| self.heartbeat(claim));
                let snapshot = Snapshot { claim, heartbeat, ..Snapshot::default() };
                vec![Fact::Inspected { job, snapshot: Box::new(snapshot) }]
            }
            Action::Survey => {
                let of = |claim: &Arc<Claim>| Sighting {
                    job: claim.job.clone(),
                    attempt: claim.attempt,
                    mark: self.mono,
                    beacon: Beacon::of(&self.heartbeat(claim)),
                };
                vec![Fact::Surveyed { sightings: self.claims.values().map(of).collect() }]
            }
            Action::Claim { spec, claim } => {
                self.claims.insert(spec.job.clone(), Arc::clone(&claim));
                vec![Fact::Claimed { job: spec.job.clone(), claim: Box::new((*claim).clone()), spec: None }]
            }
            Action::Launch { claim } => {
                let task = TaskArn(format!("{}/{}", claim.job, claim.attempt).into());
                let identity = Some(Identity { job: claim.job.clone(), attempt: claim.attempt });
                let view = view(task.clone(), identity);
                let launched = Fact::Launched { job: claim.job.clone(), attempt: claim.attempt, task };
                vec![launched, Fact::TaskSeen(Box::new(view))]
            }
            Action::Describe { tasks } => {
                tasks.into_iter().map(|task| Fact::TaskSeen(Box::new(view(task, None)))).collect()
            }
            Action::Extend { lease, for_ms } => vec![Fact::Extended { message: lease.message, for_ms }],
            Action::Resync => vec![Fact::Resynced { complete: true }],
            Action::Resolve => {
                vec![Fact::Resolved(Pinned { task_definition: "t:1".into(), image_digest: None })]
            }
            // An idle queue: the poll is under way.
            _ => Vec::new(),
        }
    }

    /// What a task writes that works for days.
    fn heartbeat(&self, claim: &Claim) -> Heartbeat {
        Heartbeat {
            schema: SCHEMA,
            job: claim.job.clone(),
            attempt: claim.attempt,
            task_arn: Some(format!("{}/{}", claim.job, claim.attempt)),
            seq: self.mono / 15_000,
            written_at_ms: self.mono,
            stage: Stage::Transcoding,
            percent: u16::try_from(self.mono / 60_000 % 100).map_or(0.0, f32::from),
            speed: None,
            playable: None,
            user_metadata: UserMetadata::default(),
            state: TaskState::Working,
        }
    }
}

fn message(number: usize) -> Incoming {
    let object =
        serde_json::json!({"key": format!("{number}.mp4"), "size": 1000, "eTag": "e", "sequencer": "01"});
    let record = serde_json::json!({"eventVersion": "2.1", "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "uploads"}, "object": object}});
    Incoming {
        id: MessageId(number.to_string().into()),
        receipt: "r".into(),
        body: serde_json::json!({"Records": [record]}).to_string(),
        sent_at_ms: None,
        receives: 1,
    }
}

fn view(arn: TaskArn, identity: Option<Identity>) -> TaskView {
    TaskView {
        arn,
        version: 1,
        identity,
        status: TaskStatus::Running,
        stopping: false,
        stop_code: None,
        stopped_reason: None,
        exit_code: None,
        container_reason: None,
        started: true,
        billed: Billed::default(),
    }
}
