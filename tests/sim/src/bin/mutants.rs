//! `make mutants`: runs each deliberate weakness until a check fails.
//!
//! A weakness is switched on for a whole process, so each runs in a process of its own, one per processor at a time.

use std::{
    process::{Command, ExitCode},
    sync::atomic::{AtomicUsize, Ordering},
};

use transcode_core::weakness::{Weakness, switch_on};
use transcode_sim::{
    checking::anything_breaks,
    invariants::Violation,
    run::{run, run_compared, run_named},
    setup::worlds::named,
};

/// Most seeds that run for a weakness, without those that have 5,000 tasks.
const SEEDS: u64 = 990;

/// Seeds in which each turn is compared with one that visits every row.
const COMPARED: u64 = 20;

/// Most characters that are printed of a broken promise.
const WORDS: usize = 160;

/// The argument with which the program starts itself for one weakness.
const ONE: &str = "--one";

/// The argument that leaves only the small worlds to notice the weaknesses.
const MODEL: &str = "--model";

/// The broken promise in a few words, to judge whether it fits the weakness.
fn brief(violation: &Violation) -> String {
    let text = violation.to_string();
    let short: String = text.chars().take(WORDS).collect();
    if short.len() < text.len() { short + "…" } else { short }
}

fn named_worlds() -> Option<String> {
    named().into_iter().find_map(|world| {
        let name = world.name;
        let (_, violation) = run_named(world, false).violation?;
        Some(format!("{} ({name})", brief(&violation)))
    })
}

fn simulated() -> Option<String> {
    (0..SEEDS).find_map(|seed| {
        let (_, violation) = run(seed, &[], false).violation?;
        Some(format!("{} (seed {seed})", brief(&violation)))
    })
}

fn compared() -> Option<String> {
    (0..COMPARED).find_map(|seed| {
        let (_, violation) = run_compared(seed).violation?;
        Some(format!("{} (seed {seed}, each turn compared)", brief(&violation)))
    })
}

fn model_checked() -> Option<String> {
    Some(format!("{} (model checking)", anything_breaks()?))
}

/// The check that fails, on one line; `None` if none does. The slowest checks come last.
fn killer(weakness: Option<Weakness>, model: bool) -> Option<String> {
    weakness.into_iter().for_each(switch_on);
    if model {
        return model_checked();
    }
    named_worlds().or_else(compared).or_else(simulated).or_else(model_checked)
}

/// The weakness with this name of the enum.
fn by_name(name: &str) -> Option<Weakness> {
    Weakness::ALL.iter().copied().find(|weakness| format!("{weakness:?}") == name)
}

/// The same, in another process.
fn killer_elsewhere(name: &str, model: bool) -> Result<Option<String>, std::io::Error> {
    let output = Command::new(std::env::current_exe()?)
        .args([ONE, name])
        .args(model.then_some(MODEL))
        .stderr(std::process::Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(std::io::Error::other(format!("it ended with {}", output.status)));
    }
    let line = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok((!line.is_empty()).then_some(line))
}

/// Tries one weakness and prints the result. Returns whether a check failed.
#[allow(clippy::print_stdout, reason = "its output is what it is for")]
fn tried(weakness: Weakness, model: bool) -> bool {
    let name = format!("{weakness:?}");
    let found = killer_elsewhere(&name, model);
    let (said, noticed) = match found {
        Ok(Some(killer)) => (format!("killed by {killer}"), true),
        Ok(None) if model => ("SURVIVED the small worlds".to_owned(), false),
        Ok(None) => (format!("SURVIVED {SEEDS} seeds and the small worlds"), false),
        Err(error) => (format!("not tried: {error}"), false),
    };
    println!("mutant {name} ({}): {said}", weakness.what());
    noticed
}

#[allow(clippy::print_stdout, reason = "its output is what it is for")]
fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let all = args.len();
    args.retain(|arg| arg != MODEL);
    let model = args.len() < all;
    if let [first, name] = args.as_slice()
        && first == ONE
    {
        print!("{}", killer(by_name(name), model).unwrap_or_default());
        return ExitCode::SUCCESS;
    }
    if let Some(strange) = args.iter().find(|name| by_name(name).is_none()) {
        println!("{strange} is no weakness; they are listed in controller/core/src/weakness.rs");
        return ExitCode::FAILURE;
    }
    let only: Vec<_> = args.iter().filter_map(|name| by_name(name)).collect();
    let mutants = if only.is_empty() { Weakness::ALL } else { &only };
    let (next, killed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(weakness) = mutants.get(next.fetch_add(1, Ordering::Relaxed)) {
                    killed.fetch_add(usize::from(tried(*weakness, model)), Ordering::Relaxed);
                }
            });
        }
    });
    let killed = killed.into_inner();
    println!("mutants: killed={killed}/{}", mutants.len());
    if killed == mutants.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
