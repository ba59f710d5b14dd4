//! Decides how many chunks are encoded at a time from what the first one used. Pure, but for reading the machine's
//! processors and memory.

use std::{num::NonZero, path::Path, time::Duration};

use transcode_config::ladder::ChunkSettings;

use crate::{process::Finished, rational::float};

/// Part of the memory that encoders may take together.
const MEMORY_SHARE: f64 = 0.8;

/// The machine, or the part of it that a container may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Host {
    /// Processors that may be used.
    pub(super) processors: usize,
    /// Memory in bytes; none if no file of the kernel says.
    pub(super) memory_bytes: Option<u64>,
}

impl Host {
    /// This machine, or the part of it that this container has.
    pub(super) fn here() -> Self {
        let read = |path: &str| std::fs::read_to_string(Path::new(path)).unwrap_or_default();
        Self {
            processors: std::thread::available_parallelism().map_or(1, NonZero::get),
            memory_bytes: memory(&read("/proc/meminfo"), &read("/sys/fs/cgroup/memory.max")),
        }
    }
}

/// The smaller of the memory that exists (`meminfo`, in KiB) and the memory that may be used (`memory.max` of cgroup
/// v2, in bytes, or `max`).
fn memory(meminfo: &str, allowed: &str) -> Option<u64> {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let total = total.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    let total = total.and_then(|kib| kib.checked_mul(1024));
    let allowed = allowed.trim().parse().ok();
    total.into_iter().chain(allowed).min()
}

/// How many chunks keep the processors busy and fit into memory, by a first chunk that ran alone. `beside` is the
/// processor time that the audio took meanwhile.
pub(super) fn at_once(alone: &Finished, beside: Duration, host: Host) -> usize {
    let of_wall = |cpu: Duration| cpu.as_secs_f64() / alone.wall.as_secs_f64().max(0.001);
    let processors = float(u64::try_from(host.processors).unwrap_or(1));
    let busy = of_wall(alone.cpu).clamp(0.1, processors);
    let idle = (processors - busy - of_wall(beside)).max(0.0);
    let fill = 1.0 + idle / busy;
    let room = host.memory_bytes.map_or(f64::INFINITY, |bytes| {
        float(bytes) * MEMORY_SHARE / float(alone.peak_memory_bytes.max(1 << 20))
    });
    // One more only if more than half of a processor is idle.
    let most = fill.round().min(room.floor()).min(f64::from(ChunkSettings::MOST_AT_ONCE));
    (1..=host.processors)
        .take_while(|&number| float(u64::try_from(number).unwrap_or(u64::MAX)) <= most)
        .count()
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Damage;

    fn used(cpu: u64, wall: u64, gib: u64) -> Finished {
        Finished {
            stdout: Vec::new(),
            stderr_tail: String::new(),
            wall: Duration::from_secs(wall),
            cpu: Duration::from_secs(cpu),
            peak_memory_bytes: gib << 30,
            audio_set_up: 0,
            damage: Damage::default(),
        }
    }

    #[test]
    fn as_many_as_fill_the_processors_and_fit_into_memory() {
        let on = |processors, gib: Option<u64>, used: Finished| {
            at_once(&used, Duration::ZERO, Host { processors, memory_bytes: gib.map(|gib| gib << 30) })
        };
        assert_eq!(on(2, Some(4), used(19, 10, 1)), 1, "no processor is idle");
        assert_eq!(on(16, Some(32), used(50, 10, 1)), 3);
        assert_eq!(on(16, None, used(50, 10, 1)), 3);
        assert_eq!(on(16, Some(32), used(110, 10, 1)), 1, "a third of one would be idle");
        assert_eq!(on(16, Some(32), used(50, 10, 10)), 2, "a third one has no room");
        assert_eq!(on(16, Some(8), used(50, 10, 10)), 1, "one has to run in any case");
        assert_eq!(on(16, Some(64), used(1, 10, 1)), 8);
        assert_eq!(on(2, Some(64), used(1, 10, 1)), 2, "no more than there are processors");
        assert_eq!(on(4, Some(8), used(0, 0, 0)), 4, "nothing to measure is no reason to fall over");
    }

    #[test]
    fn what_the_audio_took_was_not_idle() {
        let on = |processors, beside| {
            at_once(&used(13, 10, 1), Duration::from_secs(beside), Host { processors, memory_bytes: None })
        };
        assert_eq!((on(2, 0), on(2, 7)), (2, 1));
        assert_eq!((on(4, 0), on(4, 7), on(4, 99)), (3, 3, 1));
    }

    #[test]
    fn memory_is_what_the_container_may_use_of_what_there_is() {
        let meminfo = "MemTotal:       16384 kB\nMemFree:  1 kB\n";
        assert_eq!(memory(meminfo, "max\n"), Some(16 << 20));
        assert_eq!(memory(meminfo, "1048576\n"), Some(1 << 20));
        assert_eq!(memory("", ""), None);
        assert_eq!(memory("MemTotal: 99999999999999999999 kB", ""), None);
        assert_eq!(memory("MemTotal: 18446744073709551615 kB", ""), None);
    }
}
