//! `make bench`: what the project claims about speed, as ratios of two things measured in one run on one machine.
//!
//! A ratio says the same on a slow machine and on a fast one. Each is the middle of several rounds, in which the two
//! things take turns. Nothing here fails for being slow; a person reads it.
#![allow(clippy::expect_used, reason = "what cannot be measured is not passed over")]

mod core;
mod media;

use std::time::{Duration, Instant};

/// Measures `first` and `second` in turns and gives the middle of each.
fn in_turns(rounds: usize, mut first: impl FnMut(), mut second: impl FnMut()) -> (Duration, Duration) {
    let mut times = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        times.0.push(time(&mut first));
        times.1.push(time(&mut second));
    }
    (middle(times.0), middle(times.1))
}

#[allow(clippy::disallowed_methods, reason = "a measurement")]
fn time(what: &mut impl FnMut()) -> Duration {
    let began = Instant::now();
    what();
    began.elapsed()
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// One line: what was compared, both times, and the first in units of the second.
#[allow(clippy::print_stdout, reason = "its output is what it is for")]
fn report(what: &str, (first, second): (Duration, Duration)) {
    let ratio = first.as_secs_f64() / second.as_secs_f64().max(f64::EPSILON);
    println!("bench: {what}: {first:.2?} / {second:.2?} = {ratio:.2}");
}

fn main() {
    core::turns();
    media::sandbox();
    media::one_decoder();
}
