//! `make mutants`: each deliberate weakness in turn, until something notices it.
//!
//! A weakness is on in a whole process, so each has one of its own, as many at a time as there are processors.

use std::{
    process::{Command, ExitCode},
    sync::atomic::{AtomicUsize, Ordering},
};

use transcode_controller::mutant::switch_on;
use transcode_sim::{checking::anything_breaks, mutants::MUTANTS, run::run};

/// Seeds that are tried before the small worlds are searched, which takes longer, and those that a weakness may survive
/// in all.
const FIRST: u64 = 600;
const SEEDS: u64 = 990;

/// The argument with which the program calls itself for one weakness.
const ONE: &str = "--one";

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

/// What notices a weakness, on one line; nothing if nothing does.
fn killer(number: u8) -> Option<String> {
    switch_on(number);
    simulated(0..FIRST).or_else(model_checked).or_else(|| simulated(FIRST..SEEDS))
}

/// The same, in a process of its own.
fn killer_elsewhere(number: u8) -> Result<Option<String>, std::io::Error> {
    let output = Command::new(std::env::current_exe()?)
        .args([ONE, &number.to_string()])
        .stderr(std::process::Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(std::io::Error::other(format!("it ended with {}", output.status)));
    }
    let line = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok((!line.is_empty()).then_some(line))
}

/// Tries one and says how it went. Gives whether it was noticed.
#[allow(clippy::print_stdout, reason = "its output is what it is for")]
fn tried(number: u8, what: &str) -> bool {
    let found = killer_elsewhere(number);
    let (said, noticed) = match found {
        Ok(Some(killer)) => (format!("killed by {killer}"), true),
        Ok(None) => (format!("SURVIVED {SEEDS} seeds and the small worlds"), false),
        Err(error) => (format!("not tried: {error}"), false),
    };
    println!("mutant {number:>2} ({what}): {said}");
    noticed
}

#[allow(clippy::print_stdout, reason = "its output is what it is for")]
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let only: Vec<u8> = args.iter().filter_map(|number| number.parse().ok()).collect();
    if let ([first, ..], [number]) = (args.as_slice(), only.as_slice())
        && first == ONE
    {
        print!("{}", killer(*number).unwrap_or_default());
        return ExitCode::SUCCESS;
    }
    let mutants: Vec<_> =
        MUTANTS.iter().filter(|(number, _)| only.is_empty() || only.contains(number)).collect();
    let (next, killed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((number, what)) = mutants.get(next.fetch_add(1, Ordering::Relaxed)) {
                    killed.fetch_add(usize::from(tried(*number, what)), Ordering::Relaxed);
                }
            });
        }
    });
    let killed = killed.into_inner();
    println!("mutants: killed={killed}/{}", mutants.len());
    if killed == mutants.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
