//! `pause`, `resume`, `drain`: what the controller begins, for the environment, a queue or a tenant. Tasks run on.

use anyhow::ensure;
use clap::Args;
use transcode_config::contract::{Control, Told};

use super::change::{Why, Written, change, told};
use crate::cli::{
    find::tenant,
    output::time,
    setup::{Session, current},
};

/// What is paused.
#[derive(Debug, Args)]
#[group(skip)]
struct Scope {
    /// Only the jobs of this queue of the settings.
    #[arg(long, value_name = "NAME", conflicts_with = "tenant")]
    queue: Option<String>,
    /// Only the jobs of this tenant: `acme`, or as in the logs `uploads/tenants/acme/`.
    #[arg(long)]
    tenant: Option<String>,
}

/// A scope that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Whole,
    Queue(String),
    Tenant(String),
}

impl Scope {
    fn part(&self, session: &Session) -> anyhow::Result<Part> {
        if let Some(queue) = &self.queue {
            let queues = &session.settings.queues;
            let names = || queues.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            ensure!(queues.contains_key(queue), "--queue: the settings have {}", names());
            return Ok(Part::Queue(queue.clone()));
        }
        match &self.tenant {
            Some(wanted) => Ok(Part::Tenant(tenant::meant(&session.settings, wanted)?.name())),
            None => Ok(Part::Whole),
        }
    }
}

impl Part {
    fn words(&self, environment: &str) -> String {
        match self {
            Self::Whole => format!("launches of environment {environment}"),
            Self::Queue(name) => format!("launches of queue {name}"),
            Self::Tenant(name) => format!("launches of tenant {name}"),
        }
    }

    fn name<'a>(&'a self, environment: &'a str) -> &'a str {
        match self {
            Self::Whole => environment,
            Self::Queue(name) | Self::Tenant(name) => name,
        }
    }

    fn told<'a>(&self, control: &'a Control) -> Option<&'a Told> {
        match self {
            Self::Whole => control.paused.as_ref(),
            Self::Queue(name) => control.paused_queues.get(name),
            Self::Tenant(name) => control.paused_tenants.get(name),
        }
    }

    /// The first pause stays: who began it, and why.
    fn pause(&self, control: &mut Control, told: &Told) {
        if self.told(control).is_some() {
            return;
        }
        let told = told.clone();
        match self {
            Self::Whole => control.paused = Some(told),
            Self::Queue(name) => drop(control.paused_queues.insert(name.clone(), told)),
            Self::Tenant(name) => drop(control.paused_tenants.insert(name.clone(), told)),
        }
    }

    fn resume(&self, control: &mut Control) {
        match self {
            Self::Whole => (control.paused, control.drained) = (None, None),
            Self::Queue(name) => drop(control.paused_queues.remove(name)),
            Self::Tenant(name) => drop(control.paused_tenants.remove(name)),
        }
    }
}

fn by(Told { who, why, at_ms }: &Told) -> String {
    format!("since {} by {who} because {why}", time(*at_ms))
}

/// Stop launching; running tasks go on, and their results are published.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Pause {
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    why: Why,
}

impl Pause {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        let part = self.scope.part(session)?;
        let told = self.why.told(session).await?;
        let environment = &session.settings.environment;
        let before = current(session).await?.revision;
        let now = change(session, &told, |control| {
            part.pause(control, &told);
            Ok(())
        })
        .await?;
        let since = part.told(&now).map(by).unwrap_or_default();
        let what = format!("{} are paused {since}", part.words(environment));
        session.output.print(&Written::new(session, before, &now, part.name(environment), what).await)
    }
}

/// Launch again what `pause` and `drain` hold back.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Resume {
    #[command(flatten)]
    scope: Scope,
    /// The reason, if there is more to say than that it is over.
    #[arg(long, value_name = "TEXT", default_value = "")]
    why: String,
}

impl Resume {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        // A queue or tenant that the settings no longer have can be resumed too.
        let environment = &session.settings.environment;
        let held = current(session).await?;
        let part = self.part(session, &held)?;
        let told = told(session, &self.why).await?;
        let now = change(session, &told, |control| {
            part.resume(control);
            Ok(())
        })
        .await?;
        let mut what = format!("{} go on", part.words(environment));
        let still: Vec<_> = now.paused_queues.keys().chain(now.paused_tenants.keys()).cloned().collect();
        if let Some(told) = now.drained.as_ref().or(now.paused.as_ref()) {
            what = format!("{what}; but the environment is held {}", by(told));
        } else if !still.is_empty() {
            what = format!("{what}; still paused: {}", still.join(", "));
        }
        session.output.print(&Written::new(session, held.revision, &now, part.name(environment), what).await)
    }

    fn part(&self, session: &Session, held: &Control) -> anyhow::Result<Part> {
        if let Some(queue) = self.scope.queue.as_ref().filter(|name| held.paused_queues.contains_key(*name)) {
            return Ok(Part::Queue(queue.clone()));
        }
        let wanted = self.scope.tenant.as_deref().unwrap_or_default();
        let mut tenants = held.paused_tenants.keys().filter(|name| tenant::is_called(name, wanted));
        match (tenants.next(), tenants.next()) {
            (Some(tenant), None) => Ok(Part::Tenant(tenant.clone())),
            _ => self.scope.part(session),
        }
    }
}

/// Give back everything that is not launched, and receive nothing; running tasks go on. `resume` ends it.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Drain {
    #[command(flatten)]
    why: Why,
}

impl Drain {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        let told = self.why.told(session).await?;
        let environment = &session.settings.environment;
        let before = current(session).await?.revision;
        let now = change(session, &told, |control| {
            control.drained.get_or_insert_with(|| told.clone());
            Ok(())
        })
        .await?;
        let since = now.drained.as_ref().map(by).unwrap_or_default();
        let what = format!("environment {environment} is drained {since}");
        session.output.print(&Written::new(session, before, &now, environment, what).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_name(who: &str) -> Told {
        Told { who: who.into(), why: "too expensive".into(), at_ms: 1 }
    }

    #[test]
    fn the_first_pause_stays_and_a_resume_ends_pause_and_drain() {
        let mut control = Control { drained: Some(by_name("ann")), ..Control::default() };
        for part in [Part::Whole, Part::Queue("q".into()), Part::Tenant("t/acme/".into())] {
            part.pause(&mut control, &by_name("ann"));
            part.pause(&mut control, &by_name("bob"));
            assert_eq!(part.told(&control), Some(&by_name("ann")), "{part:?}");
        }
        Part::Whole.resume(&mut control);
        assert_eq!((&control.paused, &control.drained), (&None, &None));
        Part::Queue("q".into()).resume(&mut control);
        Part::Tenant("t/acme/".into()).resume(&mut control);
        assert_eq!(control, Control::default());
    }
}
