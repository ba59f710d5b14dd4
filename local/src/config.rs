//! Settings of the endpoint.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// The executable for an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// A part of the image's name, such as `transcode-task`. The first program that fits is taken.
    pub image_part: String,
    /// The executable. It stands for the image's entry point.
    pub path: PathBuf,
}

/// How long a task stays in the phases without processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Delays {
    pub provisioning: Duration,
    pub pending: Duration,
    pub deprovisioning: Duration,
}

impl Default for Delays {
    /// Short enough for a demonstration, long enough to be visible.
    fn default() -> Self {
        Self {
            provisioning: Duration::from_millis(300),
            pending: Duration::from_millis(200),
            deprovisioning: Duration::from_millis(200),
        }
    }
}

/// Where state-change events go.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct EventsTarget {
    /// URL of the SQS queue.
    pub queue_url: String,
    /// The SQS endpoint, on loopback.
    pub endpoint: String,
    /// Access key id; what the emulator knows.
    pub access_key_id: String,
    pub secret_access_key: String,
}

/// All settings. [`Config::new`] fills in defaults for everything but the working folder.
#[derive(Debug, Clone)]
pub struct Config {
    /// Loopback address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Region in ARNs, events and the tasks' environment.
    pub region: String,
    /// Account in ARNs and events: twelve digits.
    pub account: String,
    /// The executables of images. An image without one cannot be pulled.
    pub programs: Vec<Program>,
    /// Variables that every task gets in addition to its own, such as the emulator's endpoints.
    pub task_environment: Vec<(String, String)>,
    /// Each task works in a folder of its own in here.
    pub work_dir: PathBuf,
    /// Output of the tasks goes to files in here; nowhere if absent.
    pub log_dir: Option<PathBuf>,
    /// Bytes of output kept of each container.
    pub log_limit: u64,
    /// How long the phases last.
    pub delays: Delays,
    /// Longest wait between SIGTERM and SIGKILL, whatever `stopTimeout` says.
    pub stop_timeout_cap: Option<Duration>,
    /// How often the memory of the tasks is measured.
    pub memory_poll: Duration,
    /// The longest life of a client token.
    pub token_lifetime: Duration,
    /// The life of a client token after the last of its tasks has stopped.
    pub token_after_stop: Duration,
    /// How long STOPPED tasks stay visible.
    pub stopped_lifetime: Duration,
    /// Tasks that may live at one time; RunTask refuses more.
    pub max_live_tasks: usize,
    /// STOPPED tasks kept, even when their time is not up.
    pub max_stopped_tasks: usize,
    /// An ECS endpoint (`http://127.0.0.1:PORT`) from which unknown clusters and task definitions are imported.
    pub upstream_ecs: Option<String>,
    /// Where state-change events go; nowhere if absent.
    pub events: Option<EventsTarget>,
}

impl Config {
    /// Defaults, with the tasks' folders in `work_dir`.
    pub fn new(work_dir: impl Into<PathBuf>) -> Self {
        const HOUR: Duration = Duration::from_hours(1);
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            region: "us-east-1".to_owned(),
            account: "123456789012".to_owned(),
            programs: Vec::new(),
            task_environment: Vec::new(),
            work_dir: work_dir.into(),
            log_dir: None,
            log_limit: 10 * 1024 * 1024,
            delays: Delays::default(),
            stop_timeout_cap: None,
            memory_poll: Duration::from_millis(200),
            token_lifetime: HOUR * 24,
            token_after_stop: HOUR,
            stopped_lifetime: HOUR,
            max_live_tasks: 2000,
            max_stopped_tasks: 20_000,
            upstream_ecs: None,
            events: None,
        }
    }

    /// The program that plays an image.
    pub(crate) fn program(&self, image: &str) -> Option<&Program> {
        self.programs.iter().find(|program| image.contains(&program.image_part))
    }
}
