//! The process table: which processes belong to a container, how much memory they use, and their end.
//!
//! A process belongs to a container if it is in the session or the group of the container's first process, or
//! descends from it. A session is only left by `setsid`, and a process that does that stays a descendant until its
//! parent ends.

use std::{collections::HashSet, fs};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// Looks at the table while a tree is being killed; each can miss what was forked meanwhile.
const MAX_PASSES: usize = 50;

/// One line of the process table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    parent: u32,
    group: u32,
    session: u32,
    /// `R`, `S`, `D`, `T`, `Z` and so on.
    pub(crate) state: char,
    /// Bytes in memory.
    pub(crate) resident: u64,
}

/// All processes that can be seen.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    all: Vec<Process>,
}

impl Processes {
    /// Reads the table. Processes that end meanwhile are left out.
    pub(crate) fn read() -> Self {
        let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let numbered = entries
            .filter(|entry| entry.file_name().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit));
        let all = numbered
            .filter_map(|entry| parse(&fs::read_to_string(entry.path().join("stat")).ok()?, page))
            .collect();
        Self { all }
    }

    /// The processes that belong to the container whose first process has (or had) this id.
    pub(crate) fn of(&self, root: u32) -> Vec<Process> {
        let direct = |one: &Process| one.pid == root || one.session == root || one.group == root;
        let mut found: HashSet<u32> = self.all.iter().filter(|one| direct(one)).map(|one| one.pid).collect();
        // Each round adds a generation of descendants.
        loop {
            let children: Vec<u32> = self
                .all
                .iter()
                .filter(|one| found.contains(&one.parent) && !found.contains(&one.pid))
                .map(|one| one.pid)
                .collect();
            if children.is_empty() {
                break;
            }
            found.extend(children);
        }
        self.all.iter().filter(|one| found.contains(&one.pid)).copied().collect()
    }

    /// One process.
    pub(crate) fn get(&self, pid: u32) -> Option<Process> {
        self.all.iter().find(|one| one.pid == pid).copied()
    }
}

/// A line of `/proc/<pid>/stat`. The name in parentheses may itself hold spaces and parentheses.
fn parse(line: &str, page: u64) -> Option<Process> {
    let (pid, rest) = line.split_once(" (")?;
    let (_, rest) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let number = |index: usize| fields.get(index)?.parse().ok();
    Some(Process {
        pid: pid.parse().ok()?,
        state: fields.first()?.chars().next()?,
        parent: number(1)?,
        group: number(2)?,
        session: number(3)?,
        // Field 24 of the line; the two before the state are cut off, and counting starts at zero.
        resident: fields.get(21)?.parse::<u64>().ok()? * page,
    })
}

fn pid(number: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(number).ok()?)
}

/// Sends a signal to one process. A process that has ended already is no error.
pub(crate) fn signal(number: u32, signal: Signal) {
    if let Some(pid) = pid(number) {
        let _ = kill_process(pid, signal);
    }
}

/// Kills every process that belongs to a container, and looks again until none is left.
pub(crate) fn kill_all_of(root: u32) {
    for _ in 0..MAX_PASSES {
        let alive: Vec<Process> =
            Processes::read().of(root).into_iter().filter(|one| !matches!(one.state, 'Z' | 'X')).collect();
        if alive.is_empty() {
            return;
        }
        // The group first: one call that no fork can outrun.
        if let Some(group) = pid(root) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        for one in alive {
            signal(one.pid, Signal::KILL);
        }
    }
    tracing::error!(pid = root, "processes are left although they were killed");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_a_strange_name_is_read() {
        let line =
            "42 (a) b (c) S 1 42 42 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 100 5000 7 18446744073709551615";
        let process = parse(line, 4096).unwrap();
        assert_eq!((process.pid, process.parent, process.group, process.session), (42, 1, 42, 42));
        assert_eq!((process.state, process.resident), ('S', 7 * 4096));
        assert_eq!(parse("42 nonsense", 4096), None);
    }

    #[test]
    fn members_are_session_group_and_descendants() {
        let one =
            |pid, parent, group, session| Process { pid, parent, group, session, state: 'S', resident: 0 };
        // 12 left the session but descends; 13 lost its parent but is in the session; 20 is somebody else's.
        let all = vec![
            one(10, 1, 10, 10),
            one(11, 10, 11, 10),
            one(12, 11, 12, 12),
            one(13, 1, 13, 10),
            one(20, 1, 20, 20),
        ];
        let members: Vec<u32> = Processes { all }.of(10).iter().map(|one| one.pid).collect();
        assert_eq!(members, [10, 11, 12, 13]);
    }
}
