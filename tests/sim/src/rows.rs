//! Counts the rows of the fault catalogue that were reached.

/// Number of rows in the catalogue.
pub const ROWS: u8 = 64;

/// Rows that the simulator cannot reach, with the test that checks each.
pub const ELSEWHERE: [(u8, &str); 2] = [
    (36, "an override that is too long: bytes of the adapter; controller/tests/aws/run_task.rs"),
    (62, "ffmpeg outlives its parent: process groups of the real task; task/tests/sandbox/misbehave.rs"),
];

/// One counter for each row.
#[derive(Debug, Clone)]
pub struct Reached([u64; ROWS as usize + 1]);

impl Default for Reached {
    fn default() -> Self {
        Self([0; ROWS as usize + 1])
    }
}

impl Reached {
    /// Counts a row once.
    pub fn reach(&mut self, row: u8) {
        self.add(row, 1);
    }

    /// Counts a row several times.
    pub fn add(&mut self, row: u8, times: u64) {
        if let Some(count) = self.0.get_mut(usize::from(row)) {
            *count += times;
        }
    }

    /// Adds the counts of another run.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    /// How often a row was reached.
    pub fn count(&self, row: u8) -> u64 {
        self.0.get(usize::from(row)).copied().unwrap_or(0)
    }

    /// Rows that the simulator can reach.
    pub fn reachable() -> impl Iterator<Item = u8> {
        (1..=ROWS).filter(|row| ELSEWHERE.iter().all(|(elsewhere, _)| elsewhere != row))
    }

    /// Rows that the simulator can reach and has not.
    pub fn missing(&self) -> Vec<u8> {
        Self::reachable().filter(|row| self.count(*row) == 0).collect()
    }
}
