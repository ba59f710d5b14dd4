//! Settings and clients of a command.

use std::collections::BTreeMap;

use anyhow::Context;
use aws_config::BehaviorVersion;
use transcode_config::Settings;
use transcode_core::{effects::ports::InspectError, message::Rules};

use super::{options::Options, rules::rules_with};
use crate::{
    aws::{Clients, S3Store, query::Query},
    cli::output::Output,
    evidence::{Evidence, gather},
};

/// The settings and clients of a command.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) settings: Settings,
    /// ARN of the controller's role, where a stack names it.
    pub(crate) controller_role: Option<String>,
    pub(crate) rules: Rules,
    pub(crate) clients: Clients,
    pub(crate) store: S3Store,
    pub(crate) output: Output,
}

impl Session {
    /// What is known of the controller beside its report.
    pub(crate) async fn evidence(&self) -> Evidence {
        let sdk = aws_config::defaults(BehaviorVersion::latest()).load().await;
        gather(&self.settings, &self.clients, &Query::new(sdk, &self.settings.calls)).await
    }
}

/// Runs a command's future to its end.
pub(crate) fn within<T>(
    options: &Options,
    act: impl AsyncFnOnce(Session) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(async {
        let ((settings, controller_role), output) = (options.settings().await?, options.output());
        // Without own profiles: they are in the control document, which not every command reads.
        let rules = rules_with(&settings, &BTreeMap::new());
        let clients = Clients::load(&settings.calls).await;
        let store = S3Store::new(clients.s3.clone(), &settings);
        act(Session { settings, controller_role, rules, clients, store, output }).await
    })
}

/// An error of the state bucket, for people.
pub(crate) fn unreadable(error: InspectError) -> anyhow::Error {
    match error {
        InspectError::Call(error) => error.into(),
        InspectError::Unreadable(what) => anyhow::Error::msg(what),
        InspectError::Reused(spec) => anyhow::anyhow!("job {} is of another source", spec.job),
    }
}
