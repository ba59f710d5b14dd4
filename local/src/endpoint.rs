//! Starting and stopping the whole endpoint.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::mpsc};

use crate::{
    client::{ClientError, JsonClient},
    config::Config,
    host::{
        clock::millis,
        folder, memory, processes, publish,
        shared::{Parts, Shared},
        spawner::Spawner,
    },
    http::{routes, server},
    model::{
        machine::Timing,
        names::Names,
        state::{EndpointState, Settings},
        task::Phase,
        tokens::Lifetimes,
    },
    upstream::Upstream,
};

/// How long stopping waits for killed processes to be reaped.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the endpoint did not start.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub enum ServeError {
    /// The address is not on loopback: whoever reaches the endpoint can start programs.
    #[error("{0} is not on loopback")]
    NotLoopback(SocketAddr),
    /// The upstream or events endpoint is not usable.
    #[error(transparent)]
    Endpoint(#[from] ClientError),
    /// A folder, the listener, the first thread or the guard.
    #[error("{what}: {source}")]
    Io { what: &'static str, source: io::Error },
}

/// A running endpoint. Dropping it kills its tasks without waiting; [`Server::shutdown`] waits.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
}

/// Starts the endpoint inside the current runtime and returns once it listens.
pub async fn serve(mut config: Config) -> Result<Server, ServeError> {
    if !config.listen.ip().is_loopback() {
        return Err(ServeError::NotLoopback(config.listen));
    }
    let upstream = config.upstream_ecs.as_deref().map(Upstream::new).transpose()?;
    if let Some(target) = &config.events {
        // Only checks the address; the SDK's own client sends.
        JsonClient::new(&target.endpoint)?;
    }
    let failed = |what| move |source| ServeError::Io { what, source };
    std::fs::create_dir_all(&config.work_dir).map_err(failed("making the working folder"))?;
    // Tasks run in folders of their own, so their paths must not depend on this program's.
    config.work_dir = config.work_dir.canonicalize().map_err(failed("finding the working folder"))?;
    let listener = TcpListener::bind(config.listen).await.map_err(failed("listening"))?;
    let address = listener.local_addr().map_err(failed("listening"))?;
    let (sender, receiver) = mpsc::channel(publish::MAX_WAITING);
    let shared = Shared::new(Parts {
        endpoint: format!("http://{address}"),
        spawner: Spawner::start().map_err(failed("starting the guard or its thread"))?,
        upstream,
        state: EndpointState::new(settings(&config)),
        events: config.events.as_ref().map(|_| sender),
        config,
    });
    if let Some(target) = shared.config.events.clone() {
        tokio::spawn(publish::publish(Arc::clone(&shared), target, receiver));
    }
    tokio::spawn(memory::watch(Arc::clone(&shared), shared.config.memory_poll));
    tokio::spawn(server::listen(listener, routes::all(Arc::clone(&shared)), shared.stop.clone()));
    tracing::info!(endpoint = %shared.endpoint, "listening");
    Ok(Server { shared, address })
}

fn settings(config: &Config) -> Settings {
    Settings {
        names: Names { region: config.region.clone(), account: config.account.clone() },
        timing: Timing {
            provisioning: millis(config.delays.provisioning),
            pending: millis(config.delays.pending),
            deprovisioning: millis(config.delays.deprovisioning),
            stop_timeout_cap: config.stop_timeout_cap.map(millis),
        },
        tokens: Lifetimes {
            longest: millis(config.token_lifetime),
            after_stop: millis(config.token_after_stop),
        },
        stopped_lifetime: millis(config.stopped_lifetime),
        max_live: config.max_live_tasks,
        max_stopped: config.max_stopped_tasks,
        events: config.events.is_some(),
    }
}

impl Server {
    /// `http://127.0.0.1:PORT`, for `AWS_ENDPOINT_URL_ECS`.
    pub fn endpoint(&self) -> &str {
        &self.shared.endpoint
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening, kills every task's processes and waits until they are gone. Folders of tasks that left
    /// nothing are removed.
    pub async fn shutdown(self) {
        self.close();
        let shared = Arc::clone(&self.shared);
        shared.running.close();
        let reaped = async {
            loop {
                self.kill_tasks();
                // A task may just have been starting: checks again.
                if tokio::time::timeout(Duration::from_millis(50), shared.running.wait()).await.is_ok() {
                    return;
                }
            }
        };
        if tokio::time::timeout(STOP_TIMEOUT, reaped).await.is_err() {
            tracing::error!("some tasks' processes did not end");
        }
        for (id, job) in self.unfinished() {
            folder::clean(&shared, &id, job);
        }
    }

    fn close(&self) {
        self.shared.update(|state, _| state.closed = true);
        self.shared.stop.cancel();
    }

    fn kill_tasks(&self) {
        let pids: Vec<u32> =
            self.shared.update(|state, _| state.tasks().flat_map(|(_, task)| task.pids()).collect());
        pids.into_iter().for_each(processes::kill_all_of);
    }

    fn unfinished(&self) -> Vec<(String, Option<String>)> {
        self.shared.update(|state, _| {
            let open = state.tasks().filter(|(_, task)| task.phase != Phase::Stopped && !task.cleaned);
            open.map(|(_, task)| (task.id.clone(), task.job.clone())).collect()
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.close();
        self.kill_tasks();
    }
}
