//! Rows with an agenda: which have changed, and when each of the others is to be looked at.
//!
//! A controller with 5,000 tasks takes a turn for every answer, and nearly all that it knows is as it was. So a turn
//! looks at the rows that are due and at no others: those that somebody may have changed since the last look, and those
//! for which time alone makes a difference now. Nobody has to remember to say that a row changed: there is no way to
//! change one that does not note it, but for a call that begins. Reading is as in a map.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map},
    ops::Deref,
};

use crate::{clock::Ms, mutant::on};

/// When a row is to be looked at again, unless it changes before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Again {
    /// In the next turn, whenever that is: it depends on what is not its own, such as the rate of calls.
    NextTurn,
    /// From then on (monotonic).
    At(Ms),
    /// Not before it changes.
    Changed,
}

/// Rows by key, each with a time at which it is due.
#[derive(Debug, Clone, PartialEq)]
pub struct Table<K, V> {
    rows: BTreeMap<K, V>,
    /// May have changed: to be looked at in the next turn.
    touched: BTreeSet<K>,
    /// To be looked at in each turn.
    each_turn: BTreeSet<K>,
    /// When the others are due; the same the other way round.
    agenda: BTreeSet<(Ms, K)>,
    due_at: BTreeMap<K, Ms>,
    /// Those that lack nothing but room, by rank; the same the other way round.
    waiting: BTreeSet<(Ms, K)>,
    rank: BTreeMap<K, Ms>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
            touched: BTreeSet::new(),
            each_turn: BTreeSet::new(),
            agenda: BTreeSet::new(),
            due_at: BTreeMap::new(),
            waiting: BTreeSet::new(),
            rank: BTreeMap::new(),
        }
    }
}

impl<K, V> Deref for Table<K, V> {
    type Target = BTreeMap<K, V>;

    fn deref(&self) -> &Self::Target {
        &self.rows
    }
}

impl<'a, K, V> IntoIterator for &'a Table<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = btree_map::Iter<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.rows.iter()
    }
}

