//! The system calls that ffmpeg and ffprobe may make, and with which arguments. Everything else kills the process.
//!
//! The allowed calls are data (`calls`), and the table in `SECURITY.md` is generated from it. The list holds the
//! calls that glibc's start-up and threads, x264, x265, SVT-AV1, libaom and the native AAC encoder were seen to need,
//! and their counterparts on the other architecture. Four properties matter more than the list itself:
//!
//! * No socket of any family, no new process (`clone` only as glibc makes threads), no signal but to itself, nothing that
//!   reads or changes another process (`prlimit64` only reads the own limits; `fcntl` cannot name an owner to be
//!   signalled).
//! * **One exec.** The filter must be in place before ffmpeg is executed, so it has to allow `execve`. It allows it with
//!   the program's path at `calls::EXEC_PATH` only, an address in the first mebibyte where the starting child puts the path.
//!   After the exec nothing is mapped there, and nothing can be: `mmap` may not ask for an address below 4 GiB, fixed or as
//!   a hint, `mremap` may not move to a chosen one, `arch_prctl` may not map the kernel's own library, nothing may grow
//!   down, and the kernel's own choice would come near only after the whole address space, which `RLIMIT_AS` ends long
//!   before.
//! * **No new code.** Memory that is written is never executed: `mmap` gives `PROT_EXEC` only as the dynamic loader asks for
//!   it (a private mapping of a file, not writable), and only of a library ([`super::loader`]); `mprotect` never. A program
//!   that is linked statically has no loader, and gets no code at all after its exec: a call as a loader makes it fails, so that
//!   glibc goes on without the host's modules for character sets, which it looks for as soon as a transport stream names its
//!   service; any other call for code kills.
//! * **Nothing is hidden.** A file that is made in the output folder stays there under its name: it cannot be removed,
//!   renamed, or made without a name. So the sum of the folder is all that a run takes of the disk.
//!
//! Some calls fail without killing: `clone3`, whose flags are in memory where a filter cannot read them, "does not
//! exist", so that glibc falls back to `clone`; scheduling and memory placement "are not permitted", as on a host
//! without the privilege.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use super::{
    calls::{Answer, CALLS, Is, OWN_PID, maps_code},
    linked::Linked,
};

/// The filters of one start, and the place of the child's process id in them.
#[derive(Debug, Clone)]
pub(super) struct Filters {
    /// In the order of installation; the strictest answer wins.
    pub(super) programs: Vec<BpfProgram>,
    /// Index of the instruction in the last program that compares with the process id.
    pub(super) own_pid: usize,
}

/// The filters for both kinds of programs.
#[derive(Debug, Clone)]
pub(super) struct Compiled {
    statically: Filters,
    dynamically: Filters,
}

impl Compiled {
    /// Compiles the filters.
    pub(super) fn new() -> Result<Self, BackendError> {
        Ok(Self { statically: filters(Linked::Statically)?, dynamically: filters(Linked::Dynamically)? })
    }

    /// Those for a program.
    pub(super) fn of(&self, linked: Linked) -> &Filters {
        match linked {
            Linked::Statically => &self.statically,
            Linked::Dynamically => &self.dynamically,
        }
    }
}

fn filters(linked: Linked) -> Result<Filters, BackendError> {
    let answered = |answer: Answer| CALLS.iter().filter(move |call| call.answer == answer);
    let polite = |answer, error: i32| {
        let rules = answered(answer).map(|call| (call.number, vec![])).collect();
        program(rules, SeccompAction::Allow, SeccompAction::Errno(error.unsigned_abs()))
    };
    let missing = polite(Answer::Missing, libc::ENOSYS)?;
    let refused = polite(Answer::Refused, libc::EPERM)?;
    let rules = CALLS.iter().map(|call| Ok((call.number, alternatives(call.rules, |_| true)?)));
    let rules = rules.collect::<Result<Rules, BackendError>>()?;
    let code = CALLS.iter().filter(|call| call.rules.iter().any(|all| maps_code(all)));
    let code = code.map(|call| Ok((call.number, alternatives(call.rules, maps_code)?)));
    let code = code.collect::<Result<Rules, BackendError>>()?;
    let no_code = program(code, SeccompAction::Allow, SeccompAction::Errno(libc::EACCES.unsigned_abs()))?;
    let allowed = program(rules, SeccompAction::KillProcess, SeccompAction::Allow)?;
    let own_pid = allowed.iter().position(|line| line.k == OWN_PID).ok_or(BackendError::EmptyRule)?;
    let mut programs = vec![missing, refused, allowed];
    if linked == Linked::Statically {
        programs.insert(0, no_code);
    }
    Ok(Filters { programs, own_pid })
}

type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

fn program(
    rules: Rules,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<BpfProgram, BackendError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, otherwise, matched, arch)?.try_into()
}

/// One rule for each alternative; in a rule every condition holds.
fn alternatives(rules: &[&[Is]], which: fn(&[Is]) -> bool) -> Result<Vec<SeccompRule>, BackendError> {
    let kept = rules.iter().filter(|all| which(all));
    kept.map(|all| SeccompRule::new(all.iter().map(condition).collect::<Result<_, _>>()?)).collect()
}

/// For an `int` the kernel reads only the lower half of the argument, and so does the filter.
fn condition(is: &Is) -> Result<SeccompCondition, BackendError> {
    let (argument, length, operator, value) = match *is {
        Is::Int(argument, value) => (argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value.into()),
        Is::Flags(argument, mask, value) => {
            (argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(mask.into()), value.into())
        }
        Is::Address(argument, value) => (argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, value),
        Is::AtLeast(argument, value) => (argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Ge, value),
    };
    SeccompCondition::new(argument, length, operator, value)
}
