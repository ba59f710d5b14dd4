//! IAM's answer to every call of the controller.
//!
//! IAM's simulator evaluates identity policies with the context that is given to it. It does not see what the policies
//! of buckets and queues deny, so "all allowed" is a strong hint and no proof.

use aws_sdk_ecs::types::TaskDefinition;
use transcode_config::contract::{EVENT_SOURCE, outbox_prefix, status_key};
use transcode_core::protocol::fact::CallError;

use super::{
    Finding, Status, Ward,
    account::{caller, pair},
};
use crate::aws::{
    image::{Reference, Registry},
    query::{Service, texts},
};

const CHECK: &str = "account.permissions";

/// Actions of the controller on one resource.
struct Need {
    actions: Vec<&'static str>,
    resource: String,
}

/// The beginning of ARNs here.
struct Place {
    partition: &'static str,
    region: String,
    account: String,
}

impl Place {
    fn arn(&self, service: &str, rest: &str) -> String {
        format!("arn:{}:{service}:{}:{}:{rest}", self.partition, self.region, self.account)
    }

    fn bucket(&self, path: &str) -> String {
        format!("arn:{}:s3:::{path}", self.partition)
    }
}

/// Checks the permissions of the named role, or of the caller.
pub(super) async fn permissions(ward: &Ward) -> Vec<Finding> {
    let principal = match &ward.role {
        Some(role) => role.clone(),
        None => match caller(ward).await {
            Ok(caller) => role_of(&caller.arn),
            Err(error) => return vec![Finding::unread(CHECK, &error)],
        },
    };
    let place = Place {
        partition: ward.query.partition(),
        region: ward.query.region().to_owned(),
        account: principal.split(':').nth(4).unwrap_or_default().to_owned(),
    };
    // The task definition's roles are passed and its image is read. If it is missing, only these checks are omitted;
    // `definition.exists` reports it.
    let family = &ward.settings.cluster.task_definition;
    let definition = ward.clients.ecs.read.describe_task_definition().task_definition(family).send().await;
    let definition = definition.ok().and_then(|answer| answer.task_definition);
    let needs = needs(ward, &place, definition.as_ref());
    let (mut asked, mut denied) = (0, Vec::new());
    for need in &needs {
        match refused(ward, &principal, &place, need).await {
            Ok(actions) => denied.extend(actions),
            Err(error) => return vec![Finding::unread(CHECK, &error).of(principal)],
        }
        asked += need.actions.len();
    }
    let seen = match denied.len() {
        0 => format!("all {asked} that the controller needs"),
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

fn needs(ward: &Ward, place: &Place, definition: Option<&TaskDefinition>) -> Vec<Need> {
    let settings = &ward.settings;
    let need = |actions: &[&'static str], resource: String| Need { actions: actions.to_vec(), resource };
    let cluster = settings.cluster.name.rsplit('/').next().unwrap_or_default();
    let family = settings.cluster.task_definition.rsplit('/').next().unwrap_or_default();
    let revision = if family.contains(':') { family.to_owned() } else { format!("{family}:1") };
    let state = &settings.state.bucket;
    let published = format!("{}/{}x/master.m3u8", settings.output.bucket, settings.output.prefix);
    let leftover = format!("{}/{}x/v-0/1.m4s", settings.output.bucket, settings.output.prefix);
    let anywhere = ["ecs:ListTasks", "ecs:DescribeTaskDefinition", "cloudwatch:PutMetricData"];
    let mut needs = vec![
        need(&["ecs:RunTask"], place.arn("ecs", &format!("task-definition/{revision}"))),
        need(
            &["ecs:DescribeTasks", "ecs:StopTask", "ecs:TagResource"],
            place.arn("ecs", &format!("task/{cluster}/t")),
        ),
        need(&anywhere, "*".to_owned()),
        need(&["s3:GetObject", "s3:PutObject"], place.bucket(&format!("{state}/jobs/j/spec.json"))),
        need(&["s3:GetObject", "s3:PutObject"], place.bucket(&format!("{state}/published/p.json"))),
        need(&["s3:PutObject"], place.bucket(&format!("{state}/index/recent/x"))),
        need(
            &["s3:GetObject", "s3:PutObject"],
            place.bucket(&format!("{state}/{}", status_key(&settings.environment))),
        ),
        need(&["s3:ListBucket"], place.bucket(state)),
        need(&["s3:GetObject", "s3:PutObject"], place.bucket(&published)),
        need(&["s3:ListBucket", "s3:ListBucketMultipartUploads"], place.bucket(&settings.output.bucket)),
        need(&["s3:DeleteObject", "s3:AbortMultipartUpload"], place.bucket(&leftover)),
    ];
    let queue = |url: &str| place.arn("sqs", url.rsplit('/').next().unwrap_or(url));
    let take = ["sqs:ReceiveMessage", "sqs:DeleteMessage"];
    for jobs in settings.queues.values() {
        needs.push(need(&take, queue(&jobs.url)));
        needs.push(need(&["sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"], queue(&jobs.url)));
        needs.push(need(&["sqs:SendMessage", "sqs:GetQueueAttributes"], queue(&jobs.dead_letter_url)));
    }
    if !settings.events.bus.is_empty() {
        let name = settings.events.bus.rsplit('/').next().unwrap_or_default();
        let bus = if settings.events.bus.starts_with("arn:") {
            settings.events.bus.clone()
        } else {
            place.arn("events", &format!("event-bus/{name}"))
        };
        needs.push(need(&["events:PutEvents"], bus));
        let kept = place.bucket(&format!("{state}/{}x", outbox_prefix(&settings.environment)));
        needs.push(need(&["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], kept));
    }
    needs.extend(settings.events.queue_url.iter().map(|url| need(&take, queue(url))));
    if let Some(definition) = definition {
        let roles = [definition.task_role_arn(), definition.execution_role_arn()].into_iter().flatten();
        needs.extend(roles.map(|role| need(&["iam:PassRole"], role.to_owned())));
        needs.extend(image(ward, place, definition));
    }
    needs
}

/// The reads of the image check, if the image is in ECR and checked.
fn image(ward: &Ward, place: &Place, definition: &TaskDefinition) -> Option<Need> {
    let container = &ward.settings.cluster.container;
    let named =
        definition.container_definitions().iter().find(|one| one.name() == Some(container))?.image()?;
    let reference = Reference::parse(named)?;
    let Registry::Ecr { account, region } = &reference.registry else { return None };
    let repository =
        format!("arn:{}:ecr:{region}:{account}:repository/{}", place.partition, reference.repository);
    let actions = vec!["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:DescribeImageScanFindings"];
    ward.settings.image.check.then_some(Need { actions, resource: repository })
}

/// The actions that IAM does not allow, with their resource. The context keys that the template's conditions need have
/// the values of the real call.
async fn refused(ward: &Ward, principal: &str, place: &Place, need: &Need) -> Result<Vec<String>, CallError> {
    let name = ward.settings.cluster.name.rsplit('/').next().unwrap_or_default();
    let cluster = place.arn("ecs", &format!("cluster/{name}"));
    let mut parameters = vec![
        pair("Action", "SimulatePrincipalPolicy"),
        pair("Version", "2010-05-08"),
        pair("PolicySourceArn", principal),
        pair("ResourceArns.member.1", &need.resource),
    ];
    let actions = (1..).zip(&need.actions);
    parameters.extend(actions.map(|(n, action)| pair(format!("ActionNames.member.{n}"), *action)));
    let folder = format!("{}x/v-0/", ward.settings.output.prefix);
    let context = [
        ("s3:prefix", folder.as_str()),
        ("ecs:cluster", cluster.as_str()),
        ("ecs:CreateAction", "RunTask"),
        ("cloudwatch:namespace", &ward.settings.metrics.namespace),
        ("iam:PassedToService", "ecs-tasks.amazonaws.com"),
        ("events:source", EVENT_SOURCE),
    ];
    for (n, (key, value)) in (1..).zip(context) {
        let entry = format!("ContextEntries.member.{n}");
        parameters.push(pair(format!("{entry}.ContextKeyName"), key));
        parameters.push(pair(format!("{entry}.ContextKeyType"), "string"));
        parameters.push(pair(format!("{entry}.ContextKeyValues.member.1"), value));
    }
    let answer = ward.query.form(Service::Iam, "iam:SimulatePrincipalPolicy", &parameters).await?;
    let decided = texts(&answer.text, "EvalActionName").into_iter().zip(texts(&answer.text, "EvalDecision"));
    let allowed: Vec<_> =
        decided.filter(|(_, decision)| decision == "allowed").map(|(action, _)| action).collect();
    let refused = need.actions.iter().filter(|action| !allowed.iter().any(|known| known == *action));
    Ok(refused.map(|action| format!("{action} on {}", need.resource)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_asked_for_by_its_role() {
        let role = "arn:aws:iam::123456789012:role/operator";
        assert_eq!(role_of("arn:aws:sts::123456789012:assumed-role/operator/me"), role);
        assert_eq!(role_of(role), role);
    }
}
