//! A gate before the local Fargate endpoint, which has no IAM: it checks each call against the caller's deployed
//! policies, as ECS would, and records the decisions.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use anyhow::{Context, Result};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use super::{
    call::Call,
    policy::{Decision, decide},
    record::{Decided, Record},
};
use crate::clients::{ACCOUNT, REGION};

const JSON: &str = "application/x-amz-json-1.1";

/// The gate. Dropping it ends it.
#[derive(Debug)]
pub struct Gate {
    /// Its URL, to be used as ECS' endpoint.
    pub endpoint: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    upstream: String,
    /// The roles of a task definition.
    passed: Vec<String>,
    record: Record,
    client: reqwest::Client,
    decisions: Mutex<Vec<Decided>>,
}

impl Gate {
    /// A gate before `upstream`. `record` maps access keys to roles; `passed` are the roles of the task definition.
    pub async fn start(upstream: &str, record: Record, passed: Vec<String>) -> Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.context("no port")?;
        let endpoint = format!("http://{}", listener.local_addr().context("no address")?);
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            passed,
            record,
            client: reqwest::Client::new(),
            decisions: Mutex::default(),
        });
        let routes = Router::new().fallback(pass).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            // The task ends with the runtime at the latest.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self { endpoint, shared, server })
    }

    /// Every decision so far.
    pub fn decisions(&self) -> Vec<Decided> {
        self.shared.decisions.lock().map(|all| all.clone()).unwrap_or_default()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn pass(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    match shared.judged(&headers, &body) {
        Ok(None) => {}
        Ok(Some(refused)) => return answer(StatusCode::BAD_REQUEST, denied(&refused)),
        Err(error) => return answer(StatusCode::INTERNAL_SERVER_ERROR, error_body(&format!("{error:#}"))),
    }
    let request = shared.client.post(&shared.upstream).headers(headers).body(body);
    let forwarded = async {
        let got = request.send().await?;
        let status = StatusCode::from_u16(got.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
        Ok::<_, reqwest::Error>((status, got.bytes().await?))
    };
    match forwarded.await {
        Ok((status, bytes)) => answer(status, bytes.to_vec()),
        Err(error) => answer(StatusCode::BAD_GATEWAY, error_body(&error.to_string())),
    }
}

fn answer(status: StatusCode, body: Vec<u8>) -> impl IntoResponse {
    (status, [(CONTENT_TYPE, JSON)], body)
}

fn error_body(message: &str) -> Vec<u8> {
    json!({"__type": "ServerException", "message": message}).to_string().into_bytes()
}

fn denied(call: &Call) -> Vec<u8> {
    let message = format!("not authorized to perform: {} on resource: {}", call.action, call.resource);
    json!({"__type": "AccessDeniedException", "message": message}).to_string().into_bytes()
}

impl Shared {
    /// The first call that the caller's role does not allow; `None` if all are allowed.
    fn judged(&self, headers: &HeaderMap, body: &[u8]) -> Result<Option<Call>> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let operation = text("x-amz-target").rsplit('.').next().unwrap_or_default().to_owned();
        let key = text("authorization").split("Credential=").nth(1).and_then(|rest| rest.split('/').next());
        let key = key.context("an ECS call without a signature")?;
        let role = self.record.role_of(key)?.context("an ECS call by nobody's role")?;
        let policies = self.record.policies(&role)?;
        let policies: Vec<_> = policies.iter().collect();
        let request: Value = serde_json::from_slice(body).context("an ECS call that is not JSON")?;
        let mut refused = None;
        for call in calls(&operation, &request, &self.passed) {
            let allowed = decide(&policies, &call) == Decision::Allowed;
            if let Ok(mut decisions) = self.decisions.lock() {
                decisions.push(Decided { role: role.clone(), call: call.clone(), allowed });
            }
            if !allowed && refused.is_none() {
                refused = Some(call);
            }
        }
        Ok(refused)
    }
}

/// The calls that IAM evaluates for an ECS operation, by the service authorization reference: actions, resources,
/// condition keys.
fn calls(operation: &str, request: &Value, passed: &[String]) -> Vec<Call> {
    let arn = |rest: &str| format!("arn:aws:ecs:{REGION}:{ACCOUNT}:{rest}");
    let full = |kind: &str, name: &str| {
        if name.starts_with("arn:") { name.to_owned() } else { arn(&format!("{kind}/{name}")) }
    };
    let cluster = request["cluster"].as_str().unwrap_or("default");
    let short = cluster.rsplit('/').next().unwrap_or_default();
    let here = full("cluster", cluster);
    let in_cluster = |action: &str, resource: &str| Call::new(action, resource).with("ecs:cluster", &here);
    let named = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let action = format!("ecs:{operation}");
    match operation {
        "RunTask" => {
            let definition = full("task-definition", &named(&request["taskDefinition"]));
            let mut all = vec![in_cluster(&action, &definition)];
            all.extend(passed.iter().map(|role| {
                Call::new("iam:PassRole", role).with("iam:PassedToService", "ecs-tasks.amazonaws.com")
            }));
            if request["tags"].as_array().is_some_and(|tags| !tags.is_empty()) {
                let task = arn(&format!("task/{short}/new"));
                all.push(Call::new("ecs:TagResource", &task).with("ecs:CreateAction", operation));
            }
            all
        }
        "StopTask" => vec![in_cluster(&action, &full(&format!("task/{short}"), &named(&request["task"])))],
        "DescribeTasks" => {
            let tasks = request["tasks"].as_array().into_iter().flatten();
            tasks.map(|task| in_cluster(&action, &full(&format!("task/{short}"), &named(task)))).collect()
        }
        "ListTasks" => vec![in_cluster(&action, "*")],
        "DescribeClusters" => {
            let clusters = request["clusters"].as_array().into_iter().flatten();
            clusters.map(|one| Call::new(&action, &full("cluster", &named(one)))).collect()
        }
        // These operations have no resource; the same is assumed for operations that are not used yet.
        _ => vec![Call::new(&action, "*")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_launch_asks_for_the_definition_in_its_cluster_for_both_roles_and_for_its_tags() {
        let request = json!({"cluster": "c", "taskDefinition": "f:3", "tags": [{"key": "k", "value": "v"}]});
        let asked = calls("RunTask", &request, &["role/a".to_owned(), "role/b".to_owned()]);
        let actions: Vec<_> = asked.iter().map(|call| call.action.as_str()).collect();
        assert_eq!(actions, ["ecs:RunTask", "iam:PassRole", "iam:PassRole", "ecs:TagResource"]);
        assert_eq!(asked[0].resource, "arn:aws:ecs:us-east-1:123456789012:task-definition/f:3");
        assert_eq!(asked[0].context["ecs:cluster"], "arn:aws:ecs:us-east-1:123456789012:cluster/c");
        assert_eq!(asked[2].resource, "role/b");
        assert!(asked[3].resource.contains(":task/c/"), "{asked:?}");
    }

    #[test]
    fn many_tasks_are_many_questions() {
        let asked = calls("DescribeTasks", &json!({"cluster": "c", "tasks": ["1", "2"]}), &[]);
        assert_eq!(asked.len(), 2);
        assert_eq!(asked[1].resource, "arn:aws:ecs:us-east-1:123456789012:task/c/2");
    }
}
