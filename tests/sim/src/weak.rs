//! Deliberate weaknesses in what surrounds the core: the adapters' and the task's side of the protocol. Like those in
//! the core they are off unless the feature `mutants` is built in and somebody has switched one on.

/// RunTask's token is different each time.
pub const RANDOM_TOKEN: u8 = 40;
/// The adapter sends RunTask although the deadline is past.
pub const SENT_LATE: u8 = 41;
/// The task overwrites the register.
pub const BLIND_REGISTER: u8 = 42;
/// The controller overwrites the register.
pub const BLIND_BURIAL: u8 = 43;
/// The task does not look before it works.
pub const NO_START_CHECKS: u8 = 44;
/// The task looks for everything but its launch deadline.
pub const NO_DEADLINE: u8 = 45;
/// The task works on although it has been cut off from S3.
pub const NO_FENCE: u8 = 46;
/// The task writes its register before its last output.
pub const EARLY_REGISTER: u8 = 47;
/// Settling publishes the newest attempt, whatever the register says.
pub const PUBLISHES_NEWEST: u8 = 48;

/// Whether a weakness is switched on.
#[cfg(not(feature = "mutants"))]
pub(crate) const fn on(_number: u8) -> bool {
    false
}

#[cfg(feature = "mutants")]
pub(crate) use transcode_core::weakness::on;
