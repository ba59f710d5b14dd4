//! The account: who asks, whose clock, what is allowed, how much.

use aws_smithy_types::{DateTime, date_time::Format};
use serde_json::{Value, json};
use transcode_config::contract::Capacity;

use super::{Finding, Status, Ward};
use crate::{
    aws::query::{Service, texts},
    fact::CallError,
    run::wall_ms,
};

/// A difference of clocks that says that time is not kept, though nothing suffers yet. The header has whole seconds.
const DRIFT_MS: u64 = 3_000;

/// Quotas of Fargate vCPUs, as Service Quotas names them.
const QUOTA_ON_DEMAND: &str = "L-3032A538";
const QUOTA_SPOT: &str = "L-36FBB829";

/// Who asks, and by the same answer the clock.
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

struct Caller {
    arn: String,
    date: Option<String>,
}

async fn caller(ward: &Ward) -> Result<Caller, CallError> {
    let parameters = [pair("Action", "GetCallerIdentity"), pair("Version", "2011-06-15")];
    let answer = ward.query.form(Service::Sts, "sts:GetCallerIdentity", &parameters).await?;
    let arn = texts(&answer.text, "Arn").into_iter().next().unwrap_or_default();
    Ok(Caller { arn, date: answer.date })
}

fn pair(name: impl Into<String>, value: impl Into<String>) -> (String, String) {
    (name.into(), value.into())
}

/// The server's clock lay between the two moments, give or take what the header rounds off.
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

/// One permission that the controller needs.
struct Need {
    action: &'static str,
    resource: String,
}

/// What IAM says to all that the controller does, of the role that was named or of whoever asks.
pub(super) async fn permissions(ward: &Ward) -> Vec<Finding> {
    const CHECK: &str = "account.permissions";
    let principal = match (&ward.role, caller(ward).await) {
        (Some(role), _) => role.clone(),
        (None, Ok(caller)) => role_of(&caller.arn),
        (None, Err(error)) => return vec![Finding::unread(CHECK, &error)],
    };
    let account = principal.split(':').nth(4).unwrap_or_default().to_owned();
    let mut denied = Vec::new();
    let needs = needs(ward, &account);
    for need in &needs {
        match allowed(ward, &principal, need).await {
            Ok(true) => {}
            Ok(false) => denied.push(format!("{} on {}", need.action, need.resource)),
            Err(error) => {
                return vec![Finding::unread(CHECK, &error).of(principal)];
            }
        }
    }
    let seen = match denied.len() {
        0 => format!("all {} that the controller needs", needs.len()),
        _ => format!("denied: {}", denied.join(", ")),
    };
    let todo =
        "deploy the template's ControllerRole; doctor --role ARN asks for another role than the caller's";
    vec![Finding::when(CHECK, denied.is_empty(), Status::Fail, seen, todo).of(principal)]
}

/// IAM simulates roles, not their sessions.
fn role_of(arn: &str) -> String {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts[..] {
        ["arn", partition, "sts", _, account, session] => match session.split('/').collect::<Vec<_>>()[..] {
            ["assumed-role", role, _] => format!("arn:{partition}:iam::{account}:role/{role}"),
            _ => arn.to_owned(),
        },
        _ => arn.to_owned(),
    }
}

