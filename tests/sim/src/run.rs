//! One seed: first faults, with all checks of safety; then faults stop, and everything must come to rest and stay
//! there.

use transcode_config::contract::Outcome;
use transcode_core::{message::Request, protocol::clock::Ms};

use crate::{
    fault::{Fault, Faults},
    invariants::Violation,
    rows::Reached,
    setup::{HOUR, MINUTE, SECOND, Setup, Sort, worlds::Named},
    truth::{Proc, Task},
    world::{Kill, World},
};

/// More events than any run needs, so the run is in an endless loop. Storms of turns and calls are detected much sooner
/// (L6).
const MOST_STEPS: u64 = 1_500_000;

/// The result of a seed.
#[derive(Debug, Clone)]
pub struct RunReport {
    /// The seed.
    pub seed: u64,
    /// The first broken promise, with the number of the event at which it broke.
    pub violation: Option<(u64, Violation)>,
    /// Number of jobs.
    pub jobs: u64,
    /// Milliseconds that tasks worked.
    pub worked: Ms,
    /// Of those, the milliseconds of tasks that did not win.
    pub wasted: Ms,
    /// Rows of the fault catalogue that were reached.
    pub reached: Reached,
    /// A hash of all events; the same in each run of the seed.
    pub hash: u64,
    /// Number of events.
    pub steps: u64,
    /// Time from the end of faults to rest.
    pub settled_in: Ms,
    /// Number of superseded jobs.
    pub superseded: u64,
    /// Number of tasks that were stopped because a newer job was live.
    pub stopped_early: u64,
    /// Faults that happened.
    pub struck: Vec<Fault>,
    /// The trace as text, if it was asked for.
    pub trace: Vec<String>,
}

/// Runs a seed without some of its faults.
pub fn run(seed: u64, without: &[Fault], keep_text: bool) -> RunReport {
    let setup = Setup::draw(seed, Sort::of(seed));
    run_world(World::new(setup, without, keep_text)).0
}

/// Runs a named world.
pub fn run_named(named: Named, keep_text: bool) -> RunReport {
    let mut world = World::new(named.setup, &[], keep_text);
    world.faults = Faults::only(world.setup.seed, named.faults);
    run_world(world).0
}

/// Runs the plain scenario with a bus, without faults but for one kill; also returns the number of effects.
pub fn run_plain(kill: Option<Kill>) -> (RunReport, u64) {
    let mut world = World::new(Setup::plain_with_bus(), Fault::ALL, kill.is_some());
    world.kill_at = kill;
    run_world(world)
}

/// Runs the plain scenario while people pause it, cancel some of its jobs and let it go on, without faults but for one
/// kill; also returns the number of effects and of cancelled jobs.
pub fn run_steered(kill: Option<Kill>) -> (RunReport, u64, usize) {
    let mut world = World::new(Setup::plain_steered(), Fault::ALL, kill.is_some());
    world.kill_at = kill;
    let (report, world) = run_to_rest(world);
    let ends = world.jobs.iter().filter_map(|job| job.terminal.as_ref());
    let cancelled = ends.filter(|terminal| matches!(terminal.outcome, Outcome::Cancelled(_))).count();
    (report, world.effects, cancelled)
}

/// Runs a seed in which each turn is compared with one that visits every row. Clocks do not jump: a wall clock that
/// goes back changes rows that are not due.
pub fn run_compared(seed: u64) -> RunReport {
    let mut world = World::new(Setup { jumps: false, ..Setup::draw(seed, Sort::of(seed)) }, &[], false);
    world.compared = true;
    run_world(world).0
}

fn run_world(world: World) -> (RunReport, u64) {
    let (report, world) = run_to_rest(world);
    (report, world.effects)
}

fn run_to_rest(mut world: World) -> (RunReport, World) {
    let (seed, heal_at) = (world.setup.seed, world.setup.heal_at);
    advance(&mut world, heal_at);
    let mut settled_in = 0;
    if world.violation.is_none() {
        world.now = heal_at;
        world.heal();
        settled_in = come_to_rest(&mut world);
    }
    let struck = world.faults.struck().map(|(fault, _)| fault).collect();
    world.trace.number(world.worked);
    world.trace.number(world.began);
    let report = RunReport {
        seed,
        violation: world.violation.clone().map(|violation| (world.steps, violation)),
        jobs: world.jobs.len() as u64,
        worked: world.worked,
        wasted: world.wasted,
        reached: world.reached.clone(),
        hash: world.trace.hash(),
        steps: world.steps,
        settled_in,
        superseded: world.reached_superseded,
        stopped_early: world.reached_stopped_early,
        struck,
        trace: world.trace.lines().to_vec(),
    };
    (report, world)
}

fn advance(world: &mut World, until: Ms) {
    while world.violation.is_none() && world.step(until) {
        if world.steps > MOST_STEPS {
            let open = unrest(world, Task::alive).unwrap_or_default();
            let what = format!("{MOST_STEPS} events, and at {} ms no end is in sight: {open}", world.now);
            world.violation = Some(Violation { id: "livelock", what });
        }
    }
}

