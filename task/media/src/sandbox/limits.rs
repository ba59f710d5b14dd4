//! Resource limits of a child.

/// The numbers that a child's limits are computed from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rlimits {
    pub(crate) memory_bytes: u64,
    pub(crate) cpu_seconds: u64,
    pub(crate) file_bytes: u64,
    pub(crate) threads: u64,
}

/// Threads of all users: an upper bound of the number that counts against this user's limit.
pub(super) fn threads_now() -> u64 {
    let loadavg = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let total = loadavg.split_whitespace().nth(3).and_then(|field| field.split_once('/'));
    // If /proc is closed: the number on an ordinary host.
    total.and_then(|(_, total)| total.parse().ok()).unwrap_or(4096)
}
