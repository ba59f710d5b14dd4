//! Buckets: do uploads and terminal records send messages, and are write-once objects protected from overwriting?

use aws_sdk_s3::{
    operation::get_bucket_notification_configuration::GetBucketNotificationConfigurationOutput as Wired,
    types::{CorsRule, Event, S3KeyFilter},
};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;
use transcode_config::contract::{JobKey, Layout};

use super::{Finding, Status, Ward, queues};
use crate::aws::{class::call_error, pattern::matches};

/// All checks of buckets.
pub(super) async fn buckets(ward: &Ward) -> Vec<Finding> {
    let mut jobs = Vec::new();
    for queue in ward.settings.queues.values() {
        jobs.extend(arn(ward, &queue.url).await);
    }
    let mut findings = Vec::new();
    for source in ward.settings.sources.values() {
        let key = format!("{}x.mp4", source.prefix);
        findings.push(wired(ward, "buckets.uploads", &source.bucket, &key, &jobs).await);
        findings.push(versioned(ward, &source.bucket).await);
        findings.push(cors(ward, &source.bucket).await);
    }
    let state = &ward.settings.state.bucket;
    if let Some(url) = &ward.settings.events.queue_url {
        let events: Vec<String> = arn(ward, url).await.into_iter().collect();
        let record = Layout::of(&JobKey::of(&["doctor"])).terminal();
        findings.push(wired(ward, "buckets.registers", state, &record, &events).await);
    }
    findings.push(written_once(ward, state).await);
    findings.push(reached(ward, &ward.settings.output.bucket).await);
    findings
}

async fn arn(ward: &Ward, url: &str) -> Option<String> {
    queues::attributes(ward, url).await.ok()?.remove(&QueueAttributeName::QueueArn)
}

/// Whether a new object `key` sends a message to one of `queues`.
async fn wired(ward: &Ward, check: &'static str, bucket: &str, key: &str, queues: &[String]) -> Finding {
    let call = ward.clients.s3.read.get_bucket_notification_configuration().bucket(bucket);
    let finding = match call.send().await.map_err(|error| call_error("s3:GetBucketNotification", &error)) {
        Err(error) if error.message.contains("NoSuchBucket") => gone(check),
        Err(error) => Finding::unread(check, &error),
        Ok(answer) => judge_wiring(check, &answer, key, queues),
    };
    finding.of(bucket)
}

fn gone(check: &'static str) -> Finding {
    Finding::bad(
        check,
        Status::Fail,
        "the bucket does not exist",
        "deploy the template, or correct the settings",
    )
}

fn judge_wiring(check: &'static str, answer: &Wired, key: &str, queues: &[String]) -> Finding {
    let created = |event: &Event| event.as_str().starts_with("s3:ObjectCreated:");
    let ours = answer
        .queue_configurations()
        .iter()
        .filter(|one| queues.iter().any(|queue| queue == one.queue_arn()));
    let mut filtered = Vec::new();
    for one in ours.filter(|one| one.events().iter().any(created)) {
        let rules =
            one.filter().and_then(|filter| filter.key()).map(S3KeyFilter::filter_rules).unwrap_or_default();
        let fits = rules.iter().all(|rule| {
            let value = rule.value().unwrap_or_default();
            let is = |name: &str| rule.name().is_some_and(|known| known.as_str().eq_ignore_ascii_case(name));
            (!is("prefix") || key.starts_with(value)) && (!is("suffix") || key.ends_with(value))
        });
        if fits {
            return Finding::ok(check, format!("new objects are announced in {}", one.queue_arn()));
        }
        filtered.push(one.queue_arn());
    }
    if answer.event_bridge_configuration().is_some() {
        let todo = "see that a rule brings its events to the queue";
        return Finding::bad(check, Status::Unknown, "announced to EventBridge", todo);
    }
    let seen = if filtered.is_empty() {
        "new objects are announced in none of our queues".to_owned()
    } else {
        format!("the filter of the notification to {} leaves out {key}", filtered.join(", "))
    };
    let todo =
        "deploy the template's NotificationConfiguration: s3:ObjectCreated:* to the queue in the settings";
    Finding::bad(check, Status::Fail, seen, todo)
}

async fn versioned(ward: &Ward, bucket: &str) -> Finding {
    const CHECK: &str = "buckets.versioning";
    let answer = ward.clients.s3.read.get_bucket_versioning().bucket(bucket).send().await;
    let finding = match answer.map_err(|error| call_error("s3:GetBucketVersioning", &error)) {
        Err(error) if error.message.contains("NoSuchBucket") => gone(CHECK),
        Err(error) => Finding::unread(CHECK, &error),
        Ok(answer) => {
            let on = answer.status().is_some_and(|status| status.as_str() == "Enabled");
            let seen = if on { "on" } else { "off" };
            let todo = "turn versioning on: a job is pinned to the version that it was made for";
            Finding::when(CHECK, on, Status::Warn, seen, todo)
        }
    };
    finding.of(bucket)
}

