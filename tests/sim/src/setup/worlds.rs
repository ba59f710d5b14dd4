//! Named worlds: each is made for a promise that a drawn seed puts to the test only by chance.

use serde_json::json;
use transcode_controller::policy::Policy;

use super::{HOUR, Kind, MINUTE, SECOND, Setup, Upload, uploads::record};
use crate::fault::Fault;

/// A world with a name.
#[derive(Debug)]
pub struct Named {
    /// What it is about.
    pub name: &'static str,
    /// What there is.
    pub setup: Setup,
    /// What goes wrong, and how often.
    pub faults: &'static [(Fault, f64)],
}

/// So many uploads, one every `every` milliseconds.
fn uploads(count: u64, every: u64) -> Vec<Upload> {
    let body = |job| json!({ "Records": [record(job, 1000)] }).to_string();
    (0..count).map(|job| Upload { at: job * every, body: body(job), kind: Kind::Jobs }).collect()
}

/// Nothing but good jobs, and more of them than there is room for.
fn ordinary() -> Setup {
    let plain = Setup::plain();
    let policy = Policy { max_tasks: 3, max_attempts: 2, ..plain.policy };
    Setup { policy, uploads: uploads(30, 200), bad: 0, ordinary: true, ..plain }
}

/// All of them.
pub fn named() -> Vec<Named> {
    let (day, by_cpu, slow, rare) = (ordinary(), ordinary(), ordinary(), ordinary());
    let two = 2 * u64::from(by_cpu.policy.variant.cpu);
    vec![
        Named { name: "an ordinary day", setup: day, faults: &[] },
        Named {
            name: "little vCPU",
            setup: Setup { policy: Policy { max_tasks: 20, max_cpu: two, ..by_cpu.policy }, ..by_cpu },
            faults: &[],
        },
        Named {
            name: "answers that come late",
            setup: Setup {
                policy: Policy { max_tasks: 20, ..slow.policy },
                uploads: uploads(60, SECOND),
                work: (MINUTE, 6 * MINUTE),
                slow_answers: 1,
                ordinary: false,
                ..slow
            },
            faults: &[],
        },
        Named {
            name: "few calls, and tasks that hang",
            setup: Setup {
                policy: Policy {
                    max_tasks: 60,
                    max_run: 10 * HOUR,
                    no_progress: 10 * MINUTE,
                    read_interval: 20 * SECOND,
                    stop_interval: 20 * SECOND,
                    launch_interval: 50,
                    launch_burst: 1,
                    ..rare.policy
                },
                uploads: uploads(60, 50),
                heal_at: HOUR,
                work: (HOUR, 2 * HOUR),
                ordinary: false,
                ..rare
            },
            faults: &[(Fault::Hang, 0.9)],
        },
    ]
}
