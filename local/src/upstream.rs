//! Another ECS endpoint, from which unknown clusters and task definitions are imported.

use hyper::Method;
use serde_json::Value;

use crate::{
    client::{ClientError, JsonClient},
    model::{error::ApiError, names},
};

/// The other endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Upstream {
    client: JsonClient,
}

impl Upstream {
    pub(crate) fn new(endpoint: &str) -> Result<Self, ClientError> {
        Ok(Self { client: JsonClient::new(endpoint)? })
    }

    /// One call in AWS JSON 1.1; `None` when the other endpoint refuses it.
    pub(crate) async fn call(&self, operation: &str, body: &Value) -> Result<Option<Value>, ApiError> {
        let target = format!("{}.{operation}", names::TARGET);
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target.as_str())];
        match self.client.send(Method::POST, "/", &headers, Some(body)).await {
            Ok((200, answer)) => Ok(Some(answer)),
            Ok((status @ 500.., answer)) => {
                Err(ApiError::server(format!("the upstream endpoint answered {status}: {answer}")))
            }
            Ok((_, _)) => Ok(None),
            Err(error) => Err(ApiError::server(format!("the upstream endpoint: {error}"))),
        }
    }
}
