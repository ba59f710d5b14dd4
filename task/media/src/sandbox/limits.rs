//! Resource limits of a child.

/// What a child's limits are made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rlimits {
    pub(crate) memory_bytes: u64,
    pub(crate) cpu_seconds: u64,
    pub(crate) file_bytes: u64,
    pub(crate) threads: u64,
}

/// Threads of all users: an upper bound of what counts against this user's limit.
pub(super) fn threads_now() -> u64 {
    let loadavg = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let total = loadavg.split_whitespace().nth(3).and_then(|field| field.split_once('/'));
    // Where /proc is closed: as many as an ordinary host has.
    total.and_then(|(_, total)| total.parse().ok()).unwrap_or(4096)
}
