//! The ECS task metadata endpoint: the ARN of this task.

use std::time::Duration;

use serde::Deserialize;

/// The address of the endpoint, set by ECS in each container.
const ENV_METADATA: &str = "ECS_CONTAINER_METADATA_URI_V4";
/// The endpoint is on the same host.
const TIMEOUT: Duration = Duration::from_secs(2);
/// A task's metadata is a few kilobytes.
const MAX_BYTES: usize = 256 * 1024;

#[derive(Deserialize)]
struct TaskMetadata {
    #[serde(rename = "TaskARN")]
    task_arn: String,
}

/// The ARN of the task that this process runs in; none outside ECS, or if the endpoint does not answer in two
/// seconds. It makes reports easier to follow, and nothing depends on it.
pub async fn task_arn() -> Option<String> {
    let base = std::env::var(ENV_METADATA).ok()?;
    match tokio::time::timeout(TIMEOUT, fetch(&format!("{base}/task"))).await {
        Ok(Ok(arn)) => Some(arn),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the task metadata endpoint gave no task arn");
            None
        }
        Err(_) => {
            tracing::warn!("the task metadata endpoint did not answer in time");
            None
        }
    }
}

async fn fetch(url: &str) -> anyhow::Result<String> {
    // Never through a proxy: the endpoint is link-local.
    let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build()?;
    let mut answer = client.get(url).send().await?.error_for_status()?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        body.extend_from_slice(&chunk);
        anyhow::ensure!(body.len() <= MAX_BYTES, "the answer is longer than {MAX_BYTES} bytes");
    }
    Ok(serde_json::from_slice::<TaskMetadata>(&body)?.task_arn)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn an_answer_longer_than_any_is_given_up() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await.unwrap();
            // Its reader goes away.
            stream.write_all(&vec![b' '; 1 << 20]).await.ok();
        });
        let error = fetch(&format!("http://{address}/task")).await.unwrap_err();
        assert!(error.to_string().contains("longer than"), "{error}");
        served.await.unwrap();
    }
}
