//! Clusters, task definitions and tags.

use serde_json::{Map, Value, json};

use crate::model::{
    Millis,
    definitions::{self, Definition},
    error::ApiError,
    input, names,
    render::{self, TimeStyle},
    sizes,
    state::EndpointState,
    task::Phase,
};

/// Clusters kept.
const MAX_CLUSTERS: usize = 1000;

/// `CreateCluster`: an existing one is returned unchanged.
pub(crate) fn create_cluster(state: &mut EndpointState, body: &Value) -> Result<Value, ApiError> {
    let name = definitions::text(&body["clusterName"]).unwrap_or_else(|| "default".to_owned());
    if name.len() > 255 || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
        return Err(ApiError::invalid(
            "Cluster names have up to 255 letters, digits, hyphens and underscores.",
        ));
    }
    if !state.clusters.contains_key(&name) {
        if state.clusters.len() >= MAX_CLUSTERS {
            return Err(ApiError::client("Too many clusters."));
        }
        let cluster = json!({
            "clusterArn": state.settings.names.cluster(&name),
            "clusterName": name,
            "status": "ACTIVE",
            "tags": definitions::list(&body["tags"]),
            "capacityProviders": definitions::list(&body["capacityProviders"]),
            "defaultCapacityProviderStrategy": definitions::list(&body["defaultCapacityProviderStrategy"]),
        });
        state.clusters.insert(name.clone(), cluster);
    }
    Ok(json!({"cluster": counted(state, &name)}))
}

/// `DescribeClusters`.
pub(crate) fn describe_clusters(state: &EndpointState, body: &Value) -> Result<Value, ApiError> {
    let mut references = definitions::strings(&body["clusters"]);
    if references.is_empty() {
        references.push("default".to_owned());
    }
    if references.len() > 100 {
        return Err(ApiError::invalid("Clusters cannot have more than 100 elements."));
    }
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for reference in &references {
        let name = names::cluster(Some(reference));
        if state.clusters.contains_key(name) {
            found.push(counted(state, name));
        } else {
            failures.push(json!({"arn": state.settings.names.cluster(name), "reason": "MISSING"}));
        }
    }
    Ok(json!({"clusters": found, "failures": failures}))
}

/// The cluster with the counts of its tasks.
fn counted(state: &EndpointState, name: &str) -> Value {
    let mut cluster = state.clusters.get(name).cloned().unwrap_or_else(|| json!({}));
    let (mut running, mut pending) = (0, 0);
    for (_, task) in state.tasks().filter(|(_, task)| task.cluster == name) {
        match task.phase {
            Phase::Running => running += 1,
            Phase::Provisioning | Phase::Pending => pending += 1,
            Phase::Deprovisioning | Phase::Stopped => {}
        }
    }
    cluster["runningTasksCount"] = json!(running);
    cluster["pendingTasksCount"] = json!(pending);
    cluster
}