impl<K: Ord + Clone, V> Table<K, V> {
    /// A row to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let row = self.rows.get_mut(key)?;
        if !self.touched.contains(key) {
            self.touched.insert(key.clone());
        }
        Some(row)
    }

    /// A row of which a call is about to be made. It was looked at for that, and is left alone until the call is
    /// answered: so it is not due, and it does not wait for room.
    pub fn begin_call(&mut self, key: &K) -> Option<&mut V> {
        self.waits(key, None);
        self.rows.get_mut(key)
    }

    /// A row to be changed, which `make` makes where there is none.
    pub fn or_insert_with(&mut self, key: &K, make: impl FnOnce() -> V) -> &mut V {
        self.touched.insert(key.clone());
        self.rows.entry(key.clone()).or_insert_with(make)
    }

    /// Puts a row there.
    pub fn insert(&mut self, key: K, row: V) {
        self.touched.insert(key.clone());
        self.rows.insert(key, row);
    }

    /// Takes a row away.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.touched.remove(key);
        self.each_turn.remove(key);
        self.forget_time(key);
        self.waits(key, None);
        self.rows.remove(key)
    }

    /// All rows, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.touch_all();
        self.rows.values_mut()
    }

    /// A row is to be looked at in the next turn: something changed that it depends on.
    pub fn touch(&mut self, key: &K) {
        if self.rows.contains_key(key) && !self.touched.contains(key) {
            self.touched.insert(key.clone());
        }
    }

    /// So is every row.
    pub fn touch_all(&mut self) {
        self.touched.extend(self.rows.keys().cloned());
    }

    /// What may have changed.
    pub fn touched(&self) -> impl Iterator<Item = &K> {
        self.touched.iter()
    }

    /// What a turn at `now` looks at, in no order that means anything, each once.
    pub fn due(&self, now: Ms) -> impl Iterator<Item = (&K, &V)> {
        let each_turn = self.each_turn.iter().filter(|key| !self.touched.contains(*key));
        let touched = self.touched.iter().chain(each_turn).filter_map(|key| self.rows.get_key_value(key));
        touched.chain(self.timed(now).filter(|(key, _)| !self.soon(key)))
    }

    /// Looked at in the next turn, whenever that is.
    fn soon(&self, key: &K) -> bool {
        self.touched.contains(key) || self.each_turn.contains(key)
    }

    /// Rows whose time is not later than this.
    pub fn timed(&self, until: Ms) -> impl Iterator<Item = (&K, &V)> {
        let due = self.agenda.iter().take_while(move |(at, _)| *at <= until);
        due.filter_map(|(_, key)| self.rows.get_key_value(key))
    }

    /// When the next row is due by its time alone.
    pub fn next_at(&self) -> Option<Ms> {
        self.agenda.first().map(|(at, _)| *at)
    }

    /// The same, without those that are due at `now`.
    pub fn next_after(&self, now: Ms) -> Option<Ms> {
        self.agenda.iter().map(|(at, _)| *at).find(|at| *at > now)
    }

    /// A row has been looked at.
    pub fn looked(&mut self, key: &K, again: Again) {
        if !self.rows.contains_key(key) {
            return;
        }
        let at = if let Again::At(at) = again { Some(at).filter(|_| !on(58)) } else { None };
        self.touched.remove(key);
        if again == Again::NextTurn {
            self.each_turn.insert(key.clone());
        } else {
            self.each_turn.remove(key);
        }
        if self.due_at.get(key).copied() == at {
            return;
        }
        self.forget_time(key);
        if let Some(at) = at {
            self.agenda.insert((at, key.clone()));
            self.due_at.insert(key.clone(), at);
        }
    }

    /// A row waits for room, at this rank, or does not.
    pub fn waits(&mut self, key: &K, rank: Option<Ms>) {
        if self.rank.get(key).copied() == rank {
            return;
        }
        if let Some((key, rank)) = self.rank.remove_entry(key) {
            self.waiting.remove(&(rank, key));
        }
        if let Some(rank) = rank.filter(|_| self.rows.contains_key(key)) {
            self.waiting.insert((rank, key.clone()));
            self.rank.insert(key.clone(), rank);
        }
    }

    /// Whether any row waits for room.
    pub fn anyone_waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Those that wait for room, in their order, but for the ones that a turn at `now` looks at anyway.
    pub fn in_line(&self, now: Ms) -> impl Iterator<Item = (&K, &V)> {
        let due = move |key: &K| self.soon(key) || self.due_at.get(key).is_some_and(|at| *at <= now);
        let others = self.waiting.iter().filter(move |(_, key)| !due(key));
        others.filter_map(|(_, key)| self.rows.get_key_value(key))
    }

    fn forget_time(&mut self, key: &K) {
        if let Some((key, at)) = self.due_at.remove_entry(key) {
            self.agenda.remove(&(at, key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(table: &Table<&'static str, u32>, now: Ms) -> Vec<&'static str> {
        let mut keys: Vec<_> = table.due(now).map(|(key, _)| *key).collect();
        keys.sort_unstable();
        keys
    }

    fn table() -> Table<&'static str, u32> {
        let mut table = Table::default();
        for (number, key) in ["a", "b", "c"].into_iter().enumerate() {
            table.insert(key, u32::try_from(number).unwrap_or_default());
            table.looked(&key, Again::Changed);
        }
        table
    }

    #[test]
    fn a_row_is_due_once_it_may_have_changed() {
        let mut table = table();
        assert!(due(&table, Ms::MAX).is_empty());
        assert!(table.get(&"a").is_some() && due(&table, 0).is_empty(), "reading changes nothing");
        assert!(table.get_mut(&"b").is_some() && table.get_mut(&"x").is_none());
        table.touch(&"x");
        *table.or_insert_with(&"c", || 0) += 1;
        table.or_insert_with(&"d", || 4);
        assert_eq!(due(&table, 0), ["b", "c", "d"]);
        table.remove(&"b");
        table.looked(&"c", Again::Changed);
        assert_eq!(due(&table, 0), ["d"]);
        assert_eq!(table.values_mut().count(), 3);
        assert_eq!(due(&table, 0), ["a", "c", "d"]);
    }

    #[test]
    fn a_row_is_due_at_its_time_and_once_only() {
        let mut table = table();
        table.looked(&"a", Again::At(20));
        table.looked(&"b", Again::At(10));
        assert_eq!((table.next_at(), due(&table, 9), due(&table, 10)), (Some(10), vec![], vec!["b"]));
        assert_eq!([9, 10, 20].map(|now| table.next_after(now)), [Some(10), Some(20), None]);
        table.touch(&"b");
        assert_eq!(due(&table, 20), ["a", "b"], "touched and timed, yet once");
        table.looked(&"b", Again::At(30));
        assert_eq!((due(&table, 20), due(&table, 30)), (vec!["a"], vec!["a", "b"]), "the newest time counts");
        table.remove(&"a");
        assert_eq!(table.next_at(), Some(30));
    }

    #[test]
    fn what_waits_for_room_stands_in_line() {
        let mut table = table();
        let line =
            |table: &Table<&'static str, u32>| -> Vec<_> { table.in_line(5).map(|(key, _)| *key).collect() };
        table.waits(&"b", Some(1));
        table.waits(&"a", Some(2));
        table.waits(&"x", Some(0));
        assert_eq!((line(&table), due(&table, 5), table.anyone_waits()), (vec!["b", "a"], vec![], true));
        table.touch(&"b");
        assert_eq!((line(&table), due(&table, 5)), (vec!["a"], vec!["b"]), "looked at once");
        table.looked(&"b", Again::At(5));
        assert_eq!((line(&table), due(&table, 5)), (vec!["a"], vec!["b"]));
        table.waits(&"b", Some(3));
        table.looked(&"b", Again::Changed);
        assert_eq!(line(&table), ["a", "b"], "the newest rank counts");
        table.remove(&"a");
        table.waits(&"b", None);
        assert!(!table.anyone_waits() && line(&table).is_empty());
    }

    #[test]
    fn what_depends_on_others_is_due_in_every_turn_and_wakes_nobody() {
        let mut table = table();
        table.looked(&"a", Again::At(20));
        table.looked(&"a", Again::NextTurn);
        assert_eq!((table.next_at(), due(&table, 0)), (None, vec!["a"]));
        table.looked(&"a", Again::NextTurn);
        assert_eq!(due(&table, 0), ["a"]);
    }
}
