//! The printed results.

use crate::{
    rows::{ELSEWHERE, ROWS, Reached},
    run::RunReport,
    setup::HOUR,
    shrink::shrink,
};

/// From this many seeds on, every row must have been reached.
const ENOUGH: u64 = 1000;

/// Sums over many seeds.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// Seeds.
    pub seeds: u64,
    /// Seeds that broke a promise.
    pub violations: u64,
    jobs: u64,
    worked: u64,
    wasted: u64,
    slowest: u64,
    most_steps: u64,
    steps: u64,
    reached: Reached,
}

impl Totals {
    /// Adds a seed.
    pub fn add(&mut self, report: &RunReport) {
        self.seeds += 1;
        self.violations += u64::from(report.violation.is_some());
        self.jobs += report.jobs;
        self.worked += report.worked;
        self.wasted += report.wasted;
        self.steps += report.steps;
        self.most_steps = self.most_steps.max(report.steps);
        self.slowest = self.slowest.max(report.settled_in);
        self.reached.merge(&report.reached);
    }

    /// Rows that a run of this many seeds must have reached and has not.
    pub fn missing(&self) -> Vec<u8> {
        if self.seeds < ENOUGH { Vec::new() } else { self.reached.missing() }
    }

    /// How much was simulated.
    #[allow(clippy::cast_precision_loss, reason = "for show")]
    pub fn stats(&self, cpu_seconds: f64) -> String {
        format!(
            "stats: {} events, {} at most in a seed, {cpu_seconds:.1} CPU-seconds, {:.0} run-hours per CPU-second, at \
             rest within {:.1} h",
            self.steps,
            self.most_steps,
            self.worked as f64 / HOUR as f64 / cpu_seconds.max(0.001),
            self.slowest as f64 / HOUR as f64,
        )
    }

    /// The closing line. Rows that other tests check count as reached: [`Totals::rows_text`] names these tests.
    #[allow(clippy::cast_precision_loss, reason = "for show")]
    pub fn line(&self) -> String {
        format!(
            "simulation: seeds={} jobs={} run_hours={} violations={} rows_reached={}/{ROWS} duplicate_run_hours={:.2}%",
            self.seeds,
            self.jobs,
            self.worked / HOUR,
            self.violations,
            usize::from(ROWS) - self.reached.missing().len(),
            100.0 * self.wasted as f64 / self.worked.max(1) as f64,
        )
    }

    /// One line for each row of the fault catalogue.
    pub fn rows_text(&self) -> String {
        let reached = Reached::reachable().map(|row| format!("row {row:>2}: {}", self.reached.count(row)));
        let elsewhere = ELSEWHERE.iter().map(|(row, why)| format!("row {row:>2}: elsewhere ({why})"));
        reached.chain(elsewhere).collect::<Vec<_>>().join("\n")
    }
}

/// The text for a seed that broke a promise.
pub fn failure_text(report: &RunReport) -> String {
    let Some((step, violation)) = &report.violation else { return String::new() };
    let (left, last) = shrink(report);
    let shrunk =
        last.violation.map(|(step, violation)| format!("{violation} (step {step})")).unwrap_or_default();
    format!(
        "seed {} broke a promise at step {step}: {violation}\n\
         faults that are needed for it: {left:?}\n\
         with these alone: {shrunk}\n\
         replay: make sim SEED={}",
        report.seed, report.seed
    )
}
