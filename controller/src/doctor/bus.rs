//! The bus of jobs' events: is it there, does a rule take the events further, and does anything wait in the outbox?

use aws_sdk_eventbridge::types::{Rule, RuleState, Target};
use serde_json::Value;
use transcode_config::contract::{EVENT_SOURCE, EventKind, outbox_prefix};
use transcode_core::protocol::fact::CallError;

use super::{Finding, Status, Ward};
use crate::aws::class::call_error;

const BUS: &str = "events.bus";
const RULES: &str = "events.rules";
const OUTBOX: &str = "events.outbox";

/// Most pages of rules that are read. A bus has at most 300 rules unless AWS raised the quota, and a page 100.
const MAX_PAGES: usize = 20;

/// Most objects of the outbox that are counted.
const MAX_COUNTED: i32 = 1000;

/// Checks the bus, its rules and the outbox. Without a bus only the outbox has to be empty.
pub(super) async fn bus(ward: &Ward) -> Vec<Finding> {
    let name = ward.settings.events.bus.as_str();
    let mut findings = Vec::new();
    if name.is_empty() {
        let seen = "none is set: nobody is told how jobs end";
        findings.extend([BUS, RULES].map(|check| Finding::ok(check, seen)));
    } else if let Some(missing) = absent(ward, name).await {
        findings.push(missing);
    } else {
        findings.push(Finding::ok(BUS, name));
        findings.push(rules(ward, name).await.unwrap_or_else(|error| Finding::unread(RULES, &error)));
    }
    findings.push(outbox(ward).await);
    findings
}

/// What is wrong with the bus itself.
async fn absent(ward: &Ward, name: &str) -> Option<Finding> {
    let answer = ward.clients.eventbridge.describe_event_bus().name(name).send().await;
    let error = call_error("events:DescribeEventBus", &answer.err()?);
    if error.message.contains("ResourceNotFoundException") {
        let todo = "make the bus, or correct events.bus (EventBusName of the template): until then outcomes go to the outbox";
        return Some(Finding::bad(BUS, Status::Fail, format!("{name} does not exist"), todo));
    }
    Some(Finding::unread(BUS, &error))
}

/// Where the bus sends the outcomes of this environment.
async fn rules(ward: &Ward, name: &str) -> Result<Finding, CallError> {
    let client = &ward.clients.eventbridge;
    let (mut ours, mut page) = (Vec::new(), None);
    for _ in 0..MAX_PAGES {
        let list = client.list_rules().event_bus_name(name).set_next_token(page.take());
        let answer = list.send().await.map_err(|error| call_error("events:ListRules", &error))?;
        page = answer.next_token;
        ours.extend(answer.rules.unwrap_or_default().into_iter().filter(|rule| takes(rule, ward)));
        if page.is_none() {
            break;
        }
    }
    let mut targets = Vec::new();
    for rule in ours.iter().filter_map(Rule::name) {
        let list = client.list_targets_by_rule().event_bus_name(name).rule(rule);
        let answer = list.send().await.map_err(|error| call_error("events:ListTargetsByRule", &error))?;
        targets.extend(answer.targets.unwrap_or_default().into_iter().map(|target| (rule, target)));
    }
    Ok(judge(&ours, &targets))
}

/// Whether an enabled rule may take an outcome of this environment.
fn takes(rule: &Rule, ward: &Ward) -> bool {
    let enabled = rule.state().is_none_or(|state| *state == RuleState::Enabled);
    let pattern = rule.event_pattern().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let environment = ward.settings.environment.as_str();
    enabled && pattern.is_some_and(|pattern| fits(&pattern, environment))
}

/// A pattern by prefix, suffix or the like counts as fitting: only its absence is certain.
fn fits(pattern: &Value, environment: &str) -> bool {
    let allows = |values: &Value, wanted: &[&str]| match values.as_array() {
        None => true,
        Some(values) => values.iter().any(|value| value.as_str().is_none_or(|value| wanted.contains(&value))),
    };
    let outcomes: Vec<_> =
        EventKind::ALL.into_iter().filter(|kind| kind.is_outcome()).map(EventKind::detail_type).collect();
    allows(&pattern["source"], &[EVENT_SOURCE])
        && allows(&pattern["detail-type"], &outcomes)
        && allows(&pattern["detail"]["environment"], &[environment])
}

