//! `dashboard`: the CloudWatch dashboard of this environment.

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};

use crate::{
    aws::query::partition,
    cli::{output::say, setup::Session},
    dashboard::{Names, body},
};

/// What to do with the dashboard.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Dashboard {
    /// Print its body, or put it into CloudWatch in place of the dashboard of that name.
    what: What,
    /// Its name, for `put`. Default: the name in the template, <environment>-transcode.
    #[arg(long)]
    name: Option<String>,
    /// URL of the runbook in the dashboard's text.
    #[arg(long, default_value = "docs/runbook.md")]
    runbook: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    Print,
    Put,
}

impl Dashboard {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        let body = body(&names(session, &self.runbook)?, session.settings.metrics.detail);
        match self.what {
            What::Print => {
                ensure!(self.name.is_none(), "--name: what is printed has none; it is for `put`");
                say(&body)
            }
            What::Put => self.put(session, body).await,
        }
    }

    async fn put(&self, session: &Session, body: String) -> anyhow::Result<()> {
        let name = self.name.clone().unwrap_or_else(|| format!("{}-transcode", session.settings.environment));
        let put = session.clients.cloudwatch.put_dashboard().dashboard_name(&name).dashboard_body(body);
        let answer = put
            .send()
            .await
            .with_context(|| format!("dashboard {name} cannot be put; it takes cloudwatch:PutDashboard"))?;
        for note in answer.dashboard_validation_messages() {
            let at = note.data_path().unwrap_or("the body");
            tracing::warn!(at, message = note.message(), "CloudWatch has a remark on the dashboard");
        }
        say(&format!("put dashboard {name}\n"))
    }
}

/// The names of this environment. Region, account and the queues' names are taken from the queue's URL:
/// `https://sqs.<region>.amazonaws.com/<account>/<name>`.
fn names(session: &Session, runbook: &str) -> anyhow::Result<Names> {
    let settings = &session.settings;
    let queue = settings.queues.values().next().context("no queue in the settings")?;
    let dead_letters = path(&queue.dead_letter_url)?;
    let region =
        session.clients.cloudwatch.config().region().context("no region: set AWS_REGION")?.to_string();
    // The template's name: the settings do not name the dead-letter queue of the events queue.
    let events = settings.events.queue_url.as_deref().map(path).transpose()?.unwrap_or(("", "events"));
    Ok(Names {
        alarm_arn: format!("arn:{}:cloudwatch:{region}:{}:alarm:", partition(&region), dead_letters.0),
        region,
        environment: settings.environment.clone(),
        namespace: settings.metrics.namespace.clone(),
        dead_letters: dead_letters.1.to_owned(),
        events_dead_letters: format!("{}-dead-letters", events.1),
        runbook: runbook.to_owned(),
    })
}

/// Account and name in a queue's URL.
fn path(url: &str) -> anyhow::Result<(&str, &str)> {
    let mut parts = url.rsplit('/');
    let (name, account) = (parts.next(), parts.next());
    account.zip(name).with_context(|| format!("{url}: not the address of a queue"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_and_name_are_read_from_the_queues_address() {
        let url = "https://sqs.eu-west-1.amazonaws.com/123456789012/prod-dead";
        assert_eq!(path(url).unwrap(), ("123456789012", "prod-dead"));
        assert!(path("prod-dead").is_err());
    }
}
