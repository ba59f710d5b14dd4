//! The cluster port on ECS.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use aws_sdk_ecs::{
    Client,
    error::SdkError,
    operation::run_task::{RunTaskError, RunTaskOutput},
    types::{CpuArchitecture, Failure, TaskDefinition},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use transcode_config::{contract::Claim, settings::Settings};
use transcode_core::{
    effects::ports::Cluster,
    protocol::{
        fact::{CallError, ErrorClass, Pinned, Refusal, Resolution},
        task_view::{TaskArn, TaskView},
    },
};

use super::{
    class::call_error,
    client::Pair,
    describe,
    ecr::{Images, Named},
    image::architecture,
    run_task::LaunchTemplate,
    wall_ms,
};

/// ECS' limit for one DescribeTasks.
const DESCRIBE_CHUNK: usize = 100;

/// Most pages of one list: 40,000 tasks, twice the settings' limit. It also ends a list whose pages form a circle.
const MAX_PAGES: usize = 400;

/// How long the newest revision of a task definition is cached.
const DEFINITION_AGE: Duration = Duration::from_mins(1);

/// Longest reason of a StopTask, in characters; ours are one line.
const MAX_REASON: usize = 255;

const RUN_TASK: &str = "ecs:RunTask";
const DESCRIBE_TASKS: &str = "ecs:DescribeTasks";
const LIST_TASKS: &str = "ecs:ListTasks";
const STOP_TASK: &str = "ecs:StopTask";
const DESCRIBE_DEFINITION: &str = "ecs:DescribeTaskDefinition";

/// [`Cluster`] on ECS.
#[derive(Debug)]
pub struct Ecs {
    clients: Pair<Client>,
    template: LaunchTemplate,
    cluster: String,
    container: String,
    family: String,
    images: Images,
    definition: Mutex<Option<(Instant, Defined)>>,
}

impl Ecs {
    /// The cluster of these settings.
    pub fn new(clients: Pair<Client>, images: Images, settings: &Settings) -> Self {
        Self {
            clients,
            images,
            template: LaunchTemplate::new(settings),
            cluster: settings.cluster.name.clone(),
            container: settings.cluster.container.clone(),
            family: settings.cluster.task_definition.clone(),
            definition: Mutex::new(None),
        }
    }

    /// One DescribeTasks call. Every task is in the result, or the call is an error: a task that ECS neither describes
    /// nor reports as missing must not count as gone.
    async fn describe_chunk(&self, tasks: &[TaskArn]) -> Result<Vec<(TaskArn, Option<TaskView>)>, CallError> {
        let answer = self
            .clients
            .read
            .describe_tasks()
            .cluster(&self.cluster)
            .set_tasks(Some(tasks.iter().map(|task| task.0.to_string()).collect()))
            .send()
            .await
            .map_err(|error| call_error(DESCRIBE_TASKS, &error))?;
        let mut views: BTreeMap<TaskArn, Option<TaskView>> = answer
            .failures()
            .iter()
            .filter(|failure| failure.reason() == Some("MISSING"))
            .filter_map(|failure| Some((TaskArn(failure.arn()?.into()), None)))
            .collect();
        let seen = answer.tasks().iter().filter_map(|task| describe::view(task, &self.container));
        views.extend(seen.map(|view| (view.arn.clone(), Some(view))));
        let known = |task: &TaskArn| match views.get(task) {
            Some(view) => Ok((task.clone(), view.clone())),
            None => Err(unexplained(answer.failures())),
        };
        tasks.iter().map(known).collect()
    }

    async fn list_arns(&self) -> Result<BTreeSet<TaskArn>, CallError> {
        let mut found = BTreeSet::new();
        let mut next = None;
        for _ in 0..MAX_PAGES {
            let page = self
                .clients
                .read
                .list_tasks()
                .cluster(&self.cluster)
                // ECS accepts no other filter together with this one.
                .started_by(self.template.started_by())
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| call_error(LIST_TASKS, &error))?;
            found.extend(page.task_arns().iter().map(|arn| TaskArn(arn.as_str().into())));
            next = page.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
            if next.is_none() {
                return Ok(found);
            }
        }
        Err(failed(LIST_TASKS, ErrorClass::Transient, format!("no end after {MAX_PAGES} pages")))
    }

    fn cached_definition(&self) -> Option<Defined> {
        let cached = self.definition.lock().unwrap_or_else(PoisonError::into_inner);
        cached.as_ref().filter(|(at, _)| at.elapsed() < DEFINITION_AGE).map(|(_, defined)| defined.clone())
    }

    fn remember_definition(&self, defined: Option<Defined>) {
        let mut cached = self.definition.lock().unwrap_or_else(PoisonError::into_inner);
        *cached = defined.map(|defined| (Instant::now(), defined));
    }

    /// The newest revision, read at most once a minute.
    async fn defined(&self) -> Result<Defined, CallError> {
        if let Some(defined) = self.cached_definition() {
            return Ok(defined);
        }
        let answer = self
            .clients
            .read
            .describe_task_definition()
            .task_definition(&self.family)
            .send()
            .await
            .map_err(|error| call_error(DESCRIBE_DEFINITION, &error))?;
        let defined = checked(answer.task_definition(), &self.container)?;
        self.remember_definition(Some(defined.clone()));
        Ok(defined)
    }
}

impl Cluster for Ecs {
    async fn launch(&self, claim: &Claim) -> Result<TaskArn, Refusal> {
        let request = self
            .template
            .request(claim)
            .map_err(|error| Refusal::Failed(failed(RUN_TASK, ErrorClass::Permanent, error.to_string())))?;
        // Checked right before the request is sent: the planner's decision may be old by now (S7).
        if wall_ms() >= claim.launch_not_after_ms {
            return Err(Refusal::Failed(failed(RUN_TASK, ErrorClass::Transient, "deadline passed".into())));
        }
        launched(request.send_with(&self.clients.write).await)
    }

