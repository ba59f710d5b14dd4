//! `make mutants`: each deliberate weakness in turn, until something notices it.

use std::process::ExitCode;

use transcode_controller::mutant::switch_on;
use transcode_sim::{mutants::MUTANTS, run::run};

/// Seeds that a weakness may survive.
const SEEDS: u64 = 4000;

#[allow(clippy::print_stdout, reason = "its output is what it is for")]
fn main() -> ExitCode {
    let only: Option<u8> = std::env::args().nth(1).and_then(|number| number.parse().ok());
    let mut killed = 0;
    let mutants: Vec<_> =
        MUTANTS.iter().filter(|(number, _)| only.is_none_or(|only| only == *number)).collect();
    for (number, what) in &mutants {
        switch_on(*number);
        let found =
            (0..SEEDS).find_map(|seed| run(seed, &[], false).violation.map(|violation| (seed, violation.1)));
        switch_on(0);
        match found {
            Some((seed, violation)) => {
                killed += 1;
                println!("mutant {number:>2} ({what}): killed by {} (seed {seed})", violation.id);
            }
            None => println!("mutant {number:>2} ({what}): SURVIVED {SEEDS} seeds"),
        }
    }
    println!("mutants: killed={killed}/{}", mutants.len());
    if killed == mutants.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
