//! The price of a Fargate task: a table of list prices, and settings that override them.

use std::{collections::BTreeMap, sync::OnceLock};

use serde::Deserialize;

use crate::settings::CostSettings;

/// Storage of every Fargate task that is free, in GiB.
const FREE_STORAGE_GIB: u32 = 20;

/// A task is paid for by the second, but at least for this many seconds.
const LEAST_SECONDS: f64 = 60.0;

/// The shipped table.
const SHIPPED: &str = include_str!("../prices.toml");

/// `config/prices.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceTable {
    /// Year and month of the prices.
    pub date: String,
    /// Where they are published.
    pub source: String,
    /// By region and architecture (`x86_64`, `arm64`).
    pub region: BTreeMap<String, BTreeMap<String, Prices>>,
    /// Prices of monitoring.
    pub cloudwatch: CloudWatchPrices,
    /// Prices of calls.
    pub requests: RequestPrices,
}

/// USD for one hour of one unit.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Prices {
    pub vcpu_hour: f64,
    /// Of a GiB of memory.
    pub gib_hour: f64,
    /// Of a GiB of storage beyond the 20 that are free.
    pub storage_gib_hour: f64,
}

/// USD a month.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct CloudWatchPrices {
    /// One custom metric.
    pub metric_month: f64,
    pub alarm_month: f64,
    pub dashboard_month: f64,
    /// A call of `PutMetricData`.
    pub put_metric_data: f64,
    /// A GB (10^9 bytes) of log lines taken in.
    pub log_gb: f64,
}

/// USD for one request.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct RequestPrices {
    pub sqs: f64,
    /// PUT, POST, LIST.
    pub s3_put: f64,
    /// GET, also one that answers "not modified".
    pub s3_get: f64,
}

/// The size of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Size {
    /// CPU units (1024 = one vCPU).
    pub cpu: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Storage in GiB.
    pub storage_gib: u32,
    /// It runs on Spot capacity.
    pub spot: bool,
}

/// The shipped table; none would mean that the file in this crate is broken, which a test rules out.
pub fn shipped() -> Option<&'static PriceTable> {
    static TABLE: OnceLock<Option<PriceTable>> = OnceLock::new();
    TABLE.get_or_init(|| toml::from_str(SHIPPED).ok()).as_ref()
}

impl Prices {
    /// The prices in force: those of the settings, and the table's for settings of 0. None for a region or an
    /// architecture that neither has.
    pub fn of(settings: &CostSettings, region: &str, architecture: &str) -> Option<Self> {
        let listed = shipped().and_then(|table| table.region.get(region)?.get(architecture)).copied();
        let pick = |set: f64, listed: Option<f64>| if set > 0.0 { Some(set) } else { listed };
        Some(Self {
            vcpu_hour: pick(settings.vcpu_hour, listed.map(|prices| prices.vcpu_hour))?,
            gib_hour: pick(settings.gib_hour, listed.map(|prices| prices.gib_hour))?,
            storage_gib_hour: pick(settings.storage_gib_hour, listed.map(|prices| prices.storage_gib_hour))?,
        })
    }

    /// USD for a task of this size that ran for `seconds`, from the start of its image pull to its end.
    pub fn task(&self, size: Size, seconds: f64, spot_percent: f64) -> f64 {
        let storage = f64::from(size.storage_gib.saturating_sub(FREE_STORAGE_GIB)) * self.storage_gib_hour;
        let compute = f64::from(size.cpu) / 1024.0 * self.vcpu_hour
            + f64::from(size.memory_mib) / 1024.0 * self.gib_hour;
        // Storage has no Spot price.
        let compute = if size.spot { compute * spot_percent / 100.0 } else { compute };
        (compute + storage) * seconds.max(LEAST_SECONDS) / 3600.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: CostSettings =
        CostSettings { vcpu_hour: 0.0, gib_hour: 0.0, storage_gib_hour: 0.0, spot_percent: 30.0 };

    fn list(storage_gib: u32, spot: bool, seconds: f64) -> f64 {
        let prices = Prices::of(&LISTED, "us-east-1", "x86_64").unwrap();
        prices.task(Size { cpu: 2048, memory_mib: 4096, storage_gib, spot }, seconds, 30.0)
    }

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    }

    #[test]
    fn an_hour_of_two_vcpu_and_four_gib() {
        close(list(20, false, 3600.0), 2.0 * 0.04048 + 4.0 * 0.004_445);
        close(list(0, false, 3600.0), list(20, false, 3600.0));
        close(list(60, false, 3600.0), list(20, false, 3600.0) + 40.0 * 0.000_111);
    }

    #[test]
    fn spot_is_cheaper_but_for_storage_and_a_minute_is_the_least() {
        close(list(20, true, 3600.0), 0.3 * list(20, false, 3600.0));
        close(list(60, true, 3600.0), 0.3 * list(20, false, 3600.0) + 40.0 * 0.000_111);
        close(list(20, false, 1.0), list(20, false, 60.0));
    }

    #[test]
    fn settings_outrank_the_table_and_serve_where_it_has_nothing() {
        assert_eq!(Prices::of(&LISTED, "nowhere-1", "x86_64"), None);
        assert_eq!(Prices::of(&LISTED, "us-east-1", "mips"), None);
        let set = CostSettings { vcpu_hour: 1.0, gib_hour: 2.0, storage_gib_hour: 3.0, ..LISTED };
        let expected = Prices { vcpu_hour: 1.0, gib_hour: 2.0, storage_gib_hour: 3.0 };
        assert_eq!(Prices::of(&set, "nowhere-1", "x86_64"), Some(expected));
        let some = CostSettings { vcpu_hour: 1.0, ..LISTED };
        close(Prices::of(&some, "us-east-1", "arm64").unwrap().gib_hour, 0.00356);
    }
}
