//! What is around the task may answer or not: nothing depends on it.

use std::time::Instant;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use transcode_tests::s3_faults::{Fault, Proxy};

use crate::{
    fixture::{Fixture, NEVER},
    publish::succeeded,
};

const ARN: &str = "arn:aws:ecs:us-east-1:123456789012:task/cluster/0123456789abcdef";

/// A task metadata endpoint, version 4.
async fn metadata_endpoint() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let read = client.read(&mut request).await.unwrap();
            let found = request[..read].starts_with(b"GET /v4/id/task HTTP/1.1\r\n");
            let (status, body) =
                if found { (200, format!(r#"{{"TaskARN":"{ARN}"}}"#)) } else { (404, String::new()) };
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", body.len());
            client.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        }
    });
    format!("http://{address}/v4/id")
}

#[tokio::test]
async fn reports_name_the_task() {
    let mut fixture = Fixture::new("metadata").await;
    fixture.env.push(("ECS_CONTAINER_METADATA_URI_V4", metadata_endpoint().await));
    let attempt = fixture.launch(1, NEVER).await;
    let mut task = fixture.task(attempt);
    assert_eq!(task.exit().await, Some(0), "{}", task.log());
    assert_eq!(fixture.heartbeat(attempt).await.unwrap().task_arn.as_deref(), Some(ARN));
    assert_eq!(succeeded(&fixture).await.task_arn.as_deref(), Some(ARN));
    assert!(task.log().contains(r#""task":"0123456789abcdef""#), "{}", task.log());
}

#[tokio::test]
async fn silence_all_around_costs_seconds_and_no_job() {
    let mut fixture = Fixture::new("silence").await;
    // Nothing listens to what is accepted here: a connection, and then nothing.
    let silent = Proxy::start(&fixture.proxy.upstream()).await.unwrap();
    for method in ["GET", "POST"] {
        silent.fault(method, "/", usize::MAX, Fault::BlackHole);
    }
    fixture.env.push(("ECS_CONTAINER_METADATA_URI_V4", silent.endpoint.clone()));
    fixture.env.push(("AWS_ENDPOINT_URL_CLOUDWATCH", silent.endpoint.clone()));
    let attempt = fixture.launch(1, NEVER).await;
    let began = Instant::now();
    let mut task = fixture.task(attempt);
    assert_eq!(task.exit().await, Some(0), "{}", task.log());
    assert!(began.elapsed().as_secs() < 40, "{:?}", began.elapsed());
    assert!(task.log().contains("metrics were not sent"), "{}", task.log());
    succeeded(&fixture).await;
}
