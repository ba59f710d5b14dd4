//! `make mutants`: each deliberate weakness in turn, until something notices it.

use std::process::ExitCode;

use transcode_controller::mutant::switch_on;
use transcode_sim::{checking::anything_breaks, mutants::MUTANTS, run::run};

/// Seeds that are tried before the small worlds are searched, and those that a weakness may survive in all.
const FIRST: u64 = 40;
const SEEDS: u64 = 1000;

fn simulated(seeds: std::ops::Range<u64>) -> Option<String> {
    seeds.into_iter().find_map(|seed| {
        let (_, violation) = run(seed, &[], false).violation?;
        Some(format!("{} (seed {seed})", violation.id))
    })
}

fn model_checked() -> Option<String> {
    let what = anything_breaks()?;
    Some(format!("{} (model checking)", what.split(':').next().unwrap_or(what)))
}

#[allow(clippy::print_stdout, reason = "its output is what it is for")]
fn main() -> ExitCode {
    let only: Vec<u8> = std::env::args().skip(1).filter_map(|number| number.parse().ok()).collect();
    let mut killed = 0;
    let mutants: Vec<_> =
        MUTANTS.iter().filter(|(number, _)| only.is_empty() || only.contains(number)).collect();
    for (number, what) in &mutants {
        switch_on(*number);
        let killer = simulated(0..FIRST).or_else(model_checked).or_else(|| simulated(FIRST..SEEDS));
        switch_on(0);
        match killer {
            Some(killer) => {
                killed += 1;
                println!("mutant {number:>2} ({what}): killed by {killer}");
            }
            None => println!("mutant {number:>2} ({what}): SURVIVED {SEEDS} seeds and the small worlds"),
        }
    }
    println!("mutants: killed={killed}/{}", mutants.len());
    if killed == mutants.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
