//! What a task's image says of itself.

/// Label in the image's configuration: [`super::SCHEMA`] of the task in it, in digits. The controller launches an image only
/// when that is its own. It does not say whether the task knows specifications of [`super::SPEC_WITH_EDIT`] too: one that
/// does not refuses them by their schema.
pub const IMAGE_CONTRACT_LABEL: &str = "org.transcode-operator.contract";
