//! Emulator, deployment, Fargate and controller together.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::{
    clients::Clients,
    controller::{self, ControllerPlan, Settings},
    deployment::{Deployment, IMAGE_TAG},
    emulator::Emulator,
    fargate::{Fargate, FargateOptions},
    iam::{Iam, record::Record},
    images::{self, Image},
    janitor::Scratch,
    process::{Process, last_lines},
    proxy::{Interceptor, Proxy},
};

/// Deploys an environment, given the emulator's address and a folder that it may use.
pub type Deploys = fn(&str, &Path) -> Result<()>;

/// Options of a stack. The default is what ships: the real task, the shipped settings, one controller.
#[derive(Debug, Default)]
pub struct StackOptions {
    /// Name of the environment; empty for `local`.
    pub environment: String,
    /// Settings of the controller that differ from the shipped ones, by dotted key, as TOML.
    pub settings: Settings,
    /// The program that runs as the task; `None`: this build's `transcode-task`.
    pub task_program: Option<PathBuf>,
    /// Additional environment variables of every task.
    pub task_env: Vec<(String, String)>,
    /// Additional environment variables of the controllers.
    pub controller_env: Vec<(String, String)>,
    /// Additional arguments of the local Fargate endpoint.
    pub fargate_args: Vec<String>,
    /// Decides each call of the controllers to S3, SQS, ECS and EventBridge; `None`: they call these directly.
    pub interceptor: Option<Arc<dyn Interceptor>>,
    /// The test pushes the task's image itself, with [`Stack::push_image`].
    pub without_image: bool,
    /// The test starts the controller itself, with [`Stack::start_controller`].
    pub without_controller: bool,
    /// Another template than the one that ships.
    pub template: Option<String>,
    /// Deploys the environment in the harness' place.
    pub deployed_by: Option<Deploys>,
    /// Each program uses its role's credentials, and policies are enforced.
    pub with_roles: bool,
    /// Parent of the stack's temporary folder; `None`: the system's default.
    pub work: Option<PathBuf>,
}

impl StackOptions {
    /// The stack that people use: of `make demo` and of `make up`.
    pub(crate) fn for_people(environment: &str) -> Self {
        Self {
            environment: environment.to_owned(),
            // A short interval, so that progress shows: the default of 15 s is longer than a short clip takes.
            task_env: vec![("TRANSCODE_HEARTBEAT_SECONDS".to_owned(), "1".to_owned())],
            ..Self::default()
        }
    }

    /// Sets a setting of the controller, such as `("launch.max_tasks", "3")`.
    #[must_use]
    pub fn setting(mut self, key: &str, toml: &str) -> Self {
        self.settings.insert(key.to_owned(), toml.to_owned());
        self
    }
}

/// The deployment of an environment, by the harness unless somebody else does it.
async fn deploy(
    emulator: &Emulator,
    environment: &str,
    folder: &Path,
    template: Option<String>,
    by: Option<Deploys>,
) -> Result<Deployment> {
    if let Some(deploys) = by {
        deploys(&emulator.endpoint, folder)?;
        return Deployment::existing(&emulator.clients, environment).await;
    }
    let template = template.map_or_else(Deployment::shipped, Ok)?;
    // Tests, the demo and the dashboard's picture look at every metric.
    Deployment::create_from(&emulator.clients, environment, template, &[("MetricsDetail", "full")]).await
}

/// A running pipeline. Dropping it ends all its processes and removes all its files; a test that panics prints the ends
/// of the logs first.
#[derive(Debug)]
pub struct Stack {
    // Fields are dropped from the top: the controller before its services, the folder last.
    controller: Option<Process>,
    /// The local Fargate endpoint.
    pub fargate: Fargate,
    emulator: Emulator,
    /// The deployment.
    pub deployment: Deployment,
    /// How to start a controller.
    pub plan: ControllerPlan,
    settings: Settings,
    environment: Vec<(String, String)>,
    _proxies: Vec<Proxy>,
    iam: Option<Iam>,
    folder: Scratch,
}

