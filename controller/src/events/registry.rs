//! Counters, gauges and distributions: of the time between two flushes for `CloudWatch`, and since the start of the
//! process for whoever scrapes.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use transcode_config::metrics::{Kind, Metric};

use super::standing::{Standing, Totals};

/// Values of distributions are kept in millionths of their unit.
const MICRO: f64 = 1e6;

/// Most different values of one distribution in one period; further values count as their nearest lower neighbour.
/// Three digits over six decades are 5,400 values at worst; a thousand jobs a minute stay below this.
const MAX_VALUES: usize = 1200;

/// Most parts of one gauge, such as queues.
const MAX_PARTS: usize = 100;

/// One metric's data of one period.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Point {
    pub metric: Metric,
    /// Value of its dimension; `None` for the total.
    pub label: Option<Cow<'static, str>>,
    pub value: Value,
}

/// The data of a point.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// One number.
    One(f64),
    /// Values, each with its number of occurrences.
    Many(Vec<(f64, f64)>),
}

/// All metrics since the last flush. The lock is held for one map operation at a time.
#[derive(Debug, Default)]
pub struct Registry {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    counters: BTreeMap<(Metric, Option<&'static str>), u64>,
    gauges: BTreeMap<Metric, BTreeMap<String, f64>>,
    values: BTreeMap<Metric, BTreeMap<u64, u64>>,
    totals: Totals,
}

impl Registry {
    /// Adds to a counter.
    pub fn add(&self, metric: Metric, count: u64) {
        self.add_to(metric, None, count);
        self.lock().totals.count(metric, None, count);
    }

    /// Adds to a counter's total, and to its part for a value of the dimension. There must be few values.
    pub fn add_labelled(&self, metric: Metric, label: &'static str, count: u64) {
        self.add_to(metric, None, count);
        self.add_to(metric, Some(label), count);
        self.lock().totals.count(metric, Some(label), count);
    }

    fn add_to(&self, metric: Metric, label: Option<&'static str>, count: u64) {
        let mut state = self.lock();
        let counter = state.counters.entry((metric, label)).or_default();
        *counter = counter.saturating_add(count);
    }

    /// Sets a gauge.
    pub fn set(&self, metric: Metric, value: f64) {
        self.set_part(metric, "", value);
    }

    /// Sets one part of a gauge; the flush sends the sum of the parts.
    pub fn set_part(&self, metric: Metric, part: &str, value: f64) {
        let mut state = self.lock();
        let parts = state.gauges.entry(metric).or_default();
        if let Some(known) = parts.get_mut(part) {
            *known = value;
        } else if parts.len() < MAX_PARTS {
            parts.insert(part.to_owned(), value);
        }
    }

    /// Sets all parts of a gauge; those that are not among them are gone. A gauge with a dimension is sent in total, and
    /// each named part besides.
    pub fn set_parts(&self, metric: Metric, parts: &BTreeMap<String, f64>) {
        let few = parts.iter().take(MAX_PARTS).map(|(part, value)| (part.clone(), *value)).collect();
        self.lock().gauges.insert(metric, few);
    }

    /// Records one value, in milliseconds, of a distribution in seconds.
    pub fn record_ms(&self, metric: Metric, ms: u64) {
        self.record_micro(metric, ms.saturating_mul(1000));
    }

    /// Records one value of a distribution, in its unit. Ignores values that are not positive or are 10^12 and above.
    pub fn record(&self, metric: Metric, value: f64) {
        if (0.0..1e12).contains(&value) {
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "positive, below 10^18"
            )]
            self.record_micro(metric, (value * MICRO).round() as u64);
        }
    }

    fn record_micro(&self, metric: Metric, value: u64) {
        let mut state = self.lock();
        state.totals.spread(metric, float(value) / MICRO);
        let value = three_digits(value);
        let values = state.values.entry(metric).or_default();
        let full = values.len() >= MAX_VALUES && !values.contains_key(&value);
        let neighbour = || values.range(..value).next_back().or_else(|| values.iter().next());
        let key = if full { neighbour().map_or(value, |(known, _)| *known) } else { value };
        *values.entry(key).or_default() += 1;
    }

    /// Returns the data since the last call. Resets counters and distributions; gauges keep their values.
    pub fn drain(&self) -> Vec<Point> {
        let (mut counters, values, gauges) = {
            let mut state = self.lock();
            (std::mem::take(&mut state.counters), std::mem::take(&mut state.values), state.gauges.clone())
        };
        for metric in Metric::ALL.iter().filter(|metric| metric.info().kind == Kind::Counter) {
            counters.entry((*metric, None)).or_default();
        }
        let counters = counters.into_iter().map(|((metric, label), count)| Point {
            metric,
            label: label.map(Cow::Borrowed),
            value: Value::One(float(count)),
        });
        let gauges = gauges.into_iter().flat_map(|(metric, parts)| {
            let total = Point { metric, label: None, value: Value::One(parts.values().sum()) };
            let named = parts
                .into_iter()
                .filter(move |(part, _)| metric.info().dimension.is_some() && !part.is_empty());
            let labelled = named.map(move |(part, value)| Point {
                metric,
                label: Some(Cow::Owned(part)),
                value: Value::One(value),
            });
            std::iter::once(total).chain(labelled)
        });
        let values = values.into_iter().map(|(metric, values)| Point {
            metric,
            label: None,
            value: Value::Many(
                values.into_iter().map(|(micro, count)| (float(micro) / MICRO, float(count))).collect(),
            ),
        });
        counters.chain(gauges).chain(values).collect()
    }

    /// Everything since the start of the process. Changes nothing.
    pub fn standing(&self) -> Standing {
        let state = self.lock();
        Standing { totals: state.totals.clone(), gauges: state.gauges.clone() }
    }

    /// A counter since the last flush, for tests and for the notes.
    pub fn count(&self, metric: Metric) -> u64 {
        self.lock().counters.get(&(metric, None)).copied().unwrap_or_default()
    }

    /// A panic elsewhere must not lose the metrics: every state of the maps is valid.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "counts stay far below 2^52, and of values three digits are kept"
)]
fn float(count: u64) -> f64 {
    count as f64
}

