//! What a refused call answers, in AWS's JSON shape.

use serde_json::{Value, json};

/// A refusal: HTTP status, exception name, text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    /// HTTP status, 400 for most exceptions.
    pub(crate) status: u16,
    /// Exception name without namespace, such as `InvalidParameterException`.
    pub(crate) code: String,
    /// Text for people.
    pub(crate) message: String,
    /// Only `ConflictException` has them: the ARNs that exist already.
    pub(crate) resource_ids: Vec<String>,
}

impl ApiError {
    /// Any exception with status 400.
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { status: 400, code: code.to_owned(), message: message.into(), resource_ids: Vec::new() }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterException", message)
    }

    pub(crate) fn client(message: impl Into<String>) -> Self {
        Self::new("ClientException", message)
    }

    pub(crate) fn cluster_not_found() -> Self {
        Self::new("ClusterNotFoundException", "Cluster not found.")
    }

    /// The fault is this program's.
    pub(crate) fn server(message: impl Into<String>) -> Self {
        Self { status: 500, ..Self::new("ServerException", message) }
    }

    /// The token is in use for another request; `resource_ids` names what that one launched.
    pub(crate) fn conflict(resource_ids: Vec<String>) -> Self {
        Self {
            resource_ids,
            ..Self::new("ConflictException", "The clientToken was used before with other parameters.")
        }
    }

    /// The answer's body.
    pub(crate) fn body(&self) -> Value {
        let mut body = json!({"__type": self.code, "message": self.message});
        if self.code == "ConflictException" {
            body["resourceIds"] = json!(self.resource_ids);
        }
        body
    }
}
