//! Imports clusters and task definitions from another ECS endpoint, such as the emulator on which CloudFormation made
//! them.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    host::shared::Shared,
    model::{
        Millis,
        definitions::{self, Definition},
        error::ApiError,
        names,
    },
    upstream::Upstream,
};

/// How long a pinned revision is used from memory before its status is read again.
const FRESH: Millis = 10_000;
/// Definitions imported by one `ListTaskDefinitions`.
const MAX_LISTED: usize = 200;

/// Imports unknown objects that an operation refers to. Does nothing without an upstream endpoint.
pub(crate) async fn import(shared: &Arc<Shared>, operation: &str, body: &Value) -> Result<(), ApiError> {
    let Some(upstream) = &shared.upstream else { return Ok(()) };
    match operation {
        "DescribeClusters" => {
            for reference in definitions::strings(&body["clusters"]).iter().take(100) {
                import_cluster(shared, upstream, Some(reference)).await?;
            }
        }
        "RunTask" | "DescribeTasks" | "ListTasks" | "StopTask" => {
            import_cluster(shared, upstream, body["cluster"].as_str()).await?;
        }
        _ => {}
    }
    match operation {
        "RunTask" | "DescribeTaskDefinition" | "DeregisterTaskDefinition" => {
            let reference = definitions::text(&body["taskDefinition"]).unwrap_or_default();
            import_definition(shared, upstream, &reference).await
        }
        // The next revision must come after the upstream endpoint's.
        "RegisterTaskDefinition" => {
            let family = definitions::text(&body["family"]).unwrap_or_default();
            import_definition(shared, upstream, &family).await
        }
        "ListTaskDefinitions" => {
            let answer = upstream.call("ListTaskDefinitions", body).await?.unwrap_or_default();
            for arn in definitions::strings(&answer["taskDefinitionArns"]).iter().take(MAX_LISTED) {
                import_definition(shared, upstream, arn).await?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

async fn import_cluster(
    shared: &Arc<Shared>,
    upstream: &Upstream,
    reference: Option<&str>,
) -> Result<(), ApiError> {
    let name = names::cluster(reference).to_owned();
    if shared.update(|state, _| state.clusters.contains_key(&name)) {
        return Ok(());
    }
    let answer = upstream.call("DescribeClusters", &json!({"clusters": [name]})).await?.unwrap_or_default();
    let found = definitions::list(&answer["clusters"])
        .iter()
        .find(|cluster| cluster["clusterName"] == name.as_str() && cluster["clusterArn"].is_string());
    if let Some(cluster) = found {
        tracing::info!(cluster = %name, "cluster taken over from upstream");
        shared.update(|state, _| state.clusters.insert(name, cluster.clone()));
    }
    Ok(())
}

async fn import_definition(
    shared: &Arc<Shared>,
    upstream: &Upstream,
    reference: &str,
) -> Result<(), ApiError> {
    let Some((family, revision)) = names::definition(reference).filter(|(family, _)| !family.is_empty())
    else {
        return Ok(());
    };
    let known = shared.update(|state, now| {
        let found = state.definitions.find(reference).filter(|_| revision.is_some());
        // A revision registered here stays as it is; the status of an imported one may change upstream.
        found.is_some_and(|(_, one)| one.imported.is_none_or(|at| now < at.saturating_add(FRESH)))
    });
    if known {
        return Ok(());
    }
    let short = revision.map_or_else(|| family.to_owned(), |revision| format!("{family}:{revision}"));
    let request = json!({"taskDefinition": short, "include": ["TAGS"]});
    let Some(answer) = upstream.call("DescribeTaskDefinition", &request).await? else { return Ok(()) };
    let number = definitions::number(&answer["taskDefinition"]["revision"]);
    let Some(revision) = number.and_then(|number| u32::try_from(number).ok()) else { return Ok(()) };
    shared.update(|state, now| {
        let exact = format!("{family}:{revision}");
        if state.definitions.find(&exact).is_some_and(|(_, one)| one.imported.is_none()) {
            return Ok(());
        }
        let definition = Definition {
            body: answer["taskDefinition"].clone(),
            tags: answer["tags"].clone(),
            imported: Some(now),
        };
        state.definitions.insert(family, revision, definition)
    })
}
