//! The caller's own words about an upload: `x-amz-meta-*` of its object, which come back in the events of its job.

use std::collections::BTreeMap;

use transcode_config::contract::UserMetadata;

use crate::WebError;

/// Names and values of an object's own metadata, without `x-amz-meta-`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectWords(BTreeMap<String, String>);

impl ObjectWords {
    /// With the limits of a header beside those of a job: S3 takes names in lower case, and reads other characters than
    /// ASCII in a value as an encoded word.
    pub fn new(words: BTreeMap<String, String>) -> Result<Self, WebError> {
        let name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
        let value = |c: char| c == ' ' || c.is_ascii_graphic();
        for (key, text) in &words {
            if !key.chars().all(name) || !text.chars().all(value) || text.trim() != text {
                return Err(WebError::refused(format!(
                    "metadata of an object: {key:?}: a name has a–z, 0–9, `-`, `_` and `.`, a value ASCII without spaces at its ends"
                )));
            }
        }
        UserMetadata::asked(words.clone()).map_err(WebError::Refused)?;
        Ok(Self(words))
    }

    /// The entries, by name.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// As the SDK takes them; none if there are none.
    pub fn metadata(&self) -> Option<std::collections::HashMap<String, String>> {
        let entries = self.0.iter().map(|(key, value)| (key.clone(), value.clone()));
        (!self.0.is_empty()).then(|| entries.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_header_would_change_is_refused() {
        let words = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
        for (key, value) in
            [("", "x"), ("User", "x"), ("a b", "x"), ("a:", "x"), ("a", "é"), ("a", " x"), ("a", "x\ny")]
        {
            assert!(ObjectWords::new(words(key, value)).is_err(), "{key:?} {value:?}");
        }
        assert!(ObjectWords::new(words("a", &"x".repeat(2048))).is_err(), "2 KiB in all");
        let good = ObjectWords::new(words("user-id", "42, of two")).unwrap();
        assert_eq!(good.entries().collect::<Vec<_>>(), [("user-id", "42, of two")]);
    }
}
