//! The pipeline with the roles of `deploy/template.yaml`: each program uses its own.
//!
//! The emulator enforces policies for S3, SQS and CloudWatch and records its decisions ([`record`]). It does not check
//! ECS and `iam:PassRole`; a [`gate`] before the local endpoint checks these against the same documents, with an
//! evaluator of this crate ([`policy`]). [`coverage`] compares a run's calls with the roles' permissions.

pub mod call;
mod condition;
pub mod coverage;
pub mod gate;
pub mod policy;
pub mod record;

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use aws_sdk_s3::config::Credentials;

use self::{
    call::Call,
    gate::Gate,
    policy::Policy,
    record::{Decided, Record},
};
use crate::{clients, deployment::Roles};

/// The variables that carry a session.
const VARIABLES: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// Sessions of all roles, and the record of their calls.
#[derive(Debug)]
pub struct Iam {
    sessions: BTreeMap<String, Credentials>,
    record: Record,
    gate: Option<Gate>,
}

impl Iam {
    /// Assumes every role of a deployment.
    pub async fn assume(emulator: &str, roles: &Roles, record: Record) -> Result<Self> {
        let mut all = Self { sessions: BTreeMap::new(), record, gate: None };
        for arn in roles.all() {
            all.assume_also(emulator, arn).await?;
        }
        Ok(all)
    }

    /// Assumes one more role.
    pub async fn assume_also(&mut self, emulator: &str, arn: &str) -> Result<()> {
        let sts = aws_sdk_sts::Client::new(&clients::config(emulator));
        let assume = sts.assume_role().role_arn(arn).role_session_name("tests");
        let answer = assume.send().await.with_context(|| format!("AssumeRole {arn}"))?;
        let got = answer.credentials.with_context(|| format!("no credentials for {arn}"))?;
        let token = Some(got.session_token);
        let keys = Credentials::new(got.access_key_id, got.secret_access_key, token, None, "role");
        self.sessions.insert(arn.to_owned(), keys);
        Ok(())
    }

    /// Puts the gate before an ECS endpoint; returns the gate's URL.
    pub async fn guard(&mut self, ecs: &str, roles: &Roles) -> Result<String> {
        let passed = vec![roles.task.clone(), roles.execution.clone()];
        let gate = Gate::start(ecs, self.record.clone(), passed).await?;
        Ok(self.gate.insert(gate).endpoint.clone())
    }

    /// A role's credentials.
    pub fn credentials(&self, role: &str) -> Result<Credentials> {
        self.sessions.get(role).cloned().with_context(|| format!("the role {role} was not assumed"))
    }

    /// A role's credentials as environment variables.
    pub fn environment(&self, role: &str) -> Result<Vec<(String, String)>> {
        let keys = self.credentials(role)?;
        let token = keys.session_token().unwrap_or_default();
        let values = [keys.access_key_id(), keys.secret_access_key(), token];
        Ok(VARIABLES.into_iter().zip(values).map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// Every decision so far on calls of a role, of the emulator and of the gate.
    pub fn decisions(&self, role: &str) -> Result<Vec<Decided>> {
        let mut all = self.record.decisions()?;
        all.extend(self.gate.iter().flat_map(Gate::decisions));
        all.retain(|decided| decided.role == name(role));
        Ok(all)
    }

    /// The calls of a role, each once.
    pub fn calls(&self, role: &str) -> Result<Vec<Call>> {
        let mut calls: Vec<_> = self.decisions(role)?.into_iter().map(|decided| decided.call).collect();
        calls.sort();
        calls.dedup();
        Ok(calls)
    }

    /// A role's policies as deployed.
    pub fn policies(&self, role: &str) -> Result<Vec<Policy>> {
        self.record.policies(name(role))
    }
}

/// The name in a role's ARN.
fn name(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or_default()
}
