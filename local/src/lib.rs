//! Local Fargate: an ECS endpoint on loopback that runs tasks as processes.
//!
//! The production controller talks to it through the ordinary SDK: set `AWS_ENDPOINT_URL_ECS` to the endpoint. A task's
//! image is not pulled; a [`Program`] says which executable plays it. Everything else follows ECS: client tokens,
//! eventual states, stop codes, memory limits, tags, the metadata endpoint, state-change events.
//!
//! ```no_run
//! # async fn example() -> Result<(), transcode_local::ServeError> {
//! let mut config = transcode_local::Config::new("/tmp/tasks");
//! config.programs.push(transcode_local::Program { image_part: "transcode-task".into(), path: "/bin/true".into() });
//! let server = transcode_local::serve(config).await?;
//! // … point the SDK at server.endpoint() …
//! server.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # A task's life
//!
//! PROVISIONING → PENDING → RUNNING → DEPROVISIONING → STOPPED. The first two and the fourth last as long as
//! [`Delays`] says. Each container is a process in a session of its own, with a cleared environment (`PATH`, `HOME`
//! and `TMPDIR` in the task's folder, `AWS_REGION`, `ECS_CONTAINER_METADATA_URI_V4`, the configured variables, the
//! container's own). Its arguments are the definition's entry point without its first word, which the program stands
//! for, and the command. SIGTERM goes to the first process alone, SIGKILL to every process of the container. When the
//! first process ends, the others are killed. When this program is killed, even by SIGKILL, the kernel kills the first
//! process of each container, and a guard (a small shell that waits for that) the rest of its session; on an ordered
//! end nothing is left. Only a process that left its session **and** lost its parent escapes.
//!
//! The memory limit is watched from outside: resident memory of all processes of a container, measured several times a
//! second. `dependsOn`, secrets, volumes, health checks, users and CPU shares have no effect.
//!
//! # What differs from ECS
//!
//! Answers are consistent at once unless a fault says otherwise; there are no API rate limits and no vCPU quota unless
//! a fault says so; a capacity provider strategy gives every task beyond the bases to the heaviest provider; there are
//! no instances, services or daemons.
//!
//! # The control endpoint
//!
//! JSON under `/_control` on the same port. [`ControlClient`] calls it.
//!
//! | route | does |
//! |---|---|
//! | `GET health` | `{"status":"ok"}` |
//! | `GET tasks` | every task with process ids, process state, memory, folder and log file |
//! | `POST tasks/ID/interrupt` | Spot interruption: SIGTERM now, SIGKILL after `warningMilliseconds` (0: at once; absent: the container's `stopTimeout`). `stopCode` and `reason` make it another platform event |
//! | `POST tasks/ID/fail-start` | a task in PROVISIONING or PENDING never starts; `reason` |
//! | `POST tasks/ID/signal` | sends `signal` (a number) to the first process of each container, with `all` to every process |
//! | `GET counters` | calls, errors, fault hits, replays, events, tasks launched, started, running, most running at once; the last four for each job too |
//! | `DELETE counters` | back to zero, except for running tasks |
//! | `GET faults`, `DELETE faults`, `DELETE faults/N` | the active faults, with hits; clears all or one |
//! | `POST faults` | sets a [`Fault`]; answers its `id` |
//! | `GET delays`, `POST delays` | `provisioningMs`, `pendingMs`, `deprovisioningMs`, `stopTimeoutCapMs`; `speed` divides the first three |
//! | `POST advance` | tokens and STOPPED records age by `seconds` |
//! | `POST images` | sets the `digest` that the registry gives for `image`; tasks report it as `imageDigest` |
//! | `GET leftovers` | folders in which tasks left files |
//! | `DELETE leftovers` | deletes those folders |
//!
//! A fault is `{"kind": …}` with the fields of its [`FaultKind`] and optionally `operation`, `job`, `count` (how often)
//! and `oneIn` (every n-th matching call, starting with the first). `job` is the value of `TRANSCODE_JOB` in the override environment; it narrows
//! faults of `RunTask`, `StopTask`, launched tasks and events, and calls of other operations have none.
//!
//! | kind | fields | hits |
//! |---|---|---|
//! | `throttle`, `throttle_wrapped` | | any operation |
//! | `error` | `code`, `message`, `status` | any operation |
//! | `delay` | `milliseconds` | any operation |
//! | `lost_request`, `lost_answer` | `how`: `close`, `hang`, `internal_error` | any operation |
//! | `failures` | `reason`, `detail` | `RunTask` |
//! | `start_failure` | `reason` | the task launched |
//! | `spot_interruption` | `afterMilliseconds`, `warningMilliseconds` | the task launched, on Spot |
//! | `stuck` | `phase` | the task launched |
//! | `never_stopped` | | the task launched |
//! | `missing` | `milliseconds` | `DescribeTasks`: tasks younger than that |
//! | `stale_list` | `milliseconds` | `ListTasks` answers with the state of that long ago |
//! | `repeated_list`, `gapped_list` | | `ListTasks` |
//! | `event_lost`, `event_duplicated`, `event_held` | | events; the operation's name is `Event` |
//!
//! # Tests
//!
//! Unit tests stand beside the code. `tests/endpoint/` calls every operation through the SDK, a file for each subject,
//! and `tests/tests/conformance/` compares the answers with those of ECS.
//!
//! # Bounds
//!
//! Connections, request bodies, reading times, tasks, STOPPED records, tokens, definitions, clusters, faults, waiting
//! events, log files and leftover reports are bounded; the constants say by how much.

mod client;
mod config;
mod endpoint;
mod host;
mod http;
mod model;
mod upstream;

pub use client::{ClientError, ControlClient};
pub use config::{Config, Delays, EventsTarget, Program};
pub use endpoint::{ServeError, Server, serve};
pub use model::fault::{Fault, FaultKind, Loss};
