//! The machine's side: processes, folders, memory, the queue. A thin shell around [`crate::model`].

pub(crate) mod clock;
pub(crate) mod driver;
pub(crate) mod folder;
pub(crate) mod guard;
pub(crate) mod logs;
pub(crate) mod memory;
pub(crate) mod process;
pub(crate) mod processes;
pub(crate) mod publish;
pub(crate) mod shared;
pub(crate) mod spawner;
