//! How a person names a job: by its key, or by the object that it is made of.

use std::{convert::Infallible, str::FromStr};

use anyhow::Context;
use clap::Args;
use transcode_config::contract::JobKey;

use crate::cli::output::{address, shown};

/// A job or an object on the command line.
#[derive(Debug, Args)]
#[group(skip)]
pub(in crate::cli) struct Which {
    /// The job's key (32 hexadecimal characters, as in the logs), or the object: its key in the source bucket, or
    /// `s3://BUCKET/KEY`.
    #[arg(value_name = "JOB|KEY", required_unless_present_any = ["job", "key"])]
    what: Option<Named>,
    /// The job by its key.
    #[arg(long, value_name = "JOB", conflicts_with_all = ["what", "key"])]
    job: Option<JobKey>,
    /// The object by its key, whatever that looks like.
    #[arg(long, conflicts_with = "what")]
    key: Option<String>,
    /// Only from this source bucket.
    #[arg(long)]
    bucket: Option<String>,
}

/// A job's key or an object's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum Named {
    /// The job itself.
    Job(JobKey),
    /// Whatever jobs there are of an object.
    Object { bucket: Option<String>, key: String },
}

impl FromStr for Named {
    type Err = Infallible;

    /// An object whose key looks like a job's is named by its address.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        if let Ok(job) = text.parse() {
            return Ok(Self::Job(job));
        }
        Ok(match text.strip_prefix("s3://").and_then(|rest| rest.split_once('/')) {
            Some((bucket, key)) => Self::Object { bucket: Some(bucket.to_owned()), key: key.to_owned() },
            None => Self::Object { bucket: None, key: text.to_owned() },
        })
    }
}

impl Which {
    /// Without a bucket of its own.
    pub(in crate::cli) fn of(what: Named) -> Self {
        Self { what: Some(what), job: None, key: None, bucket: None }
    }

    /// What was named.
    pub(in crate::cli) fn named(&self) -> Named {
        let job = self.job.clone().map(Named::Job);
        let key = self.key.clone().map(|key| Named::Object { bucket: None, key });
        // The command line has one of the three.
        self.what
            .clone()
            .or(job)
            .or(key)
            .unwrap_or_else(|| Named::Object { bucket: None, key: String::new() })
    }

    /// The bucket, if one was named.
    pub(in crate::cli) fn bucket(&self) -> Option<&str> {
        let named = match &self.what {
            Some(Named::Object { bucket, .. }) => bucket.as_deref(),
            Some(Named::Job(_)) | None => None,
        };
        named.or(self.bucket.as_deref())
    }

    /// The newest of the jobs that were found.
    pub(in crate::cli) fn newest(&self, found: &[JobKey]) -> anyhow::Result<JobKey> {
        found.first().cloned().with_context(|| format!("there is no {}; `explain` says why", self.words()))
    }

    /// It in a sentence: `job …`, `job of …`.
    pub(in crate::cli) fn words(&self) -> String {
        match (&self.named(), self.bucket()) {
            (Named::Job(job), _) => format!("job {job}"),
            (Named::Object { key, .. }, Some(bucket)) => format!("job of {}", address(bucket, key)),
            (Named::Object { key, .. }, None) => format!("job of {}", shown(key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_told_from_an_object() {
        let named = |text: &str| text.parse::<Named>().unwrap();
        let object = |bucket: Option<&str>, key: &str| Named::Object {
            bucket: bucket.map(Into::into),
            key: key.into(),
        };
        let job = JobKey::of(&["x"]);
        assert_eq!(named(job.as_str()), Named::Job(job.clone()));
        assert_eq!(named("films/cat.mp4"), object(None, "films/cat.mp4"));
        assert_eq!(named("s3://b/films/cat.mp4"), object(Some("b"), "films/cat.mp4"));
        assert_eq!(named(&format!("s3://b/{job}")), object(Some("b"), job.as_str()));
        assert_eq!(named("s3://b"), object(None, "s3://b"));
    }
}
