//! How a person names a job: by its key, or by the object that it is made of.

use std::str::FromStr;

use anyhow::Context;
use clap::Args;
use transcode_config::contract::JobKey;

use crate::cli::output::{address, shown};

/// Characters of a job's key that a narrow table shows. Commands take them in place of the key, where only one job's
/// key begins so.
pub(crate) const SHORT_KEY: usize = 12;

/// Fewest characters that are taken for the beginning of a key.
const LEAST_KEY: usize = 8;

/// A job or an object on the command line.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Which {
    /// The job's key (32 hexadecimal characters, as in the logs, or the first 8 or more of them), or the object: its key
    /// in the source bucket, or `s3://BUCKET/KEY`.
    #[arg(value_name = "JOB|KEY", required_unless_present_any = ["job", "key"])]
    what: Option<Named>,
    /// The job by its key, or by the first 8 characters of it or more.
    #[arg(long, value_name = "JOB", conflicts_with_all = ["what", "key"])]
    job: Option<JobBegin>,
    /// The object by its key, whatever that looks like.
    #[arg(long, conflicts_with = "what")]
    key: Option<String>,
    /// Only from this source bucket.
    #[arg(long)]
    bucket: Option<String>,
}

/// A job's key or an object's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Named {
    /// The job itself.
    Job(JobKey),
    /// Whatever jobs there are of an object.
    Object { bucket: Option<String>, key: String },
}

impl FromStr for Named {
    type Err = &'static str;

    /// An object whose key looks like a job's is named by its address.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err("a job's key or an object's, and not nothing");
        }
        if let Ok(job) = text.parse() {
            return Ok(Self::Job(job));
        }
        Ok(match text.strip_prefix("s3://").and_then(|rest| rest.split_once('/')) {
            Some((bucket, key)) => Self::Object { bucket: Some(bucket.to_owned()), key: key.to_owned() },
            None => Self::Object { bucket: None, key: text.to_owned() },
        })
    }
}

/// Whether a word could be the beginning of a job's key.
pub(crate) fn begins_a_job(word: &str) -> bool {
    let hexadecimal = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (LEAST_KEY..32).contains(&word.len()) && word.bytes().all(hexadecimal)
}

/// A job's key, or its beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JobBegin(String);

impl FromStr for JobBegin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = text.parse::<JobKey>().is_ok() || begins_a_job(text);
        let wrong = "a job's key has 32 hexadecimal characters; the first 8 or more of them will do";
        fits.then(|| Self(text.to_owned())).ok_or(wrong)
    }
}

impl From<&JobKey> for JobBegin {
    fn from(job: &JobKey) -> Self {
        Self(job.to_string())
    }
}

impl JobBegin {
    /// Whether a job's key begins so.
    pub(crate) fn takes(&self, job: &JobKey) -> bool {
        job.as_str().starts_with(&self.0)
    }

    /// As a job, or as a word that is looked up.
    fn named(&self) -> Named {
        match self.0.parse() {
            Ok(job) => Named::Job(job),
            Err(_) => Named::Object { bucket: None, key: self.0.clone() },
        }
    }

    /// An error if several of these jobs begin so.
    pub(crate) fn only<'a>(&self, jobs: impl IntoIterator<Item = &'a JobKey>) -> anyhow::Result<()> {
        let mut taken = jobs.into_iter().filter(|job| self.takes(job));
        let first = taken.next();
        anyhow::ensure!(taken.all(|job| Some(job) == first), "{}", ambiguous(&self.0));
        Ok(())
    }
}

/// The error where a beginning is that of several jobs.
pub(super) fn ambiguous(begin: &str) -> String {
    format!("several jobs begin with {begin}: write more of the key")
}

impl Which {
    /// Without a bucket of its own.
    pub(crate) fn of(what: Named) -> Self {
        Self { what: Some(what), job: None, key: None, bucket: None }
    }

    /// What was named.
    pub(crate) fn named(&self) -> Named {
        let job = self.job.as_ref().map(JobBegin::named);
        let key = self.key.clone().map(|key| Named::Object { bucket: None, key });
        // The command line has one of the three.
        self.what
            .clone()
            .or(job)
            .or(key)
            .unwrap_or_else(|| Named::Object { bucket: None, key: String::new() })
    }

    /// The bucket, if one was named.
    pub(crate) fn bucket(&self) -> Option<&str> {
        let named = match &self.what {
            Some(Named::Object { bucket, .. }) => bucket.as_deref(),
            Some(Named::Job(_)) | None => None,
        };
        named.or(self.bucket.as_deref())
    }

    /// The newest of the jobs that were found.
    pub(crate) fn newest(&self, found: &[JobKey]) -> anyhow::Result<JobKey> {
        found.first().cloned().with_context(|| format!("there is no {}; `explain` says why", self.words()))
    }

    /// It in a sentence: `job …`, `job of …`.
    pub(crate) fn words(&self) -> String {
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
        assert!("".parse::<Named>().is_err());
    }
    #[test]
    fn the_beginning_of_a_key_stands_for_one_job() {
        let job = JobKey::of(&["x"]);
        let begin: JobBegin = job.as_str()[..8].parse().unwrap();
        assert!(begin.takes(&job) && !begin.takes(&JobKey::of(&["y"])));
        for wrong in ["", "1a2b3c4", "1A2B3C4D", "films/cat.mp4", &format!("{job}0")] {
            assert!(wrong.parse::<JobBegin>().is_err(), "{wrong}");
        }
        let other: JobKey = format!("{}{}", &job.as_str()[..8], "0".repeat(24)).parse().unwrap();
        assert!(begin.only([&job, &job, &JobKey::of(&["y"])]).is_ok());
        assert!(begin.only([&job, &other]).unwrap_err().to_string().contains("write more"));
    }
}
