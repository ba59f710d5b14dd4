//! JSON documents with a schema number in front.

use serde::{Serialize, de::DeserializeOwned};

use super::SCHEMA;

/// Largest document of most kinds, in bytes. A terminal record is a few kilobytes; a ladder of 30 rungs stays below
/// 32 KiB.
const MAX_DOCUMENT_BYTES: usize = 1 << 20;

/// A document of the contract.
pub trait Document: Serialize + DeserializeOwned {
    /// Its name in error messages, such as `terminal.json`.
    const NAME: &'static str;
    /// The newest schema of it that this version reads.
    const NEWEST: u32 = SCHEMA;
    /// Largest document of its kind that is read, in bytes.
    const LIMIT: usize = MAX_DOCUMENT_BYTES;
}

/// Why a document could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub enum DocumentError {
    /// Written by a newer version. It must be neither overwritten nor deleted (S15).
    #[error("{name} has schema {found}, newer than {known}: written by a newer version; upgrade this one")]
    NewerSchema {
        name: &'static str,
        /// The schema number found.
        found: u64,
        /// The newest that is known.
        known: u32,
    },
    /// Not a document of the contract.
    #[error("{name} cannot be read: {reason}")]
    Invalid {
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// Reads a document. The schema is checked before the rest, so that a newer document is not taken for a broken one.
pub fn decode<D: Document>(bytes: &[u8]) -> Result<D, DocumentError> {
    let invalid = |reason: String| DocumentError::Invalid { name: D::NAME, reason };
    if bytes.len() > D::LIMIT {
        return Err(invalid(format!("{} bytes, more than {}", bytes.len(), D::LIMIT)));
    }
    let value: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|error| invalid(error.to_string()))?;
    match value.get("schema").and_then(serde_json::Value::as_u64) {
        Some(schema) if schema > u64::from(D::NEWEST) => {
            return Err(DocumentError::NewerSchema { name: D::NAME, found: schema, known: D::NEWEST });
        }
        Some(_) => {}
        None => return Err(invalid("no `schema` number".into())),
    }
    serde_json::from_value(value).map_err(|error| invalid(error.to_string()))
}

/// Writes a document as JSON. The same value always gives the same bytes.
pub fn encode<D: Document>(document: &D) -> Vec<u8> {
    // Every document is a plain structure with string keys; serialising one cannot fail.
    serde_json::to_vec(document).unwrap_or_default()
}
