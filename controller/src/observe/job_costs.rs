//! Costs of jobs: the costs of the tasks that this controller saw end, summed up until the job is settled and
//! forgotten.

use std::collections::BTreeMap;

use transcode_config::{contract::JobKey, prices::Prices, settings::CostSettings};
use transcode_core::protocol::task_view::{Billed, TaskArn};

/// The cost of a settled job.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct JobCost {
    pub(super) job: JobKey,
    pub(super) usd: f64,
    /// Minutes of the result; `None` for a dead job.
    pub(super) minutes: Option<f64>,
}

#[derive(Debug, Default)]
struct CostSoFar {
    usd: f64,
    settled: bool,
    minutes: Option<f64>,
}

/// Sums of jobs that are not closed yet.
#[derive(Debug, Default)]
pub(super) struct JobCosts(BTreeMap<JobKey, CostSoFar>);

impl JobCosts {
    /// Adds the cost of an ended task to its job.
    pub(super) fn task(&mut self, job: &JobKey, usd: f64) {
        self.0.entry(job.clone()).or_default().usd += usd;
    }

    /// Notes that this controller has settled the job.
    pub(super) fn settled(&mut self, job: &JobKey, minutes: Option<f64>) {
        let cost = self.0.entry(job.clone()).or_default();
        (cost.settled, cost.minutes) = (true, minutes);
    }

    /// Whether this controller has settled the job.
    pub(super) fn is_settled(&self, job: &JobKey) -> bool {
        self.0.get(job).is_some_and(|cost| cost.settled)
    }

    /// Returns and removes the costs of settled jobs that the ledger has forgotten: all their tasks have ended. Removes
    /// those of unsettled forgotten jobs too; the controller that settles them has their costs.
    pub(super) fn close(&mut self, known: impl Fn(&JobKey) -> bool) -> Vec<JobCost> {
        let closed = self.0.extract_if(.., |job, _| !known(job));
        closed
            .filter(|(_, cost)| cost.settled && cost.usd > 0.0)
            .map(|(job, cost)| JobCost { job, usd: cost.usd, minutes: cost.minutes })
            .collect()
    }
}

/// Cost of a task in USD, from the begin of the pull to its end; `None` if its Region has no prices or the pull never
/// began.
pub(super) fn usd(task: &TaskArn, billed: &Billed, settings: &CostSettings) -> Option<f64> {
    let region = task.0.split(':').nth(3)?;
    let ms = billed.stopped_at?.saturating_sub(billed.pull_started_at?);
    let prices = Prices::of(settings, region, &billed.architecture)?;
    #[allow(clippy::cast_precision_loss, reason = "tasks end after hours")]
    let seconds = ms as f64 / 1000.0;
    Some(prices.task(billed.size, seconds, settings.spot_percent))
}

#[cfg(test)]
mod tests {
    use transcode_config::prices::Size;

    use super::*;

    #[test]
    fn a_job_is_billed_when_it_is_settled_and_forgotten() {
        let (one, two) = (JobKey::of(&["1"]), JobKey::of(&["2"]));
        let mut costs = JobCosts::default();
        costs.task(&one, 1.0);
        costs.task(&one, 2.0);
        costs.task(&two, 4.0);
        costs.settled(&one, Some(6.0));
        assert!(costs.is_settled(&one) && !costs.is_settled(&two));
        assert_eq!(costs.close(|_| true), []);
        let paid = JobCost { job: one, usd: 3.0, minutes: Some(6.0) };
        assert_eq!(costs.close(|_| false), [paid], "the other one is somebody else's");
        assert!(costs.0.is_empty());
    }

    #[test]
    fn a_task_costs_from_pull_to_end_and_only_where_prices_are_known() {
        let billed = Billed {
            size: Size { cpu: 1024, memory_mib: 0, storage_gib: 0, spot: false },
            architecture: "x86_64".into(),
            created_at: Some(0),
            pull_started_at: Some(10_000),
            stopped_at: Some(3_610_000),
            ..Billed::default()
        };
        let settings =
            CostSettings { vcpu_hour: 0.0, gib_hour: 0.0, storage_gib_hour: 0.0, spot_percent: 30.0 };
        let arn = |region: &str| TaskArn(format!("arn:aws:ecs:{region}:1:task/c/t").into());
        assert_eq!(usd(&arn("us-east-1"), &billed, &settings), Some(0.04048));
        assert_eq!(usd(&arn("nowhere-1"), &billed, &settings), None);
        let never = Billed { pull_started_at: None, ..billed };
        assert_eq!(usd(&arn("us-east-1"), &never, &settings), None);
    }
}