impl Stack {
    /// Starts a pipeline with the shipped settings.
    pub async fn start() -> Result<Self> {
        Self::with(StackOptions::default()).await
    }

    /// Starts a pipeline.
    pub async fn with(options: StackOptions) -> Result<Self> {
        let folder = Scratch::new(options.work.as_deref())?;
        let logs = folder.path().join("logs");
        std::fs::create_dir(&logs).with_context(|| logs.display().to_string())?;
        let record = folder.path().join("authorizations");
        let emulator = if options.with_roles {
            Emulator::start_enforcing(folder.path(), &logs, &record).await?
        } else {
            Emulator::start(folder.path(), &logs).await?
        };
        let name = if options.environment.is_empty() { "local" } else { &options.environment };
        let deployment = deploy(&emulator, name, folder.path(), options.template, options.deployed_by)
            .await
            .with_context(|| emulator.process().tail(20))?;
        let roles = &deployment.roles;
        let mut iam = if options.with_roles {
            Some(Iam::assume(&emulator.endpoint, roles, Record::at(&record)).await?)
        } else {
            None
        };
        let mut task_env = options.task_env;
        task_env
            .extend(iam.as_ref().map(|iam| iam.environment(&roles.task)).transpose()?.unwrap_or_default());
        let fargate = Fargate::start(&FargateOptions {
            emulator: &emulator.endpoint,
            events_queue: &deployment.events_queue,
            task_program: options.task_program,
            task_env: &task_env,
            args: &options.fargate_args,
            folder: folder.path(),
            logs: &logs,
        })
        .await?;
        let mut environment = controller::environment(&emulator.endpoint, &fargate.endpoint);
        if let Some(iam) = &mut iam {
            let gate = iam.guard(&fargate.endpoint, roles).await?;
            environment = controller::environment(&emulator.endpoint, &gate);
            environment.extend(iam.environment(&roles.controller)?);
        }
        environment.extend(options.controller_env);
        let proxies = match options.interceptor {
            Some(interceptor) => proxied(&mut environment, interceptor).await?,
            None => Vec::new(),
        };
        let (settings, env) = (options.settings, environment.clone());
        let plan = ControllerPlan::new("controller", &deployment, &settings, env, folder.path(), &logs)?;
        let mut stack = Self {
            controller: None,
            fargate,
            emulator,
            deployment,
            plan,
            settings,
            environment,
            _proxies: proxies,
            iam,
            folder,
        };
        if !options.without_image {
            stack.push_image(&Image::default()).await?;
        }
        if !options.without_controller {
            stack.start_controller().await?;
        }
        Ok(stack)
    }

    /// Clients for the emulator's services.
    pub fn clients(&self) -> &Clients {
        &self.emulator.clients
    }

    /// Address of the emulator.
    pub fn endpoint(&self) -> &str {
        &self.emulator.endpoint
    }

    /// The roles' sessions and the record of their calls; an error if the stack was started without roles.
    pub fn iam(&self) -> Result<&Iam> {
        self.iam.as_ref().context("the stack was started without roles")
    }

    /// The environment variables by which a controller's program finds the stack.
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// The same with the credentials of another role.
    pub fn environment_as(&self, role: &str) -> Result<Vec<(String, String)>> {
        let mut env = self.environment.clone();
        env.extend(self.iam()?.environment(role)?);
        Ok(env)
    }

    /// A folder for the test's own files; removed with the stack.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Pushes the task definition's image in place of the existing one. Returns its digest.
    pub async fn push_image(&self, image: &Image) -> Result<String> {
        self.remove_image().await?;
        let repository = &self.deployment.task_repository;
        let digest = images::push(&self.emulator, repository, IMAGE_TAG, image).await?;
        self.fargate.pulls(&images::name(repository, IMAGE_TAG), &digest).await?;
        Ok(digest)
    }

    /// Removes the task definition's image.
    pub async fn remove_image(&self) -> Result<()> {
        images::remove(&self.emulator, &self.deployment.task_repository, IMAGE_TAG).await
    }

