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
use transcode_task::{
    process::{Finished, Invocation, Limits, Tool, Tools},
    sandbox::{Sandbox, SandboxPolicy},
};

/// The task's program, one of whose modes is the canary.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_transcode-task");

/// A kernel to run a test in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// This machine's.
    Here,
    /// Linux 5.10 as Fargate probably has it: no Landlock, and no `CLOSE_RANGE_CLOEXEC`.
    Old,
}

impl Kernel {
    pub(crate) const BOTH: [Self; 2] = [Self::Here, Self::Old];

    /// Runs a test in this kernel. The filter that makes it old is that of one thread and of what it starts.
    pub(crate) fn run<T: Send>(self, test: impl AsyncFnOnce() -> T + Send) -> T {
        let body = || {
            if self == Self::Old {
                seccompiler::apply_filter(&old_kernel()).unwrap();
            }
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(test())
        };
        std::thread::scope(|scope| scope.spawn(body).join().unwrap())
    }

    /// Whether Landlock is there. Asked of the kernel here, not assumed: the tests assert what is right in either case.
    pub(crate) fn has_landlock(self) -> bool {
        self.run(async || Sandbox::new(SandboxPolicy::Prefer).unwrap().level().landlock.is_some())
    }
}

/// A filter that answers like Linux 5.10.
pub(crate) fn old_kernel() -> BpfProgram {
    let landlock =
        [libc::SYS_landlock_create_ruleset, libc::SYS_landlock_add_rule, libc::SYS_landlock_restrict_self];
    let mut rules: std::collections::BTreeMap<_, _> = landlock.map(|call| (call, vec![])).into();
    let flag =
        SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, libc::CLOSE_RANGE_CLOEXEC.into());
    rules.insert(libc::SYS_close_range, vec![SeccompRule::new(vec![flag.unwrap()]).unwrap()]);
    let arch = TargetArch::try_from(std::env::consts::ARCH).unwrap();
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS.unsigned_abs()),
        arch,
    );
    filter.unwrap().try_into().unwrap()
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
