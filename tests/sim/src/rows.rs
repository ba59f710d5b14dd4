//! Which rows of the fault catalogue were reached.

/// Rows in the catalogue.
pub const ROWS: u8 = 64;

/// Rows that do not exist at this level, with the reason; other tests are answerable for them.
pub const EXCLUDED: [(u8, &str); 4] = [
    (
        9,
        "retention about to expire: a report with no effect on the protocol; checked where metrics are checked",
    ),
    (36, "override over 8192 characters: a matter of the adapter's bytes; intents here are values"),
    (55, "full disk and slow stdout of the controller: the core neither writes files nor logs"),
    (62, "ffmpeg outlives its parent: process groups exist only in the real task"),
];

/// Counters, one for each row.
#[derive(Debug, Clone)]
pub struct Reached([u64; ROWS as usize + 1]);

impl Default for Reached {
    fn default() -> Self {
        Self([0; ROWS as usize + 1])
    }
}

impl Reached {
    /// Counts one.
    pub fn reach(&mut self, row: u8) {
        self.add(row, 1);
    }

    /// Counts several.
    pub fn add(&mut self, row: u8, times: u64) {
        if let Some(count) = self.0.get_mut(usize::from(row)) {
            *count += times;
        }
    }

    /// Adds another run's.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    /// How often a row was reached.
    pub fn count(&self, row: u8) -> u64 {
        self.0.get(usize::from(row)).copied().unwrap_or(0)
    }

    /// Rows that can be reached at this level.
    pub fn reachable() -> impl Iterator<Item = u8> {
        (1..=ROWS).filter(|row| EXCLUDED.iter().all(|(excluded, _)| excluded != row))
    }

    /// Rows that can be reached here and were not.
    pub fn missing(&self) -> Vec<u8> {
        Self::reachable().filter(|row| self.count(*row) == 0).collect()
    }
}
