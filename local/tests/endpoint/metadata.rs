//! The metadata endpoint, asked through the address that the task itself was given.

use serde_json::{Value, json};
use transcode_local::ControlClient;

use crate::support::{Fixture, arn, fixture, id, until};

/// What one path of the container's metadata answers; `null` when it refuses.
async fn get(fixture: &Fixture, path: &str) -> Value {
    let address = fixture.server.address();
    let target = format!("{}{path}", fixture.server.endpoint());
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let stream = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = hyper::Request::get(target).header("host", address.to_string());
    let answer = sender.send_request(request.body(axum::body::Body::empty()).unwrap()).await.unwrap();
    if answer.status() != 200 {
        return Value::Null;
    }
    let body = axum::body::to_bytes(axum::body::Body::new(answer.into_body()), 1 << 20).await.unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test]
async fn a_task_learns_who_it_is() {
    let fixture = fixture().await;
    let task = fixture.launch("echo \"$ECS_CONTAINER_METADATA_URI_V4\"; echo ready; sleep 600").await;
    fixture.line(&task, "ready").await;
    let log = std::fs::read_to_string(fixture.log(&task)).unwrap();
    let base = log.lines().next().unwrap().strip_prefix(fixture.server.endpoint()).unwrap().to_owned();

    let container = get(&fixture, &base).await;
    assert_eq!((&container["Name"], &container["Image"]), (&json!("main"), &json!("registry/shell:1")));
    assert_eq!(container["KnownStatus"], "RUNNING");
    assert_eq!(container["Labels"]["com.amazonaws.ecs.task-arn"], task.as_str());
    assert_eq!(container["Limits"], json!({"CPU": 256, "Memory": 512}));

    let whole = get(&fixture, &format!("{base}/task")).await;
    assert_eq!(whole["TaskARN"], task.as_str());
    assert_eq!((&whole["Family"], &whole["Revision"]), (&json!("job"), &json!("1")));
    assert_eq!(whole["Limits"], json!({"CPU": 0.25, "Memory": 512}));
    assert_eq!(whole["Containers"], json!([container]));

    let stats = until("memory was measured", async || {
        let stats = get(&fixture, &format!("{base}/stats")).await;
        (stats["memory_stats"]["usage"].as_u64().unwrap() > 0).then_some(stats)
    })
    .await;
    assert_eq!(stats["memory_stats"]["limit"], 512 * 1024 * 1024);
    let all = get(&fixture, &format!("{base}/task/stats")).await;
    let name = container["DockerId"].as_str().unwrap();
    assert_eq!(all[name]["memory_stats"]["limit"], stats["memory_stats"]["limit"]);
    assert_eq!(get(&fixture, &format!("/v4/{}-1", id(&task))).await, Value::Null);
    assert_eq!(get(&fixture, "/v4/nobody-0/task").await, Value::Null);
}

#[tokio::test]
async fn a_folder_with_something_in_it_is_reported_and_kept() {
    let fixture = fixture().await;
    fixture.script("[ -z \"$KEEP\" ] || echo hello > \"$TMPDIR/left\"").await;
    let run = fixture.run().overrides(crate::support::variable("KEEP", "1")).send().await.unwrap();
    let dirty = arn(&run.tasks()[0]);
    let clean = arn(&fixture.run().send().await.unwrap().tasks()[0]);
    fixture.status(&dirty, "STOPPED").await;
    fixture.status(&clean, "STOPPED").await;
    let work = fixture.folder.path().join("work");
    assert!(!work.join(id(&clean)).exists());
    let report = until("the report", async || {
        let report = fixture.control.get("leftovers").await.unwrap();
        (report["leftovers"] != json!([])).then_some(report)
    })
    .await;
    assert_eq!(report["leftovers"].as_array().unwrap().len(), 1);
    let one = &report["leftovers"][0];
    assert_eq!((&one["task"], &one["names"]), (&json!(id(&dirty)), &json!(["left"])));
    assert_eq!(std::fs::read_to_string(work.join(id(&dirty)).join("left")).unwrap(), "hello\n");
    assert_eq!(fixture.counters().await["leftovers"], 1);

    assert_eq!(fixture.control.delete("leftovers").await.unwrap(), json!({"discarded": 1}));
    assert!(!work.join(id(&dirty)).exists());
    assert!(ControlClient::new("http://example.com:80").is_err(), "loopback only");
}
