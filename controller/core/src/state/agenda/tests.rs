//! Which rows are due, when, and which rows wait for a slot.

use super::*;

fn due(table: &Agenda<&'static str, u32>, now: Ms) -> Vec<&'static str> {
    let mut keys: Vec<_> = table.due(now).map(|(key, _)| *key).collect();
    keys.sort_unstable();
    keys
}

fn table() -> Agenda<&'static str, u32> {
    let mut table = Agenda::default();
    for (number, key) in ["a", "b", "c"].into_iter().enumerate() {
        table.insert(key, u32::try_from(number).unwrap_or_default());
        table.requeue(&key, Requeue::OnChange, None);
    }
    table
}

fn rank(since: u64) -> Rank {
    Rank { line: 0, since }
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
    table.requeue(&"c", Requeue::OnChange, None);
    assert_eq!(due(&table, 0), ["d"]);
    assert_eq!(table.values_mut().count(), 3);
    assert_eq!(due(&table, 0), ["a", "c", "d"]);
}

#[test]
fn a_row_is_due_at_its_time_and_once_only() {
    let mut table = table();
    table.requeue(&"a", Requeue::At(20), None);
    table.requeue(&"b", Requeue::At(10), None);
    assert_eq!((table.next_at(), due(&table, 9), due(&table, 10)), (Some(10), vec![], vec!["b"]));
    assert_eq!([9, 10, 20].map(|now| table.next_after(now)), [Some(10), Some(20), None]);
    table.touch(&"b");
    assert_eq!(due(&table, 20), ["a", "b"], "touched and timed, yet once");
    table.requeue(&"b", Requeue::At(30), None);
    assert_eq!((due(&table, 20), due(&table, 30)), (vec!["a"], vec!["a", "b"]), "the newest time counts");
    table.remove(&"a");
    assert_eq!(table.next_at(), Some(30));
}

#[test]
fn what_waits_for_room_stands_in_line() {
    let mut table = table();
    let line =
        |table: &Agenda<&'static str, u32>| -> Vec<_> { table.in_line(5).map(|(key, _)| *key).collect() };
    table.requeue(&"b", Requeue::OnChange, Some(rank(1)));
    table.requeue(&"a", Requeue::OnChange, Some(rank(2)));
    table.requeue(&"x", Requeue::OnChange, Some(rank(0)));
    assert_eq!((line(&table), due(&table, 5), table.anyone_waits()), (vec!["b", "a"], vec![], true));
    table.touch(&"b");
    assert_eq!((line(&table), due(&table, 5)), (vec!["a"], vec!["b"]), "looked at once");
    table.requeue(&"b", Requeue::At(5), Some(rank(1)));
    assert_eq!((line(&table), due(&table, 5)), (vec!["a"], vec!["b"]));
    table.requeue(&"b", Requeue::OnChange, Some(rank(3)));
    assert_eq!(line(&table), ["a", "b"], "the newest rank counts");
    table.remove(&"a");
    assert!(table.begin_call(&"b").is_some());
    assert!(!table.anyone_waits() && line(&table).is_empty());
}

#[test]
fn each_line_has_an_order_and_a_length_of_its_own() {
    let mut table = table();
    for (key, line, since) in [("a", 1, 5), ("b", 1, 3), ("c", 2, 1)] {
        table.requeue(&key, Requeue::OnChange, Some(Rank { line, since }));
    }
    let line = |table: &Agenda<&'static str, u32>, line| -> Vec<_> {
        table.in_line_of(line).map(|(since, key, _)| (since, *key)).collect()
    };
    let lengths = |table: &Agenda<&'static str, u32>| -> Vec<_> { table.lines().collect() };
    assert_eq!((line(&table, 1), line(&table, 2)), (vec![(3, "b"), (5, "a")], vec![(1, "c")]));
    assert_eq!(lengths(&table), [(1, 2), (2, 1)]);
    table.requeue(&"b", Requeue::OnChange, Some(Rank { line: 2, since: 0 }));
    assert_eq!((line(&table, 2), table.waiting_in(1)), (vec![(0, "b"), (1, "c")], 1), "it has moved");
    table.begin_call(&"a");
    table.remove(&"b");
    assert_eq!((lengths(&table), table.rank_of(&"a")), (vec![(2, 1)], None));
}

#[test]
fn what_depends_on_others_is_due_in_every_turn_and_wakes_nobody() {
    let mut table = table();
    table.requeue(&"a", Requeue::At(20), None);
    table.requeue(&"a", Requeue::EachTurn, None);
    assert_eq!((table.next_at(), due(&table, 0)), (None, vec!["a"]));
    table.requeue(&"a", Requeue::EachTurn, None);
    assert_eq!(due(&table, 0), ["a"]);
}
