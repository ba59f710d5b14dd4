//! The thread that starts all processes.
//!
//! The kernel sends a process its parent-death signal when the **thread** that started it ends. Threads of the async
//! runtime come and go, so one thread that lives as long as the endpoint starts every process.

use std::{
    io,
    process::Command,
    sync::{Arc, mpsc},
    thread,
};

use tokio::{process::Child, runtime::Handle, sync::oneshot};

use super::guard::Guard;

type Order = (Command, oneshot::Sender<io::Result<Child>>);

/// Handle of the thread; the thread ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Spawner {
    orders: mpsc::Sender<Order>,
    guard: Arc<Guard>,
}

impl Spawner {
    /// Starts the thread. Must be called inside a runtime, which reaps the children.
    pub(crate) fn start() -> io::Result<Self> {
        let (orders, inbox) = mpsc::channel::<Order>();
        let runtime = Handle::current();
        let guard = Arc::new(Guard::start()?);
        let starting = Arc::clone(&guard);
        thread::Builder::new().name("spawner".to_owned()).spawn(move || {
            let _inside = runtime.enter();
            while let Ok((command, reply)) = inbox.recv() {
                let _ = reply.send(starting.spawn(command));
            }
        })?;
        Ok(Self { orders, guard })
    }

    /// Forgets a process that has ended together with all its descendants.
    pub(crate) fn forget(&self, pid: u32) {
        self.guard.forget(pid);
    }

    /// Starts a process.
    pub(crate) async fn spawn(&self, command: Command) -> io::Result<Child> {
        let (reply, answer) = oneshot::channel();
        let gone = || io::Error::other("the thread that starts processes has ended");
        self.orders.send((command, reply)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}
