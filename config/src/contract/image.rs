//! What a task's image says of itself.

/// Label in the image's configuration: the newest schema of the contract's documents that the task in it reads and
/// writes, in digits. The controller launches an image only when that is its own.
pub const IMAGE_CONTRACT_LABEL: &str = "org.transcode-operator.contract";
