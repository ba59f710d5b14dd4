//! The account: the caller, the clock, the quota.

use aws_smithy_types::{DateTime, date_time::Format};
use serde_json::{Value, json};
use transcode_config::contract::Capacity;
use transcode_core::protocol::fact::CallError;

use super::{Finding, Status, Ward};
use crate::{
    aws::query::{Service, texts},
    runtime::wall_ms,
};

/// A clock difference that shows a badly kept clock, although it does no harm yet (ms). The header has whole seconds.
const DRIFT_MS: u64 = 3_000;

/// Quotas of Fargate vCPUs, as Service Quotas names them.
const QUOTA_ON_DEMAND: &str = "L-3032A538";
const QUOTA_SPOT: &str = "L-36FBB829";

/// Checks the caller and, with the same answer, the clock.
pub(super) async fn identity(ward: &Ward) -> Vec<Finding> {
    let asked = wall_ms();
    match caller(ward).await {
        Err(error) => {
            let todo = "give doctor credentials (a profile, a role) and a Region (AWS_REGION)";
            vec![Finding::bad("account.identity", Status::Fail, error.to_string(), todo)]
        }
        Ok(Caller { arn, date }) => {
            let seen = format!("{arn} in {}", ward.query.region());
            let limit = ward.settings.launch.clock_skew_seconds * 1000;
            vec![Finding::ok("account.identity", seen), clock(date.as_deref(), asked, wall_ms(), limit)]
        }
    }
}

pub(super) struct Caller {
    pub(super) arn: String,
    date: Option<String>,
}

pub(super) async fn caller(ward: &Ward) -> Result<Caller, CallError> {
    let parameters = [pair("Action", "GetCallerIdentity"), pair("Version", "2011-06-15")];
    let answer = ward.query.form(Service::Sts, "sts:GetCallerIdentity", &parameters).await?;
    let arn = texts(&answer.text, "Arn").into_iter().next().unwrap_or_default();
    Ok(Caller { arn, date: answer.date })
}

pub(super) fn pair(name: impl Into<String>, value: impl Into<String>) -> (String, String) {
    (name.into(), value.into())
}

/// Checks the clock: the server's time was between `before` and `after`, except for the rounding of the header.
fn clock(date: Option<&str>, before: u64, after: u64, limit: u64) -> Finding {
    const CHECK: &str = "account.clock";
    let server = date.and_then(|date| DateTime::from_str(date, Format::HttpDate).ok());
    let Some(server) = server.and_then(|date| u64::try_from(date.secs()).ok()).map(|seconds| seconds * 1000)
    else {
        let todo = "compare this machine's clock by hand";
        return Finding::bad(CHECK, Status::Unknown, "the answer has no date", todo);
    };
    let off = before.saturating_sub(server + 1000).max(server.saturating_sub(after));
    let seen = format!("{} ms off AWS' clock at most, allowed {limit} ms", off + 1000);
    let todo = "let this machine keep time (NTP): deadlines of launches are compared across machines";
    let status = if off > limit { Status::Fail } else { Status::Warn };
    Finding::when(CHECK, off <= DRIFT_MS.min(limit), status, seen, todo)
}

/// Checks that the most tasks of the settings fit into the account's quota.
pub(super) async fn quota(ward: &Ward) -> Vec<Finding> {
    const CHECK: &str = "account.quota";
    let launch = &ward.settings.launch;
    let largest =
        launch.oom_sizes.iter().map(|(cpu, _)| *cpu).chain([launch.cpu]).max().unwrap_or(launch.cpu);
    let needed = f64::from(launch.max_tasks) * f64::from(largest) / 1024.0;
    // A job whose Spot task was interrupted continues on-demand.
    let quotas = match launch.capacity {
        Capacity::Fargate => vec![("on-demand", QUOTA_ON_DEMAND)],
        Capacity::FargateSpot => vec![("Spot", QUOTA_SPOT), ("on-demand", QUOTA_ON_DEMAND)],
    };
    let mut findings = Vec::new();
    for (name, code) in quotas {
        let body = json!({"ServiceCode": "fargate", "QuotaCode": code});
        let target = "ServiceQuotasV20190624.GetServiceQuota";
        let answer =
            ward.query.json(Service::ServiceQuotas, "servicequotas:GetServiceQuota", target, &body).await;
        let finding = match answer {
            Err(error) => Finding::unread(CHECK, &error),
            Ok(answer) => judge_quota(&answer.text, needed),
        };
        findings.push(finding.of(name));
    }
    findings
}

fn judge_quota(text: &str, needed: f64) -> Finding {
    const CHECK: &str = "account.quota";
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    let Some(quota) = value["Quota"]["Value"].as_f64() else {
        return Finding::bad(
            CHECK,
            Status::Unknown,
            "an answer without a value",
            "look in the Service Quotas console",
        );
    };
    let seen = format!("{quota} vCPU; launch.max_tasks of the largest size take {needed}");
    let todo = "ask for a higher quota of Fargate vCPUs in Service Quotas, or lower launch.max_tasks";
    // Nothing is lost: launches are refused and repeated. Without any quota, nothing runs.
    let status = if quota < 1.0 { Status::Fail } else { Status::Warn };
    Finding::when(CHECK, quota >= needed, status, seen, todo)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_judged_by_what_the_whole_call_allows() {
        // 1994-11-06T08:49:37Z, and a call of 200 ms.
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        let server = 784_111_777_000;
        let status = |before: u64| clock(date, before, before + 200, 60_000).status;
        assert_eq!(status(server + 500), Status::Ok);
        assert_eq!(status(server + 1_900), Status::Ok, "the header rounds down");
        assert_eq!((status(server + 10_000), status(server - 10_000)), (Status::Warn, Status::Warn));
        assert_eq!((status(server + 90_000), status(server - 90_000)), (Status::Fail, Status::Fail));
        assert_eq!(clock(None, 0, 0, 1).status, Status::Unknown);
    }

    #[test]
    fn a_quota_is_compared_with_what_all_tasks_take() {
        let answer = |value: f64| json!({"Quota": {"Value": value}}).to_string();
        let status = |value| judge_quota(&answer(value), 20.0).status;
        assert_eq!((status(20.0), status(6.0), status(0.0)), (Status::Ok, Status::Warn, Status::Fail));
        assert_eq!(judge_quota("{}", 20.0).status, Status::Unknown);
    }
}
