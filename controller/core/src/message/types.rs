//! The rules for reading bodies, and the result of reading one.

use std::{collections::BTreeMap, sync::Arc};

use transcode_config::{
    contract::{Failure, JobKey, JobSpec},
    ladder::Profile,
    settings::SourceSettings,
};

use super::ignored::Ignored;

/// The rules that each message is checked against. Taken from the settings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    /// Allowed sources.
    pub sources: Vec<SourceSettings>,
    /// Profiles by name.
    pub profiles: BTreeMap<String, Arc<Profile>>,
    /// Profile of a request that names none.
    pub default_profile: String,
    /// Production bucket.
    pub output_bucket: String,
    /// Root of the stable prefixes for sources without a root of their own; ends with a slash, or is empty.
    pub output_root: String,
    /// Longest run of one attempt, in seconds.
    pub max_run_seconds: u64,
    /// Largest source, in bytes.
    pub max_source_bytes: u64,
}

impl Rules {
    /// The entry of the allow-list with the longest prefix that covers an object.
    pub(crate) fn source_of(&self, bucket: &str, key: &str) -> Option<&SourceSettings> {
        let covers = |allowed: &&SourceSettings| allowed.bucket == bucket && key.starts_with(&allowed.prefix);
        self.sources.iter().filter(covers).max_by_key(|allowed| allowed.prefix.len())
    }
}

/// One job that a message asks for.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub enum Request {
    /// Run it.
    Run(Arc<JobSpec>),
    /// Refused before any attempt. The job still gets a terminal record and a dead letter, and then its message is
    /// deleted.
    Refuse { job: JobKey, generation: u32, failure: Failure },
}

impl Request {
    /// The job.
    pub fn job(&self) -> &JobKey {
        match self {
            Self::Run(spec) => &spec.job,
            Self::Refuse { job, .. } => job,
        }
    }

    /// The job's generation: 0 for an upload, one more for each redrive.
    pub fn generation(&self) -> u32 {
        match self {
            Self::Run(spec) => spec.generation,
            Self::Refuse { generation, .. } => *generation,
        }
    }
}

/// The result of reading a body.
#[derive(Debug, Clone, PartialEq)]
pub enum Parsed {
    /// At least one job, each key once; and the records of the same body that ask for none.
    Jobs(Vec<Request>, Vec<Ignored>),
    /// Understood, and nothing to do: the message may be deleted. Holds at least one record.
    Ignore(Vec<Ignored>),
    /// Of a version that this program does not know. Never deleted (S15). Holds the reason.
    Park(String),
}
