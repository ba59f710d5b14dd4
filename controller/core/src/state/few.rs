//! A map for a few entries.
//!
//! Nearly every job has one message and one task, and a fleet has thousands of jobs. A node of a B-tree has room for
//! eleven entries whatever it holds; a sorted vector takes what its entries take.

/// A map in a sorted vector: small, and slow with many entries. Without values (`()`) it is a set.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Few<K, V = ()>(Vec<(K, V)>);

impl<K, V> Default for Few<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord, V> Few<K, V> {
    /// Number of entries.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A value.
    pub fn get(&self, key: &K) -> Option<&V> {
        let at = self.place(key).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// Whether the key has an entry.
    pub fn contains_key(&self, key: &K) -> bool {
        self.place(key).is_ok()
    }

    /// Inserts an entry, in place of one with the same key.
    pub fn put(&mut self, key: K, value: V) {
        match self.place(&key) {
            Ok(at) => self.0.get_mut(at).map_or((), |entry| entry.1 = value),
            Err(at) => {
                // Not the four of the first `push`: most have one entry for all their life.
                self.0.reserve_exact(1);
                self.0.insert(at, (key, value));
            }
        }
    }

    /// Removes an entry.
    pub fn remove(&mut self, key: &K) {
        if let Ok(at) = self.place(key) {
            self.0.remove(at);
        }
    }

    /// All entries, in the order of their keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// All keys, in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> {
        self.0.iter().map(|(key, _)| key)
    }

    /// All values, in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }

    /// All keys, in order.
    pub fn into_keys(self) -> impl Iterator<Item = K> {
        self.0.into_iter().map(|(key, _)| key)
    }

    fn place(&self, key: &K) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.cmp(key))
    }
}

impl<K: Ord> Few<K> {
    /// Inserts a key.
    pub fn insert(&mut self, key: K) {
        self.put(key, ());
    }
}

impl<K: Ord> FromIterator<K> for Few<K> {
    fn from_iter<I: IntoIterator<Item = K>>(keys: I) -> Self {
        let mut few = Self::default();
        keys.into_iter().for_each(|key| few.insert(key));
        few
    }
}

impl<K: Ord, const N: usize> From<[K; N]> for Few<K> {
    fn from(keys: [K; N]) -> Self {
        keys.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_a_map_holds(steps in prop::collection::vec((0_u8..6, any::<Option<u8>>()), 0..40)) {
            let (mut few, mut map) = (Few::default(), BTreeMap::new());
            for (key, value) in steps {
                if let Some(value) = value {
                    few.put(key, value);
                    map.insert(key, value);
                } else {
                    few.remove(&key);
                    map.remove(&key);
                }
                prop_assert!(few.iter().eq(map.iter()) && few.keys().eq(map.keys()) && few.values().eq(map.values()));
                prop_assert_eq!((few.len(), few.is_empty()), (map.len(), map.is_empty()));
                prop_assert_eq!((few.get(&key), few.contains_key(&key)), (map.get(&key), map.contains_key(&key)));
            }
            prop_assert!(few.into_keys().eq(map.into_keys()));
        }
    }
}