/// Rounds to three significant digits (an error of at most half a percent), so that values repeat and there are few.
fn three_digits(value: u64) -> u64 {
    let scale = 10_u64.pow(value.checked_ilog10().unwrap_or(0).saturating_sub(2));
    value / scale * scale
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(points: &[Point], metric: Metric, label: Option<&str>) -> Option<Value> {
        points.iter().find(|p| p.metric == metric && p.label.as_deref() == label).map(|p| p.value.clone())
    }

    #[test]
    fn counters_begin_anew_and_report_zero_while_gauges_stand() {
        let registry = Registry::default();
        registry.add(Metric::Launches, 2);
        registry.add_labelled(Metric::JobsDead, "EMPTY", 1);
        registry.set(Metric::TasksInFlight, 3.0);
        let first = registry.drain();
        assert_eq!(point(&first, Metric::Launches, None), Some(Value::One(2.0)));
        assert_eq!(point(&first, Metric::JobsDead, Some("EMPTY")), Some(Value::One(1.0)));
        assert_eq!(point(&first, Metric::JobsDead, None), Some(Value::One(1.0)));
        let second = registry.drain();
        assert_eq!(point(&second, Metric::Launches, None), Some(Value::One(0.0)));
        assert_eq!(point(&second, Metric::JobsDead, Some("EMPTY")), None);
        assert_eq!(point(&second, Metric::TasksInFlight, None), Some(Value::One(3.0)));
    }

    #[test]
    fn parts_of_a_gauge_are_added_up() {
        let registry = Registry::default();
        registry.set_part(Metric::QueueDepth, "high", 2.0);
        registry.set_part(Metric::QueueDepth, "low", 3.0);
        registry.set_part(Metric::QueueDepth, "low", 5.0);
        assert_eq!(point(&registry.drain(), Metric::QueueDepth, None), Some(Value::One(7.0)));
    }

    #[test]
    fn a_gauge_with_a_dimension_is_sent_in_total_and_by_part_and_old_parts_go() {
        let registry = Registry::default();
        let set = |parts: &[(&str, f64)]| {
            let parts = parts.iter().map(|(part, value)| ((*part).to_owned(), *value)).collect();
            registry.set_parts(Metric::JobsWaiting, &parts);
            registry.drain()
        };
        let first = set(&[("u/a/", 2.0), ("other", 1.0)]);
        assert_eq!(point(&first, Metric::JobsWaiting, None), Some(Value::One(3.0)));
        assert_eq!(point(&first, Metric::JobsWaiting, Some("u/a/")), Some(Value::One(2.0)));
        let second = set(&[("other", 4.0)]);
        assert_eq!(point(&second, Metric::JobsWaiting, None), Some(Value::One(4.0)));
        assert_eq!(point(&second, Metric::JobsWaiting, Some("u/a/")), None);
        let total_only = set(&[("", 5.0)]);
        assert_eq!(total_only.iter().filter(|point| point.metric == Metric::JobsWaiting).count(), 1);
    }

    #[test]
    fn a_distribution_keeps_its_values_rounded_and_is_bounded() {
        let registry = Registry::default();
        for ms in [1234, 1239, 90_000] {
            registry.record_ms(Metric::JobSeconds, ms);
        }
        let points = registry.drain();
        let expected = Value::Many(vec![(1.23, 2.0), (90.0, 1.0)]);
        assert_eq!(point(&points, Metric::JobSeconds, None), Some(expected));

        for dollars in [0.001_234, f64::NAN, -1.0, f64::INFINITY] {
            registry.record(Metric::JobCost, dollars);
        }
        let expected = Value::Many(vec![(0.001_23, 1.0)]);
        assert_eq!(point(&registry.drain(), Metric::JobCost, None), Some(expected));

        for ms in 0..1_000_000 {
            registry.record_ms(Metric::JobSeconds, ms * 97);
        }
        let Some(Value::Many(values)) = point(&registry.drain(), Metric::JobSeconds, None) else {
            panic!("no values");
        };
        assert!(values.len() <= MAX_VALUES);
        let total: f64 = values.iter().map(|(_, count)| count).sum();
        assert!((total - 1e6).abs() < 0.5, "{total}");
    }
}