/// Which web pages may upload to addresses that `presign` gives.
async fn cors(ward: &Ward, bucket: &str) -> Finding {
    const CHECK: &str = "buckets.cors";
    let answer = ward.clients.s3.read.get_bucket_cors().bucket(bucket).send().await;
    let finding = match answer.map_err(|error| call_error("s3:GetBucketCORS", &error)) {
        Err(error) if error.message.contains("NoSuchCORSConfiguration") => {
            Finding::ok(CHECK, "none: no web page can upload; programs can")
        }
        Err(error) if error.message.contains("NoSuchBucket") => gone(CHECK),
        Err(error) => Finding::unread(CHECK, &error),
        Ok(answer) => {
            let rules = answer.cors_rules().iter();
            let put = rules.filter(|rule| rule.allowed_methods().iter().any(|method| method == "PUT"));
            let origins: Vec<_> = put.flat_map(CorsRule::allowed_origins).map(String::as_str).collect();
            let seen = format!("uploads are allowed from [{}]", origins.join(", "));
            let todo = "allow PUT for the web pages that upload: the rules that are there do not";
            Finding::when(CHECK, !origins.is_empty(), Status::Warn, seen, todo)
        }
    };
    finding.of(bucket)
}

/// Whether the state bucket's policy denies overwriting write-once objects.
async fn written_once(ward: &Ward, bucket: &str) -> Finding {
    const CHECK: &str = "buckets.written_once";
    let todo =
        "deploy the template's StateBucketPolicy: without it a wrong program can overwrite a job's result";
    let answer = ward.clients.s3.read.get_bucket_policy().bucket(bucket).send().await;
    let finding = match answer.map_err(|error| call_error("s3:GetBucketPolicy", &error)) {
        Err(error) if error.message.contains("NoSuchBucketPolicy") => {
            Finding::bad(CHECK, Status::Fail, "the bucket has no policy", todo)
        }
        Err(error) if error.message.contains("NoSuchBucket") => gone(CHECK),
        Err(error) => Finding::unread(CHECK, &error),
        Ok(answer) => {
            let policy = serde_json::from_str(answer.policy().unwrap_or_default()).unwrap_or_default();
            let open = overwritable(&policy, bucket);
            let seen = match open.len() {
                0 => "terminal records, specifications and claims need a conditional write".to_owned(),
                _ => format!("may be overwritten: {}", open.join(", ")),
            };
            Finding::when(CHECK, open.is_empty(), Status::Fail, seen, todo)
        }
    };
    finding.of(bucket)
}

/// The write-once objects that no statement protects.
fn overwritable(policy: &Value, bucket: &str) -> Vec<String> {
    let job = JobKey::of(&["doctor"]);
    let layout = Layout::of(&job);
    let keys = [layout.terminal(), layout.spec(), layout.claim(transcode_config::contract::Attempt::FIRST)];
    let denies: Vec<&Value> =
        list(&policy["Statement"]).into_iter().filter(|one| requires_condition(one)).collect();
    let covered = |key: &String| {
        let path = format!("{bucket}/{key}");
        denies.iter().flat_map(|one| list(&one["Resource"])).any(|resource| {
            let pattern =
                resource.as_str().and_then(|arn| arn.rsplit_once(":::")).map(|(_, pattern)| pattern);
            pattern.is_some_and(|pattern| matches(pattern.as_bytes(), path.as_bytes()))
        })
    };
    keys.into_iter().filter(|key| !covered(key)).collect()
}

/// Whether a statement denies everybody a `PutObject` without `If-None-Match`.
fn requires_condition(statement: &Value) -> bool {
    let puts = |action: &Value| {
        action.as_str().is_some_and(|action| matches(action.to_lowercase().as_bytes(), b"s3:putobject"))
    };
    let everybody = statement["Principal"] == "*" || statement["Principal"]["AWS"] == "*";
    let without = &statement["Condition"]["Null"]["s3:if-none-match"];
    statement["Effect"] == "Deny"
        && everybody
        && list(&statement["Action"]).into_iter().any(puts)
        && (without == "true"
            || without == &Value::Bool(true)
            || list(without).iter().any(|one| *one == "true"))
}

fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(all) => all.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

async fn reached(ward: &Ward, bucket: &str) -> Finding {
    const CHECK: &str = "buckets.output";
    let answer = ward.clients.s3.read.get_bucket_location().bucket(bucket).send().await;
    let finding = match answer.map_err(|error| call_error("s3:GetBucketLocation", &error)) {
        Err(error) if error.message.contains("NoSuchBucket") => gone(CHECK),
        Err(error) => Finding::unread(CHECK, &error),
        Ok(_) => Finding::ok(CHECK, "there"),
    };
    finding.of(bucket)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_policy_protects_all_three_or_says_which_it_does_not() {
        let statement = |resources: Value| {
            json!({"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": resources,
                "Condition": {"Null": {"s3:if-none-match": "true"}}})
        };
        let open = |statement: Value| overwritable(&json!({"Statement": [statement]}), "state").len();
        let all = ["terminal.json", "spec.json", "attempts/??????.json"]
            .map(|end| format!("arn:aws:s3:::state/jobs/*/{end}"));
        assert_eq!(open(statement(json!(all))), 0);
        assert_eq!(open(statement(json!("arn:aws:s3:::state/jobs/*/terminal.json"))), 2);
        assert_eq!(open(statement(json!("arn:aws:s3:::other/*"))), 3);
        let mut weak = statement(json!("arn:aws:s3:::state/*"));
        assert_eq!(open(weak.clone()), 0);
        weak["Condition"] = json!({"Null": {"s3:if-match": "true"}});
        assert_eq!(open(weak.clone()), 3);
        weak = statement(json!("arn:aws:s3:::state/*"));
        weak["Principal"] = json!({"AWS": "arn:aws:iam::1:role/x"});
        assert_eq!(open(weak), 3);
    }
}
