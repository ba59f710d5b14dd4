//! How many of the metrics `CloudWatch` gets: it charges each name by the month, whether anybody looks or not.

use serde::{Deserialize, Serialize};

use super::{Metric, MetricInfo};

/// `metrics.detail`, and the template's `MetricsDetail`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// [`Metric::BASIC`] in total, and none of the task's.
    Basic,
    /// Every metric of both programs, with the parts by code, class and reason.
    Full,
}

impl Detail {
    /// Whether a metric of this name is sent. Names are unique over both programs.
    pub fn sends(self, info: &MetricInfo) -> bool {
        self == Self::Full || Metric::BASIC.iter().any(|metric| metric.info().name == info.name)
    }

    /// Whether the parts of a metric are sent beside its total: each part is a metric of its own on the bill.
    pub fn sends_parts(self) -> bool {
        self == Self::Full
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{TaskMetric, all};

    #[test]
    fn basic_is_at_most_ten_of_the_controllers_and_full_is_everything() {
        let basic: Vec<_> = all().filter(|info| Detail::Basic.sends(info)).collect();
        assert_eq!(basic.len(), Metric::BASIC.len());
        assert!(basic.len() <= 10 && !Detail::Basic.sends_parts());
        assert!(!Detail::Basic.sends(&TaskMetric::TaskSeconds.info()));
        assert!(all().all(|info| Detail::Full.sends(&info)) && Detail::Full.sends_parts());
    }
}