    /// Starts the controller and waits until it is ready. A running one is stopped first.
    pub async fn start_controller(&mut self) -> Result<()> {
        self.controller = None;
        self.controller = Some(self.plan.start().await?);
        Ok(())
    }

    /// Starts one more controller beside the first, with the same settings and a name for its files.
    pub async fn another_controller(&self, name: &str) -> Result<Process> {
        let env = self.environment.clone();
        let (folder, logs) = (self.folder.path(), self.folder.path().join("logs"));
        ControllerPlan::new(name, &self.deployment, &self.settings, env, folder, &logs)?.start().await
    }

    /// The log files that the controllers have written: one line of JSON for each event.
    pub fn controller_logs(&self) -> Vec<PathBuf> {
        let logs = std::fs::read_dir(self.folder.path().join("logs")).into_iter().flatten().flatten();
        let files = logs.map(|entry| entry.path());
        let not_ours = |path: &PathBuf| {
            ["emulator", "fargate"].iter().any(|name| path.file_stem() == Some(name.as_ref()))
        };
        files.filter(|path| path.extension() == Some("out".as_ref()) && !not_ours(path)).collect()
    }

    /// The controller's process.
    pub fn controller(&mut self) -> Result<&mut Process> {
        self.controller.as_mut().context("no controller runs")
    }

    /// Kills the controller with SIGKILL, as a crash would.
    pub fn kill_controller(&mut self) -> Result<()> {
        self.controller()?.kill()?;
        self.controller = None;
        Ok(())
    }

    /// Sends the controller a signal and does not wait.
    pub fn signal_controller(&mut self, signal: Signal) -> Result<()> {
        self.controller()?.signal(signal)
    }

    /// Kills the controller with SIGKILL and starts another one.
    pub async fn restart_controller(&mut self) -> Result<()> {
        self.kill_controller()?;
        self.start_controller().await
    }

    /// An error with the end of a log if the emulator, the endpoint or the controller has ended unexpectedly.
    pub fn ensure_alive(&mut self) -> Result<()> {
        self.emulator.ensure_running()?;
        self.fargate.ensure_running()?;
        self.controller.as_mut().map_or(Ok(()), Process::ensure_running)
    }

    /// Process ids of the emulator, the endpoint and the controller.
    pub fn pids(&self) -> Vec<u32> {
        let controller = self.controller.as_ref().map(Process::pid);
        [self.emulator.process().pid(), self.fargate.process().pid()].into_iter().chain(controller).collect()
    }

    /// The ends of all logs, for an error message.
    pub fn tails(&self, lines: usize) -> String {
        let mut text = String::new();
        let logs = std::fs::read_dir(self.folder.path().join("logs")).into_iter().flatten().flatten();
        let mut files: Vec<_> = logs.map(|entry| entry.path()).chain(self.fargate.task_logs()).collect();
        files.sort();
        for file in files.iter().filter(|file| file.is_file()) {
            let log = String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()).into_owned();
            if !log.is_empty() {
                let name = file.strip_prefix(self.folder.path()).unwrap_or(file).display();
                // Writing to a string cannot fail.
                let _ = writeln!(text, "---- end of {name} ----\n{}", last_lines(&log, lines));
            }
        }
        text
    }
}

/// Puts a proxy before each endpoint that the protocol uses; metrics go directly.
async fn proxied(
    environment: &mut [(String, String)],
    interceptor: Arc<dyn Interceptor>,
) -> Result<Vec<Proxy>> {
    let mut proxies = Vec::new();
    for (name, value) in environment {
        let service = name.strip_prefix("AWS_ENDPOINT_URL_").unwrap_or_default();
        if ["S3", "SQS", "ECS", "EVENTBRIDGE"].contains(&service) {
            let proxy = Proxy::start(value, Arc::clone(&interceptor)).await?;
            value.clone_from(&proxy.endpoint);
            proxies.push(proxy);
        }
    }
    Ok(proxies)
}

impl Drop for Stack {
    #[allow(clippy::print_stderr, reason = "a failing test shows what the processes said")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.tails(40));
        }
    }
}
