//! `--user-metadata`: the caller's own words about a job.

use std::collections::BTreeMap;

use anyhow::ensure;
use clap::Args;
use transcode_web::upload::ObjectWords;

/// The caller's own words.
#[derive(Debug, Default, Args)]
#[group(skip)]
pub(crate) struct WordArgs {
    /// Words of your own that come back in the job's events, in `manifest.json` and in `metadata.json`; can be given again.
    #[arg(long = "user-metadata", value_name = "KEY=VALUE", value_parser = pair)]
    user_metadata: Vec<(String, String)>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl WordArgs {
    /// The words by key. The reader of the request checks their limits.
    pub(crate) fn words(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let words: BTreeMap<_, _> = self.user_metadata.iter().cloned().collect();
        ensure!(words.len() == self.user_metadata.len(), "--user-metadata: a key is given twice");
        Ok(words)
    }

    /// The same as metadata of an object.
    pub(crate) fn of_object(&self) -> anyhow::Result<ObjectWords> {
        Ok(ObjectWords::new(self.words()?)?)
    }
}
