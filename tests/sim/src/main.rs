//! `transcode-sim`: many seeds, or one.

use std::process::ExitCode;

use clap::Parser;
use transcode_sim::{
    report::{Totals, failure_text},
    run::{run, run_named},
    setup::worlds::named,
};

/// Runs the production core in a simulated world.
#[derive(Debug, Parser)]
#[allow(clippy::struct_excessive_bools, reason = "one for each flag")]
struct Arguments {
    /// Number of seeds.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// First seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Run this seed alone.
    #[arg(long)]
    seed: Option<u64>,
    /// Run this named world alone; a part of its name is enough.
    #[arg(long, conflicts_with_all = ["seed", "seeds"])]
    world: Option<String>,
    /// Print every event of that seed or world.
    #[arg(long)]
    trace: bool,
    /// Stop after this many seconds, however many seeds are left.
    #[arg(long)]
    seconds: Option<u64>,
    /// Print how often each row of the fault catalogue was reached.
    #[arg(long)]
    rows: bool,
    /// Print the hash of each seed's run: equal hashes before and after a change show that no run changed.
    #[arg(long)]
    hashes: bool,
    /// Print how much was simulated in how many CPU-seconds.
    #[arg(long)]
    stats: bool,
}

/// CPU time of this process in seconds; 0 if the system does not provide it.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Fields 14 and 15 in hundredths of a second, counted after the command's name.
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace()).into_iter().flatten();
    let ticks: u32 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u32>().ok()).sum();
    f64::from(ticks) / 100.0
}

/// Runs one named world and prints the result.
#[allow(clippy::print_stdout, reason = "its output is what it is for")]
fn run_world(part: &str, trace: bool) -> ExitCode {
    let Some(world) = named().into_iter().find(|world| world.name.contains(part)) else {
        let names: Vec<_> = named().into_iter().map(|world| world.name).collect();
        println!("no such world; there are: {}", names.join("; "));
        return ExitCode::FAILURE;
    };
    let name = world.name;
    let report = run_named(world, trace);
    report.trace.iter().for_each(|line| println!("{line}"));
    let broken =
        report.violation.map(|(step, violation)| format!("broke a promise at step {step}: {violation}"));
    println!("{name}: {}", broken.as_deref().unwrap_or("every promise was kept"));
    if broken.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[allow(clippy::print_stdout, reason = "its output is what it is for")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(part) = &arguments.world {
        return run_world(part, arguments.trace);
    }
    #[allow(clippy::disallowed_methods, reason = "only for the budget; no run sees it")]
    let began = std::time::Instant::now();
    let (from, seeds) = arguments.seed.map_or((arguments.from, arguments.seeds), |seed| (seed, 1));
    let mut totals = Totals::default();
    for seed in from..from.saturating_add(seeds) {
        if arguments.seconds.is_some_and(|budget| began.elapsed().as_secs() >= budget) {
            break;
        }
        let report = run(seed, &[], arguments.trace && arguments.seed.is_some());
        for line in &report.trace {
            println!("{line}");
        }
        if arguments.hashes {
            println!("seed {seed}: {:016x}", report.hash);
        }
        totals.add(&report);
        if report.violation.is_some() {
            println!("{}", failure_text(&report));
            break;
        }
    }
    if arguments.rows {
        println!("{}", totals.rows_text());
    }
    if arguments.stats {
        println!("{}", totals.stats(cpu_seconds()));
    }
    let missing = totals.missing();
    if !missing.is_empty() {
        println!("rows that no seed reached: {missing:?}");
    }
    println!("{}", totals.line());
    if totals.violations == 0 && missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