    async fn describe(&self, tasks: &[TaskArn]) -> Result<Vec<(TaskArn, Option<TaskView>)>, CallError> {
        let mut views = Vec::with_capacity(tasks.len());
        for chunk in tasks.chunks(DESCRIBE_CHUNK) {
            views.extend(self.describe_chunk(chunk).await?);
        }
        Ok(views)
    }

    async fn list(&self) -> Result<Vec<TaskView>, CallError> {
        let arns: Vec<TaskArn> = self.list_arns().await?.into_iter().collect();
        // Listed but missing: the task is gone meanwhile, or the list is old. Neither is a fact.
        Ok(self.describe(&arns).await?.into_iter().filter_map(|(_, view)| view).collect())
    }

    async fn stop(&self, task: &TaskArn, reason: &str) -> Result<(), CallError> {
        let reason: String = reason.chars().take(MAX_REASON).collect();
        let answer =
            self.clients.write.stop_task().cluster(&self.cluster).task(&*task.0).reason(reason).send().await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) if task_not_found(&error) => Ok(()),
            Err(error) => Err(call_error(STOP_TASK, &error)),
        }
    }

    async fn task_definition(&self) -> Result<Resolution, CallError> {
        let defined = self.defined().await?;
        let Defined { arn, image, architecture } = &defined;
        let named = Named { task_definition: arn, image, architecture };
        Ok(match self.images.check(named).await? {
            Ok(image_digest) => Resolution::Fit(Pinned { task_definition: arn.clone(), image_digest }),
            Err(unfit) => {
                // The repair may be a new revision, so the next call looks for one.
                self.remember_definition(None);
                Resolution::Unfit(format!("{arn}: {unfit}"))
            }
        })
    }
}

/// The meaning of RunTask's answer. If a task exists, it is adopted, also when the answer is an error.
fn launched(answer: Result<RunTaskOutput, SdkError<RunTaskError, HttpResponse>>) -> Result<TaskArn, Refusal> {
    match answer {
        Ok(output) => match output.tasks().iter().find_map(|task| task.task_arn()) {
            Some(arn) => Ok(TaskArn(arn.into())),
            None => Err(refused(output.failures())),
        },
        Err(error) => {
            // The token was used before with other parameters; the task launched then stands for this attempt.
            if let Some(RunTaskError::ConflictException(conflict)) = error.as_service_error()
                && let Some(arn) = conflict.resource_ids().first()
            {
                return Ok(TaskArn(arn.as_str().into()));
            }
            Err(Refusal::Failed(call_error(RUN_TASK, &error)))
        }
    }
}

/// A refusal with status 200 and no task. With reasons, it is ECS' final answer under this token. Without reasons, or
/// with MISSING, which answers another call, it means nothing.
fn refused(failures: &[Failure]) -> Refusal {
    let reasons: Vec<String> = failures
        .iter()
        .filter_map(|failure| {
            let reason = failure.reason().filter(|reason| *reason != "MISSING")?;
            Some(match failure.detail() {
                Some(detail) => format!("{reason}: {detail}"),
                None => reason.to_owned(),
            })
        })
        .collect();
    if reasons.is_empty() {
        return Refusal::Failed(failed(RUN_TASK, ErrorClass::Uncertain, "neither tasks nor failures".into()));
    }
    Refusal::Definitive(reasons.join("; "))
}

/// ECS has no error code for this, so code and text together decide.
fn task_not_found<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    error.as_service_error().is_some_and(|error| {
        error.code() == Some("InvalidParameterException")
            && error.message().is_some_and(|text| text.contains("task was not found"))
    })
}

/// The needed fields of a revision of the task definition.
#[derive(Debug, Clone)]
struct Defined {
    arn: String,
    image: String,
    architecture: &'static str,
}

/// Checks that a task definition can run our tasks.
fn checked(definition: Option<&TaskDefinition>, container: &str) -> Result<Defined, CallError> {
    let misconfigured = |message: String| failed(DESCRIBE_DEFINITION, ErrorClass::Misconfigured, message);
    let definition = definition.ok_or_else(|| misconfigured("no task definition in the answer".into()))?;
    let arn = definition
        .task_definition_arn()
        .ok_or_else(|| misconfigured("a task definition without an ARN".into()))?;
    let ours = definition.container_definitions().iter().find(|known| known.name() == Some(container));
    let ours = ours.ok_or_else(|| misconfigured(format!("{arn} has no container named {container}")))?;
    if ours.log_configuration().is_none() {
        // Tasks run without it, but when one dies, nobody can read why.
        tracing::warn!(task_definition = arn, container, "container has no log configuration");
    }
    let platform = definition.runtime_platform().and_then(|platform| platform.cpu_architecture());
    Ok(Defined {
        arn: arn.to_owned(),
        image: ours.image().unwrap_or_default().to_owned(),
        architecture: architecture(platform.map(CpuArchitecture::as_str)),
    })
}

fn unexplained(failures: &[Failure]) -> CallError {
    let reasons: Vec<&str> = failures.iter().filter_map(Failure::reason).collect();
    let message = format!("a task is neither described nor missing; failures: {}", reasons.join("; "));
    failed(DESCRIBE_TASKS, ErrorClass::Transient, message)
}

fn failed(operation: &'static str, class: ErrorClass, message: String) -> CallError {
    CallError { operation, class, message }
}
