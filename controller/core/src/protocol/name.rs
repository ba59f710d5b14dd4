//! Names that AWS gives: of tasks and of messages.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    ops::Deref,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

/// A shared name. Names are compared by their id first: the part after the last slash of an ARN, because the part
/// before it is the same for all tasks of a cluster. The first bytes of the id are kept as a number, which nearly
/// always decides the comparison. Every map of tasks and messages compares names all the time.
#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Name {
    head: u64,
    text: Arc<str>,
}

impl Name {
    /// The first eight bytes of the id, in their order; zeros where it is shorter.
    fn head(text: &str) -> u64 {
        let id = text.rsplit('/').next().unwrap_or(text);
        let mut head = [0; 8];
        head.iter_mut().zip(id.bytes()).for_each(|(place, byte)| *place = byte);
        u64::from_be_bytes(head)
    }
}

impl<T: AsRef<str> + Into<Arc<str>>> From<T> for Name {
    fn from(text: T) -> Self {
        Self { head: Self::head(text.as_ref()), text: text.into() }
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.text.as_ref().to_owned()
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.head == other.head && self.text == other.text
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        let by_text = || {
            if Arc::ptr_eq(&self.text, &other.text) { Ordering::Equal } else { self.text.cmp(&other.text) }
        };
        self.head.cmp(&other.head).then_with(by_text)
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ordered_by_their_id_and_told_apart_by_all_of_it() {
        let ordered = [
            "a/1",
            "b/1",
            "a/12345678",
            "arn:aws:ecs:eu-west-1:1:task/c/123456780",
            "arn:aws:ecs:eu-west-1:1:task/c/123456789",
            "9f0c",
            "a/é",
        ];
        for (place, one) in ordered.iter().enumerate() {
            for (other_place, other) in ordered.iter().enumerate() {
                let (one, other) = (Name::from(*one), Name::from(*other));
                assert_eq!(one.cmp(&other), place.cmp(&other_place), "{one:?} {other:?}");
                assert_eq!(one == other, place == other_place, "{one:?} {other:?}");
            }
        }
    }
}