fn judge(rules: &[Rule], targets: &[(&str, Target)]) -> Finding {
    if targets.is_empty() {
        let seen = match rules.len() {
            0 => "no rule takes the outcomes of jobs: nobody hears of them".to_owned(),
            many => format!("{many} rules take the outcomes of jobs, and none has a target"),
        };
        let todo = "deploy deploy/events.yaml for a topic, a queue or a webhook, or make a rule of your own";
        return Finding::bad(RULES, Status::Warn, seen, todo);
    }
    let mut bare: Vec<_> = targets
        .iter()
        .filter(|(_, target)| target.dead_letter_config().and_then(|config| config.arn()).is_none())
        .map(|(rule, target)| format!("{} of {rule}", target.id()))
        .collect();
    bare.sort_unstable();
    let seen = match bare.len() {
        0 => format!("{} rules, {} targets, each with a dead-letter queue", rules.len(), targets.len()),
        _ => format!("targets without a dead-letter queue: {}", bare.join(", ")),
    };
    let todo = "give each target a DeadLetterConfig, as deploy/events.yaml does: EventBridge drops what it could not deliver \
                within a day";
    Finding::when(RULES, bare.is_empty(), Status::Warn, seen, todo)
}

/// What waits for the bus.
async fn outbox(ward: &Ward) -> Finding {
    let list = ward.clients.s3.read.list_objects_v2().bucket(&ward.settings.state.bucket);
    let list = list.prefix(outbox_prefix(&ward.settings.environment)).max_keys(MAX_COUNTED);
    match list.send().await.map_err(|error| call_error("s3:ListBucket", &error)) {
        Err(error) if error.message.contains("NoSuchBucket") => {
            let todo = "deploy the template, or correct the settings";
            Finding::bad(OUTBOX, Status::Fail, "the bucket does not exist", todo)
        }
        Err(error) => Finding::unread(OUTBOX, &error),
        Ok(answer) => {
            let more = if answer.is_truncated() == Some(true) { "more than " } else { "" };
            let many = answer.key_count().unwrap_or_default();
            let todo = if ward.settings.events.bus.is_empty() {
                "set events.bus again: without a bus they stay there, and nobody hears of them"
            } else {
                "look at the bus and the permission events:PutEvents of the controller; it sends them once the bus takes them"
            };
            let seen = format!("{more}{many} events of outcomes wait for the bus");
            Finding::when(OUTBOX, many == 0, Status::Warn, seen, todo)
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_eventbridge::types::DeadLetterConfig;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rule_for_something_else_tells_nobody() {
        let succeeded = EventKind::Succeeded.detail_type();
        for (pattern, expected) in [
            (json!({"source": [EVENT_SOURCE], "detail-type": [succeeded]}), true),
            (json!({"source": [EVENT_SOURCE], "detail": {"environment": ["prod"]}}), true),
            (json!({"source": [{"prefix": "transcode"}]}), true),
            (json!({"account": ["1"]}), true),
            (json!({"source": ["aws.ecs"]}), false),
            (json!({"source": [EVENT_SOURCE], "detail": {"environment": ["test"]}}), false),
            (json!({"detail-type": [EventKind::Progress.detail_type()]}), false),
        ] {
            assert_eq!(fits(&pattern, "prod"), expected, "{pattern}");
        }
    }

    #[test]
    fn targets_without_a_dead_letter_queue_are_named() {
        let target = |id: &str, arn: Option<&str>| {
            let letters = arn.map(|arn| DeadLetterConfig::builder().arn(arn).build());
            Target::builder().id(id).arn("arn").set_dead_letter_config(letters).build().unwrap()
        };
        let rules = [Rule::builder().name("r").build()];
        assert_eq!(judge(&rules, &[("r", target("queue", Some("arn")))]).status, Status::Ok);
        let finding = judge(&rules, &[("r", target("queue", Some("arn"))), ("r", target("hook", None))]);
        assert_eq!(finding.status, Status::Warn);
        assert!(finding.seen.ends_with(": hook of r"), "{finding:?}");
        assert_eq!(judge(&rules, &[]).status, Status::Warn);
        assert!(judge(&[], &[]).seen.starts_with("no rule"), "nobody hears");
    }
}
