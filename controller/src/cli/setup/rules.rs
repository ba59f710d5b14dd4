//! The rules for messages, from the settings.

use std::{collections::BTreeMap, sync::Arc};

use transcode_config::{Settings, ladder::Profile};
use transcode_core::message::Rules;

/// The rules of these settings with own profiles, which take the place of the program's. A profile that the settings name
/// may be missing: then a job that would use it is refused.
pub(crate) fn rules_with(settings: &Settings, own: &BTreeMap<String, Profile>) -> Rules {
    let built_in = Profile::built_in_names()
        .filter_map(|name| Profile::built_in(name).map(|profile| (name.to_owned(), profile)));
    let profiles = built_in.chain(own.clone()).map(|(name, profile)| (name, Arc::new(profile))).collect();
    Rules {
        sources: settings.sources.values().cloned().collect(),
        profiles,
        default_profile: settings.jobs.default_profile.clone(),
        output_bucket: settings.output.bucket.clone(),
        output_root: settings.output.prefix.clone(),
        max_run_seconds: settings.jobs.max_run_seconds,
        max_source_bytes: settings.jobs.max_source_bytes,
    }
}

/// Error if a profile that the settings name is missing: neither the program nor the control document has it.
pub(crate) fn complete(settings: &Settings, rules: &Rules) -> anyhow::Result<()> {
    let named = settings.sources.values().filter_map(|source| source.profile.as_ref());
    let mut named = named.chain([&settings.jobs.default_profile]);
    match named.find(|name| !rules.profiles.contains_key(*name)) {
        None => Ok(()),
        Some(absent) => {
            let known: Vec<_> = rules.profiles.keys().map(String::as_str).collect();
            anyhow::bail!(
                "the settings name profile {absent}, which is not known: `profile put` it, or name one of {}",
                known.join(", ")
            )
        }
    }
}

/// The bucket of an allowed source that covers the key: the named bucket, or the only one that matches.
pub(crate) fn source_bucket<'a>(
    settings: &'a Settings,
    bucket: Option<&str>,
    key: &str,
) -> anyhow::Result<&'a str> {
    let covers = settings.sources.values().filter(|source| {
        key.starts_with(&source.prefix) && bucket.is_none_or(|bucket| bucket == source.bucket)
    });
    let mut buckets: Vec<&str> = covers.map(|source| source.bucket.as_str()).collect();
    buckets.sort_unstable();
    buckets.dedup();
    match buckets[..] {
        [bucket] => Ok(bucket),
        [] => {
            anyhow::bail!("no entry of `sources` in the settings covers s3://{}/{key}", bucket.unwrap_or("…"))
        }
        _ => anyhow::bail!("several sources take this key; name one with --bucket: {}", buckets.join(", ")),
    }
}