fn needs(ward: &Ward, account: &str) -> Vec<Need> {
    let settings = &ward.settings;
    let (partition, region) = (ward.query.partition(), ward.query.region());
    let need = |action, resource: &str| Need { action, resource: resource.to_owned() };
    let ecs = |rest: &str| format!("arn:{partition}:ecs:{region}:{account}:{rest}");
    let cluster = settings.cluster.name.rsplit('/').next().unwrap_or_default();
    let family = settings.cluster.task_definition.rsplit('/').next().unwrap_or_default();
    let revision = if family.contains(':') { family.to_owned() } else { format!("{family}:1") };
    let record = format!("arn:{partition}:s3:::{}/jobs/j/spec.json", settings.state.bucket);
    let published =
        format!("arn:{partition}:s3:::{}/{}x/master.m3u8", settings.output.bucket, settings.output.prefix);
    let mut needs = vec![
        need("ecs:RunTask", &ecs(&format!("task-definition/{revision}"))),
        need("ecs:DescribeTasks", &ecs(&format!("task/{cluster}/t"))),
        need("ecs:StopTask", &ecs(&format!("task/{cluster}/t"))),
        need("ecs:ListTasks", "*"),
        need("ecs:DescribeTaskDefinition", "*"),
        need("s3:GetObject", &record),
        need("s3:PutObject", &record),
        need("s3:ListBucket", &format!("arn:{partition}:s3:::{}", settings.state.bucket)),
        need("s3:GetObject", &published),
        need("s3:PutObject", &published),
        need("cloudwatch:PutMetricData", "*"),
    ];
    for queue in settings.queues.values() {
        let name = |url: &str| {
            format!("arn:{partition}:sqs:{region}:{account}:{}", url.rsplit('/').next().unwrap_or(url))
        };
        for action in ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"] {
            needs.push(need(action, &name(&queue.url)));
        }
        needs.push(need("sqs:SendMessage", &name(&queue.dead_letter_url)));
    }
    needs
}

/// Asks IAM. The keys that the template's conditions look at have the values of the real call.
async fn allowed(ward: &Ward, principal: &str, need: &Need) -> Result<bool, CallError> {
    let settings = &ward.settings;
    let account = principal.split(':').nth(4).unwrap_or_default();
    let name = settings.cluster.name.rsplit('/').next().unwrap_or_default();
    let cluster =
        format!("arn:{}:ecs:{}:{account}:cluster/{name}", ward.query.partition(), ward.query.region());
    let mut parameters = vec![
        pair("Action", "SimulatePrincipalPolicy"),
        pair("Version", "2010-05-08"),
        pair("PolicySourceArn", principal),
        pair("ActionNames.member.1", need.action),
        pair("ResourceArns.member.1", &need.resource),
    ];
    let context = [("ecs:cluster", cluster.as_str()), ("cloudwatch:namespace", &settings.metrics.namespace)];
    for (n, (key, value)) in (1..).zip(context) {
        let entry = format!("ContextEntries.member.{n}");
        parameters.push(pair(format!("{entry}.ContextKeyName"), key));
        parameters.push(pair(format!("{entry}.ContextKeyType"), "string"));
        parameters.push(pair(format!("{entry}.ContextKeyValues.member.1"), value));
    }
    let answer = ward.query.form(Service::Iam, "iam:SimulatePrincipalPolicy", &parameters).await?;
    Ok(texts(&answer.text, "EvalDecision").first().is_some_and(|decision| decision == "allowed"))
}

/// Whether as many tasks as the settings allow fit into the account's quota.
pub(super) async fn quota(ward: &Ward) -> Vec<Finding> {
    const CHECK: &str = "account.quota";
    let launch = &ward.settings.launch;
    let largest =
        launch.oom_sizes.iter().map(|(cpu, _)| *cpu).chain([launch.cpu]).max().unwrap_or(launch.cpu);
    let needed = f64::from(launch.max_tasks) * f64::from(largest) / 1024.0;
    // A job that Spot was taken from goes on on-demand.
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
    // Nothing is lost: launches are refused and tried again. With none at all, nothing runs.
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
    fn a_session_is_asked_for_by_its_role() {
        let role = "arn:aws:iam::123456789012:role/operator";
        assert_eq!(role_of("arn:aws:sts::123456789012:assumed-role/operator/me"), role);
        assert_eq!(role_of(role), role);
    }

    #[test]
    fn a_quota_is_compared_with_what_all_tasks_take() {
        let answer = |value: f64| json!({"Quota": {"Value": value}}).to_string();
        let status = |value| judge_quota(&answer(value), 20.0).status;
        assert_eq!((status(20.0), status(6.0), status(0.0)), (Status::Ok, Status::Warn, Status::Fail));
        assert_eq!(judge_quota("{}", 20.0).status, Status::Unknown);
    }
}
