//! What is due, when, and who stands in line.

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
    table.requeue(&"b", Requeue::OnChange, Some(1));
    table.requeue(&"a", Requeue::OnChange, Some(2));
    table.requeue(&"x", Requeue::OnChange, Some(0));
    assert_eq!((line(&table), due(&table, 5), table.anyone_waits()), (vec!["b", "a"], vec![], true));
    table.touch(&"b");
    assert_eq!((line(&table), due(&table, 5)), (vec!["a"], vec!["b"]), "looked at once");
    table.requeue(&"b", Requeue::At(5), Some(1));
    assert_eq!((line(&table), due(&table, 5)), (vec!["a"], vec!["b"]));
    table.requeue(&"b", Requeue::OnChange, Some(3));
    assert_eq!(line(&table), ["a", "b"], "the newest rank counts");
    table.remove(&"a");
    assert!(table.begin_call(&"b").is_some());
    assert!(!table.anyone_waits() && line(&table).is_empty());
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
