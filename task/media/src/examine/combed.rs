//! What the fields of a video showed.

use serde::Serialize;

/// How a video that is not marked as interlaced is combed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Combed {
    /// Whether the upper field comes first.
    pub top_first: bool,
    /// Whether most windows are combed, and every one in which something moves. If not, each frame must be looked at.
    pub throughout: bool,
}
