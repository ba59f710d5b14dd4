//! A caller's own words about a job: they come back in its events and in its metadata, and decide nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::escape::hidden;

/// Most bytes of all keys and values together: S3's own limit for `x-amz-meta-*`.
pub const MAX_USER_METADATA: usize = 2048;

/// Longest key, in bytes.
const MAX_KEY: usize = 128;

/// Most entries.
const MAX_ENTRIES: usize = 50;

/// Keys and values, at most [`MAX_USER_METADATA`] bytes of them, without hidden characters.
///
/// A request with anything else is refused ([`Self::asked`]). Of an object's `x-amz-meta-*`, and of a document that
/// somebody else wrote, what does not fit is left out ([`Self::found`]): it must not end a job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(from = "BTreeMap<String, String>")]
pub struct UserMetadata(BTreeMap<String, String>);

impl From<BTreeMap<String, String>> for UserMetadata {
    fn from(pairs: BTreeMap<String, String>) -> Self {
        Self::found(pairs).0
    }
}

impl UserMetadata {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries, by key.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// What a request gives, or what is wrong with it.
    pub fn asked(pairs: BTreeMap<String, String>) -> Result<Self, String> {
        if let Some(key) = pairs.iter().find(|(key, value)| !fits(key, value)).map(|(key, _)| key) {
            let shown: String = key.chars().take(MAX_KEY).collect();
            return Err(format!(
                "`user_metadata`: {shown:?}: a key has 1–{MAX_KEY} bytes, and neither key nor value a hidden character"
            ));
        }
        let bytes: usize = pairs.iter().map(size).sum();
        if bytes > MAX_USER_METADATA || pairs.len() > MAX_ENTRIES {
            return Err(format!(
                "`user_metadata` has {bytes} bytes in {} entries; at most {MAX_USER_METADATA} in {MAX_ENTRIES}",
                pairs.len()
            ));
        }
        Ok(Self(pairs))
    }

    /// What fits of what was found, in the order of the keys, and how many entries were left out.
    pub fn found(pairs: BTreeMap<String, String>) -> (Self, usize) {
        let (mut room, mut kept, all) = (MAX_USER_METADATA, BTreeMap::new(), pairs.len());
        for pair in pairs {
            let bytes = size((&pair.0, &pair.1));
            if fits(&pair.0, &pair.1) && bytes <= room && kept.len() < MAX_ENTRIES {
                room -= bytes;
                kept.insert(pair.0, pair.1);
            }
        }
        let left_out = all - kept.len();
        (Self(kept), left_out)
    }
}

fn size((key, value): (&String, &String)) -> usize {
    key.len() + value.len()
}

fn fits(key: &str, value: &str) -> bool {
    (1..=MAX_KEY).contains(&key.len()) && !key.chars().chain(value.chars()).any(hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_request_is_refused_for_what_an_object_only_loses() {
        let (long, half) = ("k".repeat(129), "v".repeat(1024));
        for bad in [
            pairs(&[("", "x")]),
            pairs(&[(&long, "x")]),
            pairs(&[("a", "x\u{202e}y")]),
            pairs(&[("a\nb", "x")]),
            pairs(&[("a", &half), ("b", &half)]),
            (0..51).map(|n| (n.to_string(), String::new())).collect(),
        ] {
            let why = UserMetadata::asked(bad.clone()).unwrap_err();
            assert!(why.starts_with("`user_metadata`") && !why.contains('\u{202e}'), "{why}");
            let (kept, left_out) = UserMetadata::found(bad.clone());
            assert_eq!((left_out, kept.entries().count()), (1, bad.len() - 1), "{bad:?}");
            assert_eq!(UserMetadata::asked(kept.0.clone()), Ok(kept));
        }
        let good = pairs(&[("user", "42 – Zoë"), ("order", "")]);
        let read: UserMetadata = serde_json::from_str(&serde_json::to_string(&good).unwrap()).unwrap();
        assert_eq!(UserMetadata::asked(good), Ok(read));
    }
}
