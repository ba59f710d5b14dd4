//! Kernels to test in, and calls of programs.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};
use tokio_util::sync::CancellationToken;
use transcode_config::contract::Failure;
use transcode_media::{
    process::{Finished, Invocation, Limits, Tool, Tools},
    sandbox::SandboxPolicy,
};

/// The task's program, one of whose modes is the canary.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_transcode-task");

/// A kernel to run a test in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// This machine's.
    Here,
    /// Linux 5.10 as Fargate probably has it: no Landlock, no `CLOSE_RANGE_CLOEXEC`, no user namespaces.
    Old,
}

impl Kernel {
    pub(crate) const BOTH: [Self; 2] = [Self::Here, Self::Old];

    /// Runs a test in this kernel. The filter that makes it old is that of one thread and of what it starts.
    pub(crate) fn run<T: Send>(self, test: impl AsyncFnOnce() -> T + Send) -> T {
        let body = || {
            if self == Self::Old {
                age(&old_kernel()).unwrap();
            }
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(test())
        };
        std::thread::scope(|scope| scope.spawn(body).join().unwrap())
    }

    /// Whether Landlock is there.
    pub(crate) fn has_landlock(self) -> bool {
        self.run(async || landlock_is_there())
    }
}

/// Whether the calling thread's kernel has Landlock: asked of the kernel and not of the sandbox, which is what is tested.
pub(crate) fn landlock_is_there() -> bool {
    // SAFETY: with this flag, which asks for the version, the kernel takes a null pointer and the size 0.
    unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, 1) > 0 }
}

/// Filters that answer like Linux 5.10 in a container: what came later does not exist, and user namespaces are not
/// permitted. `clone3` keeps its flags where a filter cannot look; without it glibc takes `clone`.
pub(crate) fn old_kernel() -> [BpfProgram; 2] {
    let missing = [
        libc::SYS_landlock_create_ruleset,
        libc::SYS_landlock_add_rule,
        libc::SYS_landlock_restrict_self,
        libc::SYS_clone3,
    ];
    let mut missing: Rules = missing.map(|call| (call, vec![])).into();
    let newer = SeccompCmpOp::Eq;
    missing.insert(libc::SYS_close_range, when(2, newer, libc::CLOSE_RANGE_CLOEXEC.into()));
    let user = u64::from(libc::CLONE_NEWUSER.unsigned_abs());
    let namespaces = [libc::SYS_unshare, libc::SYS_clone];
    let refused = namespaces.map(|call| (call, when(0, SeccompCmpOp::MaskedEq(user), user)));
    [answers(missing, libc::ENOSYS), answers(refused.into(), libc::EPERM)]
}

/// Puts the calling thread, and what it starts, under these filters.
pub(crate) fn age(filters: &[BpfProgram]) -> std::io::Result<()> {
    filters.iter().try_for_each(|filter| seccompiler::apply_filter(filter).map_err(std::io::Error::other))
}

type Rules = std::collections::BTreeMap<i64, Vec<SeccompRule>>;

/// Only if this argument compares so.
fn when(argument: u8, operator: SeccompCmpOp, value: u64) -> Vec<SeccompRule> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value);
    vec![SeccompRule::new(vec![condition.unwrap()]).unwrap()]
}

fn answers(rules: Rules, error: i32) -> BpfProgram {
    let arch = TargetArch::try_from(std::env::consts::ARCH).unwrap();
    let error = SeccompAction::Errno(error.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, error, arch).unwrap().try_into().unwrap()
}

/// Limits in which an ordinary short run fits.
pub(crate) const LIMITS: Limits = Limits {
    wall: Duration::from_secs(120),
    stall: Duration::from_secs(60),
    cpu_seconds: 120,
    memory_bytes: 4 << 30,
    file_bytes: 1 << 30,
    output_bytes: 1 << 30,
    stdout_bytes: 1 << 20,
};

/// A call without files.
pub(crate) fn call(tool: Tool, args: &[&str]) -> Invocation {
    Invocation {
        tool,
        args: args.iter().map(OsString::from).collect(),
        input: None,
        extra_inputs: vec![],
        output_dir: None,
        limits: LIMITS,
    }
}

/// The same with an input and an output folder.
pub(crate) fn call_on(tool: Tool, args: &[&str], input: &Path, folder: Option<&Path>) -> Invocation {
    Invocation { input: Some(input.into()), output_dir: folder.map(PathBuf::from), ..call(tool, args) }
}

pub(crate) async fn run(tools: &Tools, call: Invocation) -> Result<Finished, Failure> {
    tools.run(call, &mut |_| (), &CancellationToken::new()).await
}

pub(crate) fn tools() -> Tools {
    Tools::find(SandboxPolicy::Prefer).unwrap()
}

/// Strings as arguments.
pub(crate) fn strs(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}
