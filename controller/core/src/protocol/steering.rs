//! What people want of the controller: the control document as decisions need it.

use std::{collections::BTreeMap, fmt};

use transcode_config::contract::{Cancel, Cancels, Control, JobKey, Told};

use crate::protocol::clock::Ms;

/// What people want of the controller. The default: nobody wants anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Steering {
    /// Revision of the control document.
    pub revision: u64,
    /// Who wrote that revision, and why.
    pub last: Option<Told>,
    /// Nothing is received, claimed or launched.
    pub paused: Option<Told>,
    /// All messages are given back too.
    pub drained: Option<Told>,
    /// Queues from which nothing is received, claimed or launched.
    pub queues: BTreeMap<String, Told>,
    /// Tenants whose jobs are not claimed or launched.
    pub tenants: BTreeMap<String, Told>,
    /// Cancelled jobs.
    jobs: BTreeMap<JobKey, Told>,
    /// Cancels of many jobs, oldest first.
    many: Vec<Cancel>,
}

impl From<&Control> for Steering {
    fn from(control: &Control) -> Self {
        let mut steering = Self {
            revision: control.revision,
            last: control.last.clone(),
            paused: control.paused.clone(),
            drained: control.drained.clone(),
            queues: control.paused_queues.clone(),
            tenants: control.paused_tenants.clone(),
            ..Self::default()
        };
        for cancel in &control.cancels {
            match &cancel.what {
                Cancels::Job(job) => drop(steering.jobs.insert(job.clone(), cancel.told.clone())),
                Cancels::Tenant(_) | Cancels::Prefix { .. } => steering.many.push(cancel.clone()),
            }
        }
        steering
    }
}

/// A job as a cancel may name it.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Named<'a> {
    pub job: &'a JobKey,
    /// Bucket and key of the source, where known.
    pub source: Option<(&'a str, &'a str)>,
    /// Name of the tenant, if the source has tenants.
    pub tenant: Option<&'a str>,
    /// When the job was asked for (ms since 1970), where known.
    pub asked_at_ms: Option<Ms>,
}

impl Steering {
    /// Who cancelled a job. A cancel of many jobs is only for those that were asked for before it.
    pub fn cancel_of(&self, named: Named<'_>) -> Option<&Told> {
        let covers = |cancel: &&Cancel| {
            let earlier = named.asked_at_ms.is_some_and(|at| at < cancel.told.at_ms);
            earlier
                && match &cancel.what {
                    Cancels::Job(_) => false,
                    Cancels::Tenant(tenant) => named.tenant == Some(tenant),
                    Cancels::Prefix { bucket, prefix } => {
                        named.source.is_some_and(|(of, key)| of == bucket && key.starts_with(prefix))
                    }
                }
        };
        self.jobs.get(named.job).or_else(|| self.many.iter().find(covers).map(|cancel| &cancel.told))
    }

    /// The changes from `before` to this, in the order of the fields.
    pub fn since(&self, before: &Self) -> Vec<Steered> {
        let mut changes = Vec::new();
        let mut whole = |was: &Option<Told>, is: &Option<Told>, begins: Wanted, ends: Wanted| match is {
            Some(told) if was.as_ref() != Some(told) => {
                changes.push(Steered { what: begins, told: Some(told.clone()) });
            }
            None if was.is_some() => changes.push(Steered { what: ends, told: self.last.clone() }),
            _ => {}
        };
        whole(&before.drained, &self.drained, Wanted::Drain, Wanted::Undrain);
        whole(&before.paused, &self.paused, Wanted::Pause(Part::All), Wanted::Resume(Part::All));
        changes.extend(self.parts(&before.queues, &self.queues, Part::Queue));
        changes.extend(self.parts(&before.tenants, &self.tenants, Part::Tenant));
        let jobs = self.jobs.iter().filter(|(job, told)| before.jobs.get(*job) != Some(told));
        let jobs = jobs.map(|(job, told)| (Cancels::Job(job.clone()), told));
        let many = self.many.iter().filter(|cancel| !before.many.contains(cancel));
        let many = many.map(|cancel| (cancel.what.clone(), &cancel.told));
        let cancels = jobs.chain(many);
        changes.extend(
            cancels.map(|(what, told)| Steered { what: Wanted::Cancel(what), told: Some(told.clone()) }),
        );
        changes
    }

    fn parts<'a>(
        &'a self,
        before: &'a BTreeMap<String, Told>,
        now: &'a BTreeMap<String, Told>,
        part: fn(String) -> Part,
    ) -> impl Iterator<Item = Steered> {
        let begun = now.iter().filter(|(name, told)| before.get(*name) != Some(told));
        let begun = begun.map(move |(name, told)| Steered {
            what: Wanted::Pause(part(name.clone())),
            told: Some(told.clone()),
        });
        let ended = before.keys().filter(|name| !now.contains_key(*name));
        let ended = ended
            .map(move |name| Steered { what: Wanted::Resume(part(name.clone())), told: self.last.clone() });
        begun.chain(ended)
    }
}

/// What a pause is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The whole environment.
    All,
    /// One queue.
    Queue(String),
    /// One tenant.
    Tenant(String),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("the whole environment"),
            Self::Queue(queue) => write!(f, "queue {queue}"),
            Self::Tenant(tenant) => write!(f, "tenant {tenant}"),
        }
    }
}

/// Something that a person wants.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Wanted {
    Pause(Part),
    Resume(Part),
    Drain,
    Undrain,
    Cancel(Cancels),
}

/// A change of what people want.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Steered {
    pub what: Wanted,
    /// By whom, why, and when; `None` if the document does not say.
    pub told: Option<Told>,
}

/// "paused by ann because: too expensive", for notes and log lines.
pub fn by(done: &str, Told { who, why, .. }: &Told) -> String {
    if why.is_empty() { format!("{done} by {who}") } else { format!("{done} by {who} because: {why}") }
}
