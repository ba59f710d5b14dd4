//! The command line.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Parser;
use transcode_local::{Config, Delays, EventsTarget, Program};

/// An ECS endpoint on loopback whose Fargate tasks are processes of this machine.
///
/// Prints one line of JSON with its `endpoint` when it listens. Logs go to standard error; the variable `RUST_LOG` says
/// which. SIGTERM and SIGINT end it and all its tasks.
#[derive(Debug, Parser)]
#[command(name = "transcode-local", version)]
pub(crate) struct Cli {
    /// Loopback address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The executable that plays the images whose name holds the substring. Repeatable.
    #[arg(long = "program", value_parser = program, value_name = "IMAGE_SUBSTRING=PATH")]
    programs: Vec<Program>,
    /// A variable for every task. Repeatable.
    #[arg(long = "task-env", value_parser = pair, value_name = "NAME=VALUE")]
    task_env: Vec<(String, String)>,
    /// Folder for the tasks' working folders.
    #[arg(long)]
    work_dir: PathBuf,
    /// Folder for the tasks' output; without it output is dropped.
    #[arg(long)]
    log_dir: Option<PathBuf>,
    /// Bytes of output kept of each container.
    #[arg(long, default_value_t = 10 * 1024 * 1024)]
    log_limit: u64,
    /// ECS endpoint on loopback that knows the clusters and task definitions not known here.
    #[arg(long, value_name = "URL")]
    upstream_ecs: Option<String>,
    /// SQS queue that gets the state-change events.
    #[arg(long, value_name = "URL", requires = "events_endpoint")]
    events_queue_url: Option<String>,
    /// SQS endpoint on loopback for the events.
    #[arg(long, env = "AWS_ENDPOINT_URL_SQS", value_name = "URL")]
    events_endpoint: Option<String>,
    /// Region in ARNs, events and the tasks' environment.
    #[arg(long, env = "AWS_REGION", default_value = "us-east-1")]
    region: String,
    /// Account in ARNs and events.
    #[arg(long, default_value = "123456789012")]
    account: String,
    /// Milliseconds in PROVISIONING.
    #[arg(long, default_value_t = 300)]
    provisioning_ms: u64,
    /// Milliseconds in PENDING.
    #[arg(long, default_value_t = 200)]
    pending_ms: u64,
    /// Milliseconds in DEPROVISIONING.
    #[arg(long, default_value_t = 200)]
    deprovisioning_ms: u64,
    /// The longest wait between SIGTERM and SIGKILL in milliseconds, whatever stopTimeout says.
    #[arg(long)]
    stop_timeout_cap_ms: Option<u64>,
    /// Milliseconds between two measurements of the tasks' memory.
    #[arg(long, default_value_t = 200)]
    memory_poll_ms: u64,
    /// Seconds that STOPPED tasks stay visible.
    #[arg(long, default_value_t = 3600)]
    stopped_seconds: u64,
    /// Tasks that may live at one time.
    #[arg(long, default_value_t = 2000)]
    max_live_tasks: usize,
    /// Access key id for the events' queue; emulators take any.
    #[arg(long, env = "AWS_ACCESS_KEY_ID", default_value = "local", hide_env_values = true)]
    access_key_id: String,
    /// Secret access key for the events' queue.
    #[arg(long, env = "AWS_SECRET_ACCESS_KEY", default_value = "local", hide_env_values = true)]
    secret_access_key: String,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it has the form NAME=VALUE".to_owned()),
    }
}

fn program(text: &str) -> Result<Program, String> {
    let (image_part, path) = pair(text)?;
    // Tasks start in folders of their own, where a relative path means something else. Links are not followed: some
    // programs go by the name they are called.
    let path = std::path::absolute(&path).map_err(|error| format!("{path}: {error}"))?;
    if path.is_file() {
        Ok(Program { image_part, path })
    } else {
        Err(format!("{} is no file", path.display()))
    }
}

impl From<Cli> for Config {
    fn from(cli: Cli) -> Self {
        let events =
            cli.events_queue_url.zip(cli.events_endpoint).map(|(queue_url, endpoint)| EventsTarget {
                queue_url,
                endpoint,
                access_key_id: cli.access_key_id,
                secret_access_key: cli.secret_access_key,
            });
        Self {
            listen: cli.listen,
            region: cli.region,
            account: cli.account,
            programs: cli.programs,
            task_environment: cli.task_env,
            log_dir: cli.log_dir,
            log_limit: cli.log_limit,
            delays: Delays {
                provisioning: Duration::from_millis(cli.provisioning_ms),
                pending: Duration::from_millis(cli.pending_ms),
                deprovisioning: Duration::from_millis(cli.deprovisioning_ms),
            },
            stop_timeout_cap: cli.stop_timeout_cap_ms.map(Duration::from_millis),
            memory_poll: Duration::from_millis(cli.memory_poll_ms),
            stopped_lifetime: Duration::from_secs(cli.stopped_seconds),
            max_live_tasks: cli.max_live_tasks,
            upstream_ecs: cli.upstream_ecs,
            events,
            ..Self::new(cli.work_dir)
        }
    }
}
