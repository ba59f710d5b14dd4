//! The contract version of a task's image.

/// Label in the image's configuration: [`super::SCHEMA`] of the task in it, in digits. The controller launches an
/// image only if the label equals its own. The label does not cover [`super::SPEC_WITH_EDIT`]: a task without edits
/// refuses such specifications by their schema.
pub const IMAGE_CONTRACT_LABEL: &str = "org.transcode-operator.contract";