/// `RegisterTaskDefinition`: a new revision of its family.
pub(crate) fn register(state: &mut EndpointState, body: &Value, now: Millis) -> Result<Value, ApiError> {
    let family = definitions::text(&body["family"]).unwrap_or_default();
    let name_fits = |name: &str| {
        (1..=255).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    if !name_fits(&family) {
        return Err(ApiError::client(
            "Family should not be null or empty, and have only letters, digits, - and _.",
        ));
    }
    let Value::Object(mut fields) = body.clone() else {
        return Err(ApiError::client("Not an object."));
    };
    let tags = fields.remove("tags").unwrap_or_else(|| json!([]));
    check_definition(&mut fields)?;
    let revision = state.definitions.next_revision(&family);
    fields.insert("taskDefinitionArn".to_owned(), json!(state.settings.names.definition(&family, revision)));
    fields.insert("revision".to_owned(), json!(revision));
    fields.insert("status".to_owned(), json!("ACTIVE"));
    fields.insert("registeredAt".to_owned(), render::time_value(now, TimeStyle::Epoch));
    let definition = Definition { body: Value::Object(fields), tags, imported: None };
    let answer = answer(&definition, true);
    state.definitions.insert(&family, revision, definition)?;
    Ok(answer)
}

/// Refuses a definition that cannot run; writes sizes in their plain form and fills in the defaults.
fn check_definition(fields: &mut Map<String, Value>) -> Result<(), ApiError> {
    let definition = Definition { body: Value::Object(fields.clone()), tags: Value::Null, imported: None };
    let containers = definition.containers();
    if containers.is_empty() {
        return Err(ApiError::client("Container list cannot be empty."));
    }
    if containers.iter().any(|container| container.name.is_empty() || container.image.is_empty()) {
        return Err(ApiError::client("Container.name and Container.image should not be null or empty."));
    }
    if !containers.iter().any(|container| container.essential) {
        return Err(ApiError::client("A task definition must have at least one essential container."));
    }
    if containers
        .iter()
        .any(|container| container.stop_timeout.is_some_and(|seconds| !(2..=120).contains(&seconds)))
    {
        return Err(ApiError::client("stopTimeout must be between 2 and 120 seconds."));
    }
    if let Some(list) = fields.get_mut("containerDefinitions").and_then(Value::as_array_mut) {
        for container in list.iter_mut().filter_map(Value::as_object_mut) {
            container.entry("essential").or_insert(json!(true));
        }
    }
    let fargate =
        definitions::strings(&definition.body["requiresCompatibilities"]).iter().any(|one| one == "FARGATE");
    if !fargate {
        return Ok(());
    }
    if definition.text("networkMode").as_deref() != Some("awsvpc") {
        return Err(ApiError::client("Fargate only supports network mode 'awsvpc'."));
    }
    let (cpu, memory) =
        (definition.text("cpu").unwrap_or_default(), definition.text("memory").unwrap_or_default());
    match (sizes::parse_cpu(&cpu), sizes::parse_memory(&memory)) {
        (Some(cpu), Some(memory)) if sizes::is_offered(cpu, memory) => {
            fields.insert("cpu".to_owned(), json!(cpu.to_string()));
            fields.insert("memory".to_owned(), json!(memory.to_string()));
            fields.insert("compatibilities".to_owned(), json!(["EC2", "FARGATE"]));
            Ok(())
        }
        _ => Err(ApiError::client(format!(
            "No Fargate configuration exists for given values: {cpu} CPU, {memory} memory."
        ))),
    }
}

fn answer(definition: &Definition, with_tags: bool) -> Value {
    let mut out = json!({"taskDefinition": definition.body});
    if with_tags {
        out["tags"] = definition.tags.clone();
    }
    out
}

/// `DescribeTaskDefinition`; an INACTIVE revision can still be described.
pub(crate) fn describe(state: &EndpointState, body: &Value) -> Result<Value, ApiError> {
    let reference = definitions::text(&body["taskDefinition"]).unwrap_or_default();
    let (_, definition) = state
        .definitions
        .find(&reference)
        .ok_or_else(|| ApiError::client("Unable to describe task definition."))?;
    Ok(answer(definition, definitions::strings(&body["include"]).iter().any(|field| field == "TAGS")))
}

/// `DeregisterTaskDefinition`: the revision becomes INACTIVE.
pub(crate) fn deregister(state: &mut EndpointState, body: &Value, now: Millis) -> Result<Value, ApiError> {
    let reference = definitions::text(&body["taskDefinition"]).unwrap_or_default();
    if matches!(names::definition(&reference), Some((_, None))) {
        return Err(ApiError::client("Revision is missing."));
    }
    let definition = state
        .definitions
        .find_mut(&reference)
        .ok_or_else(|| ApiError::client("The specified task definition does not exist."))?;
    definition.body["status"] = json!("INACTIVE");
    definition.body["deregisteredAt"] = render::time_value(now, TimeStyle::Epoch);
    Ok(answer(definition, false))
}

/// `ListTaskDefinitions` by `familyPrefix` (a whole family name) and `status`, newest last unless `sort` is `DESC`.
/// All in one page: at most as many as are kept.
pub(crate) fn list(state: &EndpointState, body: &Value) -> Result<Value, ApiError> {
    let family = definitions::text(&body["familyPrefix"]);
    let active = match definitions::text(&body["status"]).as_deref() {
        None | Some("ACTIVE") => true,
        Some("INACTIVE") => false,
        Some(other) => return Err(ApiError::invalid(format!("status cannot be {other}."))),
    };
    let mut arns: Vec<&str> = state
        .definitions
        .all()
        .filter(|(name, one)| {
            family.as_deref().is_none_or(|family| family == *name) && one.is_active() == active
        })
        .map(|(_, one)| one.arn())
        .collect();
    if body["sort"] == "DESC" {
        arns.reverse();
    }
    Ok(json!({"taskDefinitionArns": arns}))
}

/// `TagResource` on a task; a tag with a known key takes the old one's place.
pub(crate) fn tag_resource(state: &mut EndpointState, body: &Value, now: Millis) -> Result<Value, ApiError> {
    let id = tagged_task(state, body)?;
    let added = definitions::list(&body["tags"]);
    input::check_tags(added)?;
    let kept = |tags: &[Value]| -> Vec<Value> {
        tags.iter()
            .filter(|tag| !added.iter().any(|one| one["key"] == tag["key"]))
            .chain(added)
            .cloned()
            .collect()
    };
    let tags = kept(state.task(&id).map_or(&[], |task| &task.tags));
    input::check_tags(&tags)?;
    state.retag(&id, now, |old| *old = tags);
    Ok(json!({}))
}

/// `ListTagsForResource` of a task.
pub(crate) fn list_tags(state: &EndpointState, body: &Value) -> Result<Value, ApiError> {
    let id = tagged_task(state, body)?;
    Ok(json!({"tags": state.task(&id).map(|task| &task.tags)}))
}

fn tagged_task(state: &EndpointState, body: &Value) -> Result<String, ApiError> {
    let reference = definitions::text(&body["resourceArn"]).unwrap_or_default();
    let (id, _) = names::task(&reference);
    state
        .task(id)
        .map(|task| task.id.clone())
        .ok_or_else(|| ApiError::invalid("The specified task was not found; only tasks can be tagged here."))
}
