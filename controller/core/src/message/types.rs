//! What bodies are read by, and what becomes of them.

use std::{collections::BTreeMap, sync::Arc};

use transcode_config::{
    contract::{Failure, JobKey, JobSpec},
    ladder::Profile,
    settings::SourceSettings,
};

use super::ignored::Ignored;

/// What messages are held against. Taken from the settings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    /// Allowed sources.
    pub sources: Vec<SourceSettings>,
    /// Profiles by name.
    pub profiles: BTreeMap<String, Profile>,
    /// Profile of what names none.
    pub default_profile: String,
    /// Production bucket.
    pub output_bucket: String,
    /// Root of the stable prefixes of sources that have none of their own, with a trailing slash or empty.
    pub output_root: String,
    /// Longest run of one attempt.
    pub max_run_seconds: u64,
    /// Largest source.
    pub max_source_bytes: u64,
}

impl Rules {
    /// The entry of the allow-list that covers an object: the one with the longest prefix.
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
    /// Refused before any attempt. It takes the ordinary way: terminal record, dead letter, delete.
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

    /// Its generation: 0 for an upload, one more for each redrive.
    pub fn generation(&self) -> u32 {
        match self {
            Self::Run(spec) => spec.generation,
            Self::Refuse { generation, .. } => *generation,
        }
    }
}

/// What a body turned out to be.
#[derive(Debug, Clone, PartialEq)]
pub enum Parsed {
    /// Jobs, each key once, and at least one; and the records beside them that ask for none.
    Jobs(Vec<Request>, Vec<Ignored>),
    /// Understood, and nothing to do: the message may be deleted. At least one.
    Ignore(Vec<Ignored>),
    /// Of a version that is not known here. Never deleted (S15).
    Park(String),
}
