//! `transcode-sim`: many seeds, or one.

use std::process::ExitCode;

use clap::Parser;
use transcode_sim::{
    report::{Totals, failure_text},
    run::run,
};

/// Runs the production core in a simulated world.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// First seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// One seed alone.
    #[arg(long)]
    seed: Option<u64>,
    /// Print everything that happens in that seed.
    #[arg(long)]
    trace: bool,
    /// Stop after so many seconds, however many seeds are left.
    #[arg(long)]
    seconds: Option<u64>,
    /// Say how often each row of the fault catalogue was reached.
    #[arg(long)]
    rows: bool,
}

#[allow(clippy::print_stdout, reason = "its output is what it is for")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
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
        totals.add(&report);
        if report.violation.is_some() {
            println!("{}", failure_text(&report));
            break;
        }
    }
    if arguments.rows {
        println!("{}", totals.rows_text());
    }
    println!("{}", totals.line());
    if totals.violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
