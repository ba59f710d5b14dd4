//! `sandbox-check`: tries to break out of this host's sandbox and reports what it stops.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fmt, fs,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;
use tokio_util::sync::CancellationToken;
use transcode_config::{
    contract::{ExitCode, Failure, FailureCode},
    escape::{Place, escaped, net},
};

use super::{
    call::{Invocation, Limits, Tool},
    tools::{self, Tools},
};
use crate::sandbox::{
    CANARY, Layer, Linked, Sandbox, SandboxLevel, SandboxPolicy, canary, enter,
    probes::{Expect, PROBES, Probe},
    stub,
};

/// Options of the check, and the arguments of the subcommand.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct CheckOptions {
    /// The policy that the task would run with. With `require` a host without the full sandbox is a failure.
    #[arg(skip)]
    pub policy: SandboxPolicy,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub json: bool,
    /// Layers that are left out, to see that the check notices. For tests.
    #[arg(long, value_enum, hide = true)]
    pub without: Vec<Layer>,
}

/// The result of one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Seen {
    /// The attempt worked.
    Worked,
    /// The kernel refused it.
    Refused(String),
    /// The kernel killed the canary for it.
    Killed(String),
    /// The canary could not be run.
    Failed(String),
}

/// One line of the table.
#[derive(Debug, Clone, Serialize)]
struct Row {
    /// Name of the attempt.
    name: &'static str,
    /// What was tried.
    tried: &'static str,
    /// The expected result: `works`, `stopped`, or `open` if nothing on this host stops it.
    expected: &'static str,
    /// The result.
    seen: Seen,
    /// Whether the result is a breach (or an attempt that should work and does not).
    breach: bool,
}

/// The result of all attempts, as a table or as JSON.
#[derive(Debug, Clone, Serialize)]
struct CheckTable {
    /// What the kernel has.
    level: SandboxLevel,
    /// Whether the check ran as root, which a task should not.
    root: bool,
    /// How ffmpeg is linked, which decides the rule for code; absent where there is no ffmpeg.
    ffmpeg: Option<Linked>,
    /// Every attempt.
    rows: Vec<Row>,
}

impl CheckTable {
    /// Number of attempts with an unexpected result.
    fn breaches(&self) -> usize {
        self.rows.iter().filter(|row| row.breach).count()
    }
}

/// Tries the sandbox of this host and prints the results. The exit code says whether it holds.
pub async fn check(options: CheckOptions) -> ExitCode {
    let report = match try_out(&options).await {
        Ok(report) => report,
        Err(failure) => {
            writeln!(io::stderr(), "{} {:?}", escaped(&failure.to_string(), Place::Line), failure.evidence)
                .ok();
            return failure.code.info().exit;
        }
    };
    let json = || serde_json::to_string_pretty(&report).unwrap_or_default();
    let text = if options.json { json() } else { report.to_string() };
    // A reader that went away does not change the result.
    writeln!(io::stdout(), "{}", net(&text)).ok();
    if report.breaches() == 0 { ExitCode::Succeeded } else { ExitCode::Misconfigured }
}

/// Runs the canary in the sandbox, once for each attempt: a killed canary cannot make another.
///
/// Fails if the policy is not met or the canary's files cannot be created; breaches are in the report.
async fn try_out(options: &CheckOptions) -> Result<CheckTable, Failure> {
    let kernel = Sandbox::new(options.policy)?.level();
    if options.without.contains(&Layer::Dumpable) {
        enter::expose().map_err(|error| broken("the process could not be opened", &error))?;
    }
    let without: BTreeSet<_> = options.without.iter().copied().collect();
    let sandbox = Sandbox::without(SandboxPolicy::Prefer, without)?;
    let program = std::env::current_exe().map_err(|error| broken("the own program was not found", &error))?;
    let stage = Stage::new().map_err(|error| broken("the canary's files could not be made", &error))?;
    let canary = Tools::stand_in(&program, sandbox.clone());
    let stub = Tools::stand_in(&stage.stub, sandbox);
    let root = enter::is_root();
    let mut rows = Vec::with_capacity(PROBES.len());
    for probe in PROBES {
        let tools = if probe.linked == Linked::Dynamically { &canary } else { &stub };
        let seen = attempt(tools, probe, &stage).await;
        let must_stop = probe.expect.must_stop(kernel, root);
        let works = probe.expect == Expect::Works;
        rows.push(Row {
            name: probe.name,
            tried: probe.tries,
            expected: if works {
                "works"
            } else if must_stop {
                "stopped"
            } else {
                "open"
            },
            breach: match seen {
                Seen::Worked => must_stop,
                Seen::Refused(_) | Seen::Killed(_) => works,
                Seen::Failed(_) => true,
            },
            seen,
        });
    }
    let ffmpeg = tools::find(Tool::Ffmpeg, std::env::var_os(tools::ENV_FFMPEG)).ok();
    Ok(CheckTable { level: kernel, root, ffmpeg: ffmpeg.map(|path| Linked::of(&path)), rows })
}

