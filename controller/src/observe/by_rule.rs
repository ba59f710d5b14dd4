//! What waits and what runs, by tenant rule of the settings. Tenants come from strangers' keys and have no limit, so that a
//! metric for each would have none either; rules are as many as somebody configured, and of these the first few count.

use std::collections::{BTreeMap, BTreeSet};

use transcode_core::state::ledger::Ledger;

/// Most rules with a value of their own: a custom metric is paid for by dimension.
const MAX_RULES: usize = 10;

/// Longest name of a rule, in characters; the longest value of a dimension has 1024.
const MAX_NAME: usize = 250;

/// Keys under no rule, rules after the first, and tasks whose tenant is not known yet.
const OTHER: &str = "other";

/// A value for each rule. They add up to the total.
pub(super) type Parts = BTreeMap<String, f64>;

/// Jobs that wait for a slot, and tasks in flight. Where no source has tenants there is one part without a name.
pub(super) fn by_rule(ledger: &Ledger) -> (Parts, Parts) {
    let all_waiting = ledger.jobs.waiting();
    let all_tasks = ledger.in_flight.usage().tasks;
    let rules: Vec<String> = rules(ledger).collect();
    if rules.is_empty() {
        let whole = |count| Parts::from([(String::new(), float(count))]);
        return (whole(all_waiting), whole(all_tasks));
    }
    let own: BTreeSet<&str> = rules.iter().take(MAX_RULES).map(String::as_str).collect();
    let none: BTreeMap<&str, usize> = own.iter().copied().chain([OTHER]).map(|name| (name, 0)).collect();
    let (mut waiting, mut tasks) = (none.clone(), none);
    for (number, account) in ledger.tenants.iter() {
        let name = shown(&account.rule);
        let Some(known) = own.get(name.as_str()) else { continue };
        *waiting.entry(known).or_default() += ledger.jobs.waiting_in(number);
        *tasks.entry(known).or_default() += account.usage.tasks;
    }
    (with_rest(waiting, all_waiting), with_rest(tasks, all_tasks))
}

/// The configured rules, each once, in the order of the settings.
fn rules(ledger: &Ledger) -> impl Iterator<Item = String> {
    let mut known = BTreeSet::new();
    let named = ledger.rules.sources.iter().flat_map(|source| {
        let bucket = &source.bucket;
        source.tenants.iter().map(move |rule| shown(&format!("{bucket}/{}", rule.prefix.as_str())))
    });
    named.filter(move |name| known.insert(name.clone()))
}

/// A name that `CloudWatch` takes: printable ASCII.
fn shown(rule: &str) -> String {
    rule.escape_default().take(MAX_NAME).collect()
}

fn with_rest(parts: BTreeMap<&str, usize>, all: usize) -> Parts {
    let rest = all.saturating_sub(parts.values().sum());
    let part = |(name, count): (&str, usize)| {
        (name.to_owned(), float(if name == OTHER { count + rest } else { count }))
    };
    parts.into_iter().map(part).collect()
}

#[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use transcode_config::{settings::SourceSettings, tenants::TenantSettings};
    use transcode_core::message::Rules;

    use super::*;

    fn ledger(prefixes: &[&str]) -> Ledger {
        let rule = |prefix: &&str| -> TenantSettings {
            serde_json::from_value(serde_json::json!({ "prefix": prefix })).unwrap()
        };
        let tenants = prefixes.iter().map(rule).collect();
        let source = SourceSettings { bucket: "up".into(), tenants, ..SourceSettings::default() };
        Ledger::new("me", Rules { sources: vec![source], ..Rules::default() })
    }

    #[test]
    fn each_rule_has_a_value_before_anybody_uses_it_and_there_are_few() {
        let (waiting, tasks) = by_rule(&ledger(&["t/{id}/", "bé/"]));
        assert_eq!(waiting.keys().collect::<Vec<_>>(), ["other", "up/b\\u{e9}/", "up/t/{id}/"]);
        assert_eq!(waiting, tasks);
        let many: Vec<String> = (0..50).map(|number| format!("{number}/")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(by_rule(&ledger(&many)).0.len(), MAX_RULES + 1);
        assert_eq!(by_rule(&ledger(&[])).0.keys().collect::<Vec<_>>(), [""], "the total only");
    }
}
