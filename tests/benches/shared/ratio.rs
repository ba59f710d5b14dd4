// Part of each of the benches of `make bench`: two things measured in turns in one run on one machine. A ratio says the
// same on a slow machine and on a fast one. Nothing here fails for being slow; a person reads it.

use std::time::Duration;

/// Measures `first` and `second` alternately by `clock` and returns the median of each.
fn in_turns(
    rounds: usize,
    clock: impl Fn() -> Duration,
    mut first: impl FnMut(),
    mut second: impl FnMut(),
) -> (Duration, Duration) {
    let mut times = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        times.0.push(time(&clock, &mut first));
        times.1.push(time(&clock, &mut second));
    }
    (middle(times.0), middle(times.1))
}

fn time(clock: &impl Fn() -> Duration, what: &mut impl FnMut()) -> Duration {
    let began = clock();
    what();
    clock().saturating_sub(began)
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// One line: the subject, both times, and their ratio.
#[allow(clippy::print_stdout, reason = "its output is what it is for")]
fn report(what: &str, (first, second): (Duration, Duration)) {
    let ratio = first.as_secs_f64() / second.as_secs_f64().max(f64::EPSILON);
    println!("bench: {what}: {first:.2?} / {second:.2?} = {ratio:.2}");
}