async fn attempt(tools: &Tools, probe: &Probe, stage: &Stage) -> Seen {
    // A folder of its own, so that files of one attempt do not affect the next.
    let output = stage.outputs.join(probe.name);
    if let Err(error) = fs::create_dir(&output) {
        return Seen::Failed(error.to_string());
    }
    let arguments = [Path::new(CANARY), Path::new(probe.name), &stage.input, &stage.closed, &stage.other];
    let call = Invocation {
        tool: Tool::Ffmpeg,
        args: arguments.map(OsString::from).to_vec(),
        input: Some(stage.input.clone()),
        extra_inputs: vec![stage.closed.clone()],
        output_dir: Some(output),
        limits: Limits {
            wall: Duration::from_secs(20),
            stall: Duration::from_secs(20),
            cpu_seconds: 20,
            memory_bytes: 4 << 30,
            file_bytes: 1 << 20,
            output_bytes: 1 << 50,
            stdout_bytes: 1 << 10,
        },
    };
    match tools.run(call, &mut |_| (), &CancellationToken::new()).await {
        Ok(_) => Seen::Worked,
        Err(failure) => seen(&failure),
    }
}

fn seen(failure: &Failure) -> Seen {
    let evidence = |name: &str| failure.evidence.get(name).cloned();
    if let Some(signal) = evidence("signal") {
        return Seen::Killed(signal);
    }
    let refused = evidence("exit_status") == Some(canary::REFUSED.to_string());
    let words = evidence("stderr").unwrap_or_else(|| failure.to_string());
    let words = words.lines().next().unwrap_or_default().to_owned();
    if refused { Seen::Refused(words) } else { Seen::Failed(format!("{}: {words}", failure.code)) }
}

/// The canary's surroundings: its own job's files, and another's. Removed when dropped.
struct Stage {
    input: PathBuf,
    closed: PathBuf,
    outputs: PathBuf,
    other: PathBuf,
    stub: PathBuf,
    /// A descriptor that stays open across an exec, like one that a library left open.
    _leak: std::os::fd::OwnedFd,
    _folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        let (input, closed, outputs, other) = (at("input"), at("closed"), at("outputs"), at("other"));
        let stub = at("stub");
        fs::write(&stub, stub::program().ok_or(io::ErrorKind::Unsupported)?)?;
        fs::set_permissions(&stub, fs::Permissions::from_mode(0o500))?;
        fs::create_dir(&outputs)?;
        fs::create_dir(&other)?;
        fs::write(&input, b"the input")?;
        fs::write(&closed, b"closed by its mode")?;
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000))?;
        fs::write(other.join("secret"), b"another job's")?;
        let leak = enter::inheritable(&fs::File::open(&input)?)?;
        Ok(Self { input, closed, outputs, other, stub, _leak: leak, _folder: folder })
    }
}

fn broken(message: &str, error: &io::Error) -> Failure {
    Failure::new(FailureCode::Internal, message).with("error", error)
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worked => f.write_str("worked"),
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::Killed(signal) => write!(f, "killed: {signal}"),
            Self::Failed(why) => write!(f, "failed: {why}"),
        }
    }
}

impl fmt::Display for CheckTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "level: {}{}", self.level, if self.root { ", running as root" } else { "" })?;
        let linked = match self.ffmpeg {
            Some(Linked::Statically) => "linked statically: nothing is mapped for code",
            Some(Linked::Dynamically) => "linked dynamically: its loader maps libraries for code",
            None => "not found",
        };
        writeln!(f, "ffmpeg: {linked}\n")?;
        writeln!(f, "{:<58}{:<10}{:<44}", "tried", "expected", "seen")?;
        for row in &self.rows {
            let mark = if row.breach { "  BREACH" } else { "" };
            writeln!(f, "{:<58}{:<10}{}{mark}", row.tried, row.expected, row.seen)?;
        }
        write!(f, "\n{} tried, {} breaches", self.rows.len(), self.breaches())
    }
}
