//! The controller's own process, as it ships, and what it costs.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Ticks of `/proc` in a second: the same on every Linux machine.
const TICKS: f64 = 100.0;

/// A running controller. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Controller {
    child: Child,
    log: PathBuf,
    read: u64,
    adopted: usize,
}

impl Controller {
    /// Starts the program against the stand-in at `port`, with room for `tasks`.
    pub(crate) fn start(program: &Path, port: u16, tasks: usize, folder: &Path) -> io::Result<Self> {
        let settings = folder.join("bench.toml");
        fs::write(&settings, text(port, tasks))?;
        let log = folder.join("controller.log");
        let output = File::create(&log)?;
        let child = Command::new(program)
            .args(["run", "--config"])
            .arg(&settings)
            .env_clear()
            .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"))
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_ACCESS_KEY_ID", "bench")
            .env("AWS_SECRET_ACCESS_KEY", "bench")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stderr(output.try_clone()?)
            .stdout(output)
            .spawn()?;
        Ok(Self { child, log, read: 0, adopted: 0 })
    }

    /// Error with the end of its log if it has ended.
    pub(crate) fn ensure_running(&mut self) -> io::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                let log = fs::read_to_string(&self.log)?;
                let tail = log.get(log.len().saturating_sub(2000)..).unwrap_or_default();
                Err(io::Error::other(format!("the controller ended ({status})\n{tail}")))
            }
        }
    }

    /// Number of tasks that it says it has adopted.
    pub(crate) fn adopted(&mut self) -> io::Result<usize> {
        let mut file = File::open(&self.log)?;
        file.seek(SeekFrom::Start(self.read))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        // Only whole lines: the rest is read next time.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        bytes.truncate(whole);
        self.read += whole as u64;
        self.adopted += String::from_utf8_lossy(&bytes).matches("task adopted").count();
        Ok(self.adopted)
    }

    /// Its processor time so far, user and system.
    pub(crate) fn processor(&self) -> Duration {
        processor(self.child.id())
    }

    /// Memory in use now, and the most that was, in MiB.
    pub(crate) fn memory(&self) -> (f64, f64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let of = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name));
            let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
            kib.unwrap_or_default() / 1024.0
        };
        (of("VmRSS:"), of("VmHWM:"))
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        // As on a machine that fails: nothing is drained.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Processor time of a process, user and system.
pub(crate) fn processor(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name may hold spaces and ends with the last parenthesis; user and system time are fields 14 and 15.
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
    Duration::from_secs_f64(ticks.sum::<f64>() / TICKS)
}

/// The settings: those of the template, with room for the fleet and the account's whole launch rate.
fn text(port: u16, tasks: usize) -> String {
    format!(
        r#"environment = "bench"
queues.default.url = "http://127.0.0.1:{port}/123456789012/jobs"
queues.default.dead_letter_url = "http://127.0.0.1:{port}/123456789012/dead"
events.queue_url = "http://127.0.0.1:{port}/123456789012/events"
sources.uploads.bucket = "uploads"
state.bucket = "state"
output.bucket = "videos"
cluster.name = "bench"
cluster.task_definition = "task"
cluster.subnets = ["subnet-0123456789abcdef0"]
image.check = false
launch.max_tasks = {tasks}
launch.per_second = 20.0
launch.burst = 20
http.listen = "127.0.0.1:0"
"#
    )
}
