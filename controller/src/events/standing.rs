//! What a scrape sees: counters and distributions since the start of the process, and gauges as they stand.

use std::collections::BTreeMap;

use transcode_config::metrics::Metric;

/// Everything since the start.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// Counters and distributions.
    pub totals: Totals,
    /// Gauges: the value of each part, such as a queue; a gauge without parts has one, without a name.
    pub gauges: BTreeMap<Metric, BTreeMap<String, f64>>,
}

/// Counters and distributions that only grow.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    counters: BTreeMap<Metric, BTreeMap<Option<&'static str>, u64>>,
    spreads: BTreeMap<Metric, Spread>,
}

/// A distribution: how many values are in each bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct Spread {
    /// Sum of the values.
    pub sum: f64,
    /// Number of the values.
    pub count: u64,
    /// Upper bound of each bucket, the last one infinite, and the number of values in it and in no lower one.
    pub buckets: Vec<(f64, u64)>,
}

impl Totals {
    pub(super) fn count(&mut self, metric: Metric, label: Option<&'static str>, count: u64) {
        let counter = self.counters.entry(metric).or_default().entry(label).or_default();
        *counter = counter.saturating_add(count);
    }

    pub(super) fn spread(&mut self, metric: Metric, value: f64) {
        let spread = self.spreads.entry(metric).or_insert_with(|| Spread::empty(metric));
        spread.sum += value;
        spread.count += 1;
        if let Some((_, count)) = spread.buckets.iter_mut().find(|(bound, _)| value <= *bound) {
            *count += 1;
        }
    }

    /// A counter's parts by label; of a counter without labels the one part without a label.
    pub fn parts(&self, metric: Metric) -> impl Iterator<Item = (Option<&'static str>, u64)> {
        self.counters.get(&metric).into_iter().flatten().map(|(label, count)| (*label, *count))
    }

    /// A distribution; empty before its first value.
    pub fn spread_of(&self, metric: Metric) -> Spread {
        self.spreads.get(&metric).cloned().unwrap_or_else(|| Spread::empty(metric))
    }
}

impl Spread {
    fn empty(metric: Metric) -> Self {
        let info = metric.info();
        let bounds = info.bounds().iter().copied().chain([f64::INFINITY]);
        Self { sum: 0.0, count: 0, buckets: bounds.map(|bound| (bound, 0)).collect() }
    }
}
