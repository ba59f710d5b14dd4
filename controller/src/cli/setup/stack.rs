//! `--stack NAME`: the settings of a deployed environment, without a file.
//!
//! The stack's output names its controller's task definition, and the variables of that definition are what the
//! controller runs with: they are read as the controller reads them, over the shipped defaults. A settings file that
//! somebody built into an image of their own is not seen; `--config` is for that.

use aws_config::{BehaviorVersion, SdkConfig};
use transcode_config::{Settings, load::from_variables, settings::CallSettings};
use transcode_core::protocol::fact::CallError;

use super::refused::Refused;
use crate::{
    aws::{
        Clients,
        class::call_error,
        query::{Query, Service, texts},
    },
    cli::output::advice,
};

/// The output with the controller's task definition.
const OUTPUT: &str = "ControllerTaskDefinitionArn";

/// The controller's container in it.
const CONTAINER: &str = "controller";

/// The limits of calls before the settings are known.
const CALLS: CallSettings = CallSettings {
    connect_seconds: 5,
    attempt_seconds: 20,
    operation_seconds: 30,
    concurrency: 1,
    receive_wait_seconds: 1,
    reads_per_second: 1.0,
    stops_per_second: 1.0,
};

/// Reads the settings of the environment that the stack made, and the ARN of its controller's role.
pub(super) async fn settings(stack: &str) -> Result<(Settings, Option<String>), Refused> {
    let sdk = aws_config::defaults(BehaviorVersion::latest()).load().await;
    let definition = definition(&sdk, stack).await?;
    let Defined { variables, role } = defined(&sdk, stack, &definition).await?;
    let pairs = variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let settings = from_variables(pairs).map_err(|error| {
        let why = error.to_string().replace('\n', "; ");
        Refused(format!(
            "stack {stack}: the variables of {definition} are no settings of this version ({why}); update the stack, or \
             give --config FILE"
        ))
    })?;
    Ok((settings, role))
}

/// The task definition that the stack's output names.
async fn definition(sdk: &SdkConfig, stack: &str) -> Result<String, Refused> {
    let query = Query::new(sdk.clone(), &CALLS);
    let parameters = [("Action", "DescribeStacks"), ("Version", "2010-05-15"), ("StackName", stack)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let answer = query.form(Service::CloudFormation, "cloudformation:DescribeStacks", &parameters).await;
    let answer = answer.map_err(|error| {
        let todo = if error.message.contains("does not exist") {
            format!("; check --stack and AWS_REGION, which is {}", query.region())
        } else {
            todo(&error).to_owned()
        };
        Refused(format!("stack {stack}: {error}{todo}"))
    })?;
    // A key without a value does not occur: outputs have both.
    let (keys, values) = (texts(&answer.text, "OutputKey"), texts(&answer.text, "OutputValue"));
    let found = keys.iter().zip(values).find(|(key, _)| *key == OUTPUT).map(|(_, value)| value);
    found.ok_or_else(|| {
        Refused(format!(
            "stack {stack} has no output {OUTPUT}; update it to this version's template, or give --config FILE"
        ))
    })
}

/// What the controller's task definition says.
struct Defined {
    /// The variables of the controller's container.
    variables: Vec<(String, String)>,
    /// ARN of the controller's role.
    role: Option<String>,
}

/// Reads the controller's task definition.
async fn defined(sdk: &SdkConfig, stack: &str, definition: &str) -> Result<Defined, Refused> {
    let describe = Clients::of(sdk, &CALLS, false).ecs.read.describe_task_definition();
    let answer = describe.task_definition(definition).send().await.map_err(|error| {
        let error = call_error("ecs:DescribeTaskDefinition", &error);
        Refused(format!("stack {stack}: {error}{}", todo(&error)))
    })?;
    let answer = answer.task_definition;
    let role = answer.as_ref().and_then(|it| it.task_role_arn.clone());
    let containers = answer.and_then(|it| it.container_definitions).unwrap_or_default();
    let ours = containers.into_iter().find(|container| container.name() == Some(CONTAINER));
    let ours = ours.and_then(|container| container.environment).unwrap_or_default();
    let pairs = ours.into_iter().filter_map(|pair| Some((pair.name?, pair.value?))).collect();
    Ok(Defined { variables: pairs, role })
}

/// What a person can do, unless the end of the line says it anyway.
fn todo(error: &CallError) -> &'static str {
    match advice(&error.to_string()) {
        Some(_) => "",
        None => "; assume the stack's operator role, or give --config FILE",
    }
}
