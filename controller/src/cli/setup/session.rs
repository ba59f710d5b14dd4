//! Settings and clients of a command.

use anyhow::Context;
use transcode_config::Settings;
use transcode_core::{effects::ports::InspectError, message::Rules};

use super::{options::Options, rules::rules};
use crate::{
    aws::{Clients, S3Store},
    cli::output::Output,
};

/// The settings and clients of a command.
pub(in crate::cli) struct Session {
    pub(in crate::cli) settings: Settings,
    pub(in crate::cli) rules: Rules,
    pub(in crate::cli) clients: Clients,
    pub(in crate::cli) store: S3Store,
    pub(in crate::cli) output: Output,
}

/// Runs a command's future to its end.
pub(in crate::cli) fn within<T>(
    options: &Options,
    act: impl AsyncFnOnce(Session) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(async {
        let (settings, output) = (options.settings().await?, options.output());
        let rules = rules(&settings)?;
        let clients = Clients::load(&settings.calls).await;
        let store = S3Store::new(clients.s3.clone(), &settings);
        act(Session { settings, rules, clients, store, output }).await
    })
}

/// An error of the state bucket, for people.
pub(in crate::cli) fn unreadable(error: InspectError) -> anyhow::Error {
    match error {
        InspectError::Call(error) => error.into(),
        InspectError::Unreadable(what) => anyhow::Error::msg(what),
        InspectError::Reused(spec) => anyhow::anyhow!("job {} is of another source", spec.job),
    }
}
