//! Rows with an agenda: which rows have changed, and when each of the others is due.
//!
//! A controller with 5,000 tasks takes a turn for every answer, and nearly all rows are unchanged. So a turn visits
//! only the rows that are due: rows that may have changed since their last visit, and rows whose time has come. A
//! caller cannot forget to mark a changed row: every mutable access marks it, except [`Agenda::begin_call`],
//! [`Agenda::retime`] and [`Agenda::unmarked_mut`]. Reading
//! works as in a map.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    mem,
};

use crate::{
    protocol::clock::Ms,
    weakness::{Weakness, weak},
};

/// When a row is visited again, unless it changes before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Requeue {
    /// In every turn: the row depends on something outside it, such as the rate of calls.
    EachTurn,
    /// At this time (monotonic).
    At(Ms),
    /// Only when it changes.
    OnChange,
}

/// The place of a row among those that wait for a slot: its line, and its rank in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// The line: a tenant's number.
    pub line: u32,
    /// The rank: a time, in the unit of the caller. Smaller values come first.
    pub since: u64,
}

/// Rows by key, each with a time at which it is due.
#[derive(Debug, Clone, PartialEq)]
pub struct Agenda<K, V> {
    /// Boxed: nodes of a map are a third empty, and rows are large.
    rows: BTreeMap<K, Box<Row<V>>>,
    lists: Lists<K>,
}

/// A row and its place in the lists.
#[derive(Debug, Clone, PartialEq)]
struct Row<V> {
    value: V,
    place: Place,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Place {
    touched: bool,
    each_turn: bool,
    due_at: Option<Ms>,
    rank: Option<Rank>,
}

impl Place {
    /// Whether the row is visited in the next turn.
    fn soon(self) -> bool {
        self.touched || self.each_turn
    }

    /// Whether a turn at `now` visits the row.
    fn due(self, now: Ms) -> bool {
        self.soon() || self.due_at.is_some_and(|at| at <= now)
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Lists<K> {
    /// Rows that may have changed: visited in the next turn.
    touched: BTreeSet<K>,
    /// Rows that are visited in each turn.
    each_turn: BTreeSet<K>,
    /// Due times of the other rows.
    agenda: BTreeSet<(Ms, K)>,
    /// Rows that lack only a free slot, by line and rank.
    lines: BTreeMap<u32, BTreeSet<(u64, K)>>,
    /// The number of rows in `lines`.
    waiting: usize,
}

/// Moves a row's entry in a list from its old place to its new one, if the two differ.
fn moved<T: Copy + PartialEq, E: Ord>(
    list: &mut BTreeSet<E>,
    from: T,
    to: T,
    entry: impl Fn(T) -> Option<E>,
) {
    if from != to {
        entry(from).map(|old| list.remove(&old));
        list.extend(entry(to));
    }
}

impl<K: Ord + Clone> Lists<K> {
    fn touch(&mut self, key: &K, place: &mut Place) {
        if !mem::replace(&mut place.touched, true) {
            self.touched.insert(key.clone());
        }
    }

    /// Gives a row a new place.
    fn put(&mut self, key: &K, place: &mut Place, new: Place) {
        let listed = |is: bool| is.then(|| key.clone());
        let timed = |at: Option<Ms>| at.map(|at| (at, key.clone()));
        moved(&mut self.touched, place.touched, new.touched, listed);
        moved(&mut self.each_turn, place.each_turn, new.each_turn, listed);
        moved(&mut self.agenda, place.due_at, new.due_at, timed);
        if place.rank != new.rank {
            place.rank.into_iter().for_each(|rank| self.leaves(rank, key));
            new.rank.into_iter().for_each(|rank| self.joins(rank, key));
        }
        *place = new;
    }

    fn joins(&mut self, rank: Rank, key: &K) {
        self.lines.entry(rank.line).or_default().insert((rank.since, key.clone()));
        self.waiting += 1;
    }

    fn leaves(&mut self, rank: Rank, key: &K) {
        if let Entry::Occupied(mut line) = self.lines.entry(rank.line) {
            self.waiting -= usize::from(line.get_mut().remove(&(rank.since, key.clone())));
            if line.get().is_empty() {
                line.remove();
            }
        }
    }

    fn requeue(&mut self, key: &K, place: &mut Place, requeue: Requeue, rank: Option<Rank>) {
        let due_at = if let Requeue::At(at) = requeue {
            Some(at).filter(|_| !weak(Weakness::ForgetsWhenDue))
        } else {
            None
        };
        let each_turn = requeue == Requeue::EachTurn;
        self.put(key, place, Place { touched: false, each_turn, due_at, rank });
    }
}

impl<K, V> Default for Agenda<K, V> {
    fn default() -> Self {
        let lists = Lists {
            touched: BTreeSet::new(),
            each_turn: BTreeSet::new(),
            agenda: BTreeSet::new(),
            lines: BTreeMap::new(),
            waiting: 0,
        };
        Self { rows: BTreeMap::new(), lists }
    }
}

impl<K, V> Agenda<K, V> {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All rows with their keys, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.rows.iter().map(|(key, row)| (key, &row.value))
    }

    /// All keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.rows.keys()
    }