/// L2: everything comes to rest within its bound, and stays at rest.
fn come_to_rest(world: &mut World) -> Ms {
    let from = world.now;
    let until = from + bound(world);
    while world.violation.is_none() {
        let open = unrest(world, Task::alive);
        if open.is_none() {
            break;
        }
        if world.now > until {
            world.violation = open.map(|what| Violation {
                id: "L2",
                what: format!("{} ms after faults stopped: {what}", until - from),
            });
            return 0;
        }
        // Not every minute of a month: the check takes longer than the events of most minutes.
        let next = world.now + (world.now - from).div_ceil(64).max(MINUTE);
        advance(world, next);
        world.now = world.now.max(next);
    }
    let settled_in = world.now - from;
    world.check_leftovers();
    let began = world.began;
    let stay = world.now + world.setup.policy.orphan_grace.min(HOUR) + HOUR;
    advance(world, stay);
    if world.violation.is_none() {
        // A request that was under way for a day may still start a task, which makes its start checks and ends.
        let again = unrest(world, |task| matches!(task.proc, Proc::Working(_)));
        let what = if world.began == began { again } else { Some("a task began to work".into()) };
        world.violation =
            what.map(|what| Violation { id: "L2", what: format!("it did not stay at rest: {what}") });
    }
    settled_in
}

/// Why the world is not at rest; `None` if it is.
fn unrest(world: &World, busy: impl Fn(&Task) -> bool) -> Option<String> {
    let newer = |job: usize| world.jobs.get(job).is_some_and(|job| job.newer);
    let ours = |task: &&Task| task.job.is_some_and(|job| !newer(job) && !world.given_up(job));
    if let Some(task) = world.tasks.iter().filter(ours).find(|task| busy(task)) {
        return Some(format!("{} runs", task.view.arn));
    }
    if world.returning > 0 {
        return Some("a deleted message is about to come back".into());
    }
    if let Some(message) = world.open_messages().next() {
        return Some(format!("message {message} is still there"));
    }
    if let Some(event) = world.outbox_holds() {
        return Some(format!("the event of {event} is still in the outbox"));
    }
    let wanted = world.wanted_jobs();
    for (job, _) in world.jobs.iter().zip(wanted).filter(|(job, wanted)| *wanted && !job.newer) {
        let settled = match job.terminal.as_ref().map(|terminal| &terminal.outcome) {
            None => false,
            Some(Outcome::Dead(_)) => job.letters > 0,
            Some(Outcome::Superseded(_) | Outcome::Cancelled(_)) => true,
            Some(Outcome::Succeeded(winner)) => job.published == Some(winner.attempt),
        };
        if !settled {
            let kind = if matches!(job.request, Request::Run(_)) { "job" } else { "refused job" };
            return Some(format!("{kind} {} is not settled", job.key()));
        }
    }
    None
}

/// The bound from the end of faults to rest: the longest time for which a message is put aside, and for each group of
/// jobs that fits the limit at the same time all attempts that they may need, each at its longest.
fn bound(world: &World) -> Ms {
    let policy = &world.setup.policy;
    let attempt = policy.launch_deadline
        + policy.clock_skew
        + 3 * policy.heartbeat_stale
        + policy.provisioning_timeout
        + policy.pull_timeout
        + policy.start_timeout
        + 3 * policy.max_run
        + policy.stop_timeout
        + policy.retry_cap
        + policy.orphan_grace
        + 4 * policy.describe_every
        + 8 * world.setup.slack
        + 15 * MINUTE;
    let open = world.jobs.iter().filter(|job| job.terminal.is_none()).count();
    let largest = u64::from(policy.oom_sizes.iter().map(|(cpu, _)| *cpu).max().unwrap_or(policy.variant.cpu));
    let at_once = policy.max_tasks.min(usize::try_from(policy.max_cpu / largest).unwrap_or(usize::MAX));
    let rules = world.setup.rules.sources.iter().flat_map(|source| &source.tenants);
    let of_one = rules.map(|rule| rule.max_tasks as usize).filter(|tasks| *tasks > 0).min();
    let at_once = of_one.map_or(at_once, |tasks| at_once.min(tasks));
    let waves = (open / at_once.max(1) + 2) as u64;
    let attempts = (policy.max_attempts + 2) as u64;
    // With an open breaker each launch waits for its probe.
    let interval = if policy.breaker_jobs > 0 { policy.breaker_probe } else { policy.launch_interval };
    let launches = open as u64 * attempts * interval.max(policy.launch_interval);
    // Messages that were put back return later each time.
    let away = if policy.look_ahead.is_some() { policy.put_back * (world.most_receives() + 60) } else { 0 };
    away + 2 * policy.visibility.max(policy.park)
        + waves * attempts * attempt
        + launches
        + 10 * MINUTE
        + SECOND
}