    /// All rows, in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.rows.values().map(|row| &row.value)
    }
}

impl<K: Ord + Clone, V> Agenda<K, V> {
    /// A row.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key).map(|row| &row.value)
    }

    /// A row and its key.
    pub fn get_key_value(&self, key: &K) -> Option<(&K, &V)> {
        self.rows.get_key_value(key).map(|(key, row)| (key, &row.value))
    }

    /// Whether the key has a row.
    pub fn contains_key(&self, key: &K) -> bool {
        self.rows.contains_key(key)
    }

    /// A row, mutable. Marks it as changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let row = self.rows.get_mut(key)?;
        self.lists.touch(key, &mut row.place);
        Some(&mut row.value)
    }

    /// A row whose call is about to begin, mutable. The row is not due and waits for no slot until the call is
    /// answered.
    pub fn begin_call(&mut self, key: &K) -> Option<&mut V> {
        let row = self.rows.get_mut(key)?;
        let place = Place { rank: None, ..row.place };
        self.lists.put(key, &mut row.place, place);
        Some(&mut row.value)
    }

    /// A row, mutable; `make` creates it if it does not exist. Marks it as changed.
    pub fn or_insert_with(&mut self, key: &K, make: impl FnOnce() -> V) -> &mut V {
        let new = || Box::new(Row { value: make(), place: Place::default() });
        let row = self.rows.entry(key.clone()).or_insert_with(new);
        self.lists.touch(key, &mut row.place);
        &mut row.value
    }

    /// Inserts a row and marks it as changed.
    pub fn insert(&mut self, key: K, value: V) {
        let mut place = self.rows.get(&key).map(|row| row.place).unwrap_or_default();
        self.lists.touch(&key, &mut place);
        self.rows.insert(key, Box::new(Row { value, place }));
    }

    /// Removes a row.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let mut row = self.rows.remove(key)?;
        self.lists.put(key, &mut row.place, Place::default());
        Some(row.value)
    }

    /// All rows, mutable. Marks all of them as changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.touch_all();
        self.rows.values_mut().map(|row| &mut row.value)
    }

    /// All rows with their keys, mutable, and not marked as changed: for changes that make no row due sooner.
    pub fn unmarked_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.rows.iter_mut().map(|(key, row)| (key, &mut row.value))
    }

    /// Changes a row without marking it as changed, and sets when it is due, unless it is marked already. For changes that
    /// nothing else depends on.
    pub fn retime(&mut self, key: &K, change: impl FnOnce(&mut V) -> Requeue) {
        if let Some(row) = self.rows.get_mut(key) {
            let requeue = change(&mut row.value);
            let Place { touched, rank, .. } = row.place;
            if !touched {
                self.lists.requeue(key, &mut row.place, requeue, rank);
            }
        }
    }

    /// Marks a row as changed, because something that it depends on has changed.
    pub fn touch(&mut self, key: &K) {
        if let Some(row) = self.rows.get_mut(key) {
            self.lists.touch(key, &mut row.place);
        }
    }

    /// Marks every row as changed.
    pub fn touch_all(&mut self) {
        self.rows.iter_mut().for_each(|(key, row)| self.lists.touch(key, &mut row.place));
    }

    /// The rows that may have changed.
    pub fn touched(&self) -> impl Iterator<Item = (&K, &V)> {
        self.lists.touched.iter().filter_map(|key| self.get_key_value(key))
    }

    /// The rows that a turn at `now` visits, each once, in no particular order.
    pub fn due(&self, now: Ms) -> impl Iterator<Item = (&K, &V)> {
        let touched = self.lists.touched.iter().filter_map(|key| self.row(key));
        let each_turn = self.lists.each_turn.iter().filter_map(|key| self.row(key));
        let timed = self.lists.agenda.iter().take_while(move |(at, _)| *at <= now);
        let timed = timed.filter_map(|(_, key)| self.row(key));
        touched
            .chain(each_turn.filter(|(_, row)| !row.place.touched))
            .chain(timed.filter(|(_, row)| !row.place.soon()))
            .map(|(key, row)| (key, &row.value))
    }

    fn row(&self, key: &K) -> Option<(&K, &Row<V>)> {
        self.rows.get_key_value(key).map(|(key, row)| (key, &**row))
    }

    /// Rows with a due time not later than `until` (monotonic).
    pub fn timed(&self, until: Ms) -> impl Iterator<Item = (&K, &V)> {
        let due = self.lists.agenda.iter().take_while(move |(at, _)| *at <= until);
        due.filter_map(|(_, key)| self.get_key_value(key))
    }

    /// The earliest due time (monotonic).
    pub fn next_at(&self) -> Option<Ms> {
        self.lists.agenda.first().map(|(at, _)| *at)
    }

    /// The earliest due time after `now` (monotonic).
    pub fn next_after(&self, now: Ms) -> Option<Ms> {
        self.lists.agenda.iter().map(|(at, _)| *at).find(|at| *at > now)
    }

    /// Ends the visit to a row: sets when it is visited next and, if it waits for a free slot, its rank. Returns the
    /// row, so that the result of the visit can be noted in it.
    pub fn requeue(&mut self, key: &K, requeue: Requeue, rank: Option<Rank>) -> Option<&mut V> {
        let row = self.rows.get_mut(key)?;
        self.lists.requeue(key, &mut row.place, requeue, rank);
        Some(&mut row.value)
    }

    /// Visits each row that may have changed; `visit` returns when the row is due next.
    pub fn requeue_touched(&mut self, mut visit: impl FnMut(&V) -> Requeue) {
        for key in mem::take(&mut self.lists.touched) {
            if let Some(row) = self.rows.get_mut(&key) {
                row.place.touched = false;
                self.lists.requeue(&key, &mut row.place, visit(&row.value), None);
            }
        }
    }

    /// Whether any row waits for a free slot.
    pub fn anyone_waits(&self) -> bool {
        self.waiting() > 0
    }

    /// Number of rows that wait for a slot.
    pub fn waiting(&self) -> usize {
        self.lists.waiting
    }

    /// The rows that wait for a free slot, by rank, without those that a turn at `now` visits anyway.
    pub fn in_line(&self, now: Ms) -> impl Iterator<Item = (&K, &V)> {
        let waiting = self.lists.lines.values().flatten().filter_map(|(_, key)| self.row(key));
        waiting.filter(move |(_, row)| !row.place.due(now)).map(|(key, row)| (key, &row.value))
    }

    /// The lines that are not empty, with the number of rows in each.
    pub fn lines(&self) -> impl Iterator<Item = (u32, usize)> {
        self.lists.lines.iter().map(|(line, rows)| (*line, rows.len()))
    }

    /// Number of rows in a line.
    pub fn waiting_in(&self, line: u32) -> usize {
        self.lists.lines.get(&line).map_or(0, BTreeSet::len)
    }

    /// The rows of one line with their ranks, in order.
    pub fn in_line_of(&self, line: u32) -> impl DoubleEndedIterator<Item = (u64, &K, &V)> {
        let rows = self.lists.lines.get(&line).into_iter().flatten();
        rows.filter_map(|(since, key)| Some((*since, key, self.get(key)?)))
    }

    /// The place of a row in its line; `None` if it does not wait.
    pub fn rank_of(&self, key: &K) -> Option<Rank> {
        self.rows.get(key)?.place.rank
    }

    /// Whether a turn at `now` visits a row.
    pub fn is_due(&self, key: &K, now: Ms) -> bool {
        self.rows.get(key).is_some_and(|row| row.place.due(now))
    }
}

#[cfg(test)]
mod tests;
