//! Failure codes: stable names that people search for, dashboards count and uploaders are told.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::exit::ExitCode;

/// Who can do something about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// Whoever uploaded the file.
    Uploader,
    /// Whoever runs the pipeline.
    Operator,
    /// AWS; a retry is the remedy.
    Aws,
}

/// A failure with its evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Failure {
    /// Stable code.
    pub code: FailureCode,
    /// One line for a person: what is wrong with this file, this job.
    pub message: String,
    /// What was measured or said, by name. Values are short and never hold a secret or a presigned address.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub evidence: BTreeMap<String, String>,
}

impl Failure {
    /// A failure without evidence.
    pub fn new(code: FailureCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), evidence: BTreeMap::new() }
    }

    /// Adds one piece of evidence, cut to 2,000 characters.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.evidence.insert(name.to_owned(), value.to_string().chars().take(2000).collect());
        self
    }
}

/// What a failure code stands for.
#[derive(Debug, Clone, Copy)]
pub struct FailureInfo {
    /// The code as it is written everywhere.
    pub name: &'static str,
    /// Whether trying the same again can help.
    pub retryable: bool,
    /// Who can act.
    pub who: Who,
    /// The exit code that goes with it.
    pub exit: ExitCode,
    /// What happened.
    pub meaning: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

/// A stable failure code. A code that this version does not know is read as [`FailureCode::Internal`], which is
/// retryable: an unknown code never kills a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FailureCode {
    /// The uploaded object has zero bytes.
    Empty,
    /// The object is not a media file of an accepted kind, whatever its name says.
    NotMedia,
    /// The file ends before its own index or declared duration says.
    SourceTruncated,
    /// The file is several recordings in one, or its clock runs back, in a container that is not played across that.
    SourceDiscontinuous,
    /// The source object, or the version the event named, is gone.
    SourceMissing,
    /// The source was replaced while it was read; the newer upload has its own job.
    SourceChanged,
    /// The source lies in an archive storage class.
    SourceArchived,
    /// The task role may not read the source.
    SourceDenied,
    /// The source is larger than the configured maximum.
    SourceTooLarge,
    /// The message names a bucket or prefix that is not on the allow-list.
    SourceNotAllowed,
    /// A media container that is not accepted.
    UnsupportedContainer,
    /// No decoder for the main video or audio stream.
    UnsupportedCodec,
    /// Neither a video nor an audio stream that can be used.
    NothingToPlay,
    /// A still image, not a video.
    StillImage,
    /// The video is larger than the decoder may open.
    TooManyPixels,
    /// More streams than are accepted.
    TooManyStreams,
    /// Longer than the profile accepts.
    TooLong,
    /// The media is encrypted (DRM).
    Encrypted,
    /// The file refers to other files or addresses instead of holding its media.
    ExternalReference,
    /// Dolby Vision profile 5 has no base layer that can be shown without it.
    DolbyVisionUnsupported,
    /// The video has high dynamic range, and this ffmpeg cannot bring it to standard range.
    HdrUnsupported,
    /// The clip that is asked for begins after the source's end.
    ClipOutside,
    /// The overlay that is asked for is not on the allow-list of the source.
    OverlayNotAllowed,
    /// The overlay is not there.
    OverlayMissing,
    /// The task role may not read the overlay.
    OverlayDenied,
    /// The overlay is not an image that can be used.
    OverlayUnusable,
    /// The task refused the input; its own report was lost.
    InputRefused,
    /// The message is neither an S3 event nor a job request.
    MalformedMessage,
    /// The message is a notification from which no job can ever be read.
    UnusableEvent,
    /// The message names a profile that is not configured.
    UnknownProfile,
    /// The idempotency key of the request belongs to a job of another source.
    IdempotencyKeyReused,
    /// The task was started with a specification or environment that it cannot use.
    ConfigInvalid,
    /// The policy requires a sandbox level that this host does not give.
    SandboxUnavailable,
    /// The task role may not write the output or the state.
    OutputDenied,
    /// The stream is damaged beyond what can be concealed.
    DecodeFailed,
    /// Ffmpeg failed.
    EncodeFailed,
    /// Ffmpeg died of a signal.
    EncoderCrashed,
    /// Ffmpeg tried something that the sandbox forbids and was killed.
    SandboxViolation,
    /// Ffmpeg made no progress for longer than the watchdog allows.
    EncoderStalled,
    /// The outputs grew past the limit for this duration.
    OutputTooLarge,
    /// An output broke a named rule and was not published.
    VerifyFailed,
    /// The attempt ran longer than the job's maximum run time.
    RunTimeExceeded,
    /// The task's disk is full.
    DiskFull,
    /// The container was killed for its memory.
    OutOfMemory,
    /// Ffmpeg asked for more memory than the limit of one run.
    MemoryLimit,
    /// Memory, disk or time ran out; the task's own report was lost.
    ResourceExhausted,
    /// S3 did not answer for longer than the task may wait.
    StoreUnavailable,
    /// S3 refused a call with words that this version does not know.
    StoreRefused,
    /// The task was stopped from outside: Spot, maintenance or a stop request.
    Interrupted,
    /// The task vanished without a word.
    TaskLost,
    /// The task's process died without a report.
    TaskKilled,
    /// The task could not be started (image, network, secret).
    StartFailed,
    /// The task did not come up in time.
    StartTimeout,
    /// ECS refused the launch: capacity or quota.
    LaunchRefused,
    /// The launch could not be made before its deadline.
    LaunchExpired,
    /// A fault of the program itself.
    #[serde(other)]
    Internal,
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.info().name)
    }
}

impl FailureCode {
    /// Every code, for tables and tests.
    pub const ALL: &'static [Self] = &[
        Self::Empty,
        Self::NotMedia,
        Self::SourceTruncated,
        Self::SourceDiscontinuous,
        Self::SourceMissing,
        Self::SourceChanged,
        Self::SourceArchived,
        Self::SourceDenied,
        Self::SourceTooLarge,
        Self::SourceNotAllowed,
        Self::UnsupportedContainer,
        Self::UnsupportedCodec,
        Self::NothingToPlay,
        Self::StillImage,
        Self::TooManyPixels,
        Self::TooManyStreams,
        Self::TooLong,
        Self::Encrypted,
        Self::ExternalReference,
        Self::DolbyVisionUnsupported,
        Self::HdrUnsupported,
        Self::ClipOutside,
        Self::OverlayNotAllowed,
        Self::OverlayMissing,
        Self::OverlayDenied,
        Self::OverlayUnusable,
        Self::InputRefused,
        Self::MalformedMessage,
        Self::UnusableEvent,
        Self::UnknownProfile,
        Self::IdempotencyKeyReused,
        Self::ConfigInvalid,
        Self::SandboxUnavailable,
        Self::OutputDenied,
        Self::DecodeFailed,
        Self::EncodeFailed,
        Self::EncoderCrashed,
        Self::SandboxViolation,
        Self::EncoderStalled,
        Self::OutputTooLarge,
        Self::VerifyFailed,
        Self::RunTimeExceeded,
        Self::DiskFull,
        Self::OutOfMemory,
        Self::MemoryLimit,
        Self::ResourceExhausted,
        Self::StoreUnavailable,
        Self::StoreRefused,
        Self::Interrupted,
        Self::TaskLost,
        Self::TaskKilled,
        Self::StartFailed,
        Self::StartTimeout,
        Self::LaunchRefused,
        Self::LaunchExpired,
        Self::Internal,
    ];

    /// What the code stands for.
    #[rustfmt::skip]
    #[allow(clippy::too_many_lines, reason = "a table: one row for each code")]
    pub const fn info(self) -> FailureInfo {
        use ExitCode as E;
        use Who::{Aws, Operator, Uploader};
        const fn row(name: &'static str, retryable: bool, who: Who, exit: ExitCode, meaning: &'static str, remedy: &'static str) -> FailureInfo {
            FailureInfo { name, retryable, who, exit, meaning, remedy }
        }
        match self {
            Self::Empty => row("EMPTY", false, Uploader, E::InputRefused,
                "the uploaded object has zero bytes",
                "upload the file again; check that the upload finished"),
            Self::NotMedia => row("NOT_MEDIA", false, Uploader, E::InputRefused,
                "the object is not a media file of an accepted kind, whatever its name says",
                "upload a video or audio file (MP4, MOV, MKV, WebM, MPEG-TS, AVI, …)"),
            Self::SourceTruncated => row("SOURCE_TRUNCATED", false, Uploader, E::InputRefused,
                "the file ends before its own index or declared duration says",
                "upload the whole file again"),
            Self::SourceDiscontinuous => row("SOURCE_DISCONTINUOUS", false, Uploader, E::InputRefused,
                "the file is several recordings in one, or its clock runs back, and it cannot be played to its end",
                "upload the recordings one by one, or join them with a program that writes new times (ffmpeg's concat demuxer)"),
            Self::SourceMissing => row("SOURCE_MISSING", false, Uploader, E::InputRefused,
                "the source object, or the version the event named, is gone",
                "upload again; check that no lifecycle rule deletes sources before they are processed"),
            Self::SourceChanged => row("SOURCE_CHANGED", false, Uploader, E::InputRefused,
                "the source was replaced while it was read; the newer upload has its own job",
                "nothing, if the newer upload succeeds"),
            Self::SourceArchived => row("SOURCE_ARCHIVED", false, Operator, E::InputRefused,
                "the source lies in an archive storage class",
                "restore the object, then redrive the message"),
            Self::SourceDenied => row("SOURCE_DENIED", false, Operator, E::Misconfigured,
                "the task role may not read the source",
                "grant s3:GetObject (and kms:Decrypt) on the source, then redrive"),
            Self::SourceTooLarge => row("SOURCE_TOO_LARGE", false, Uploader, E::InputRefused,
                "the source is larger than the configured maximum",
                "upload a smaller file, or raise jobs.max_source_bytes"),
            Self::SourceNotAllowed => row("SOURCE_NOT_ALLOWED", false, Operator, E::InputRefused,
                "the message names a bucket or prefix that is not on the allow-list",
                "add it to sources in the settings, or stop whoever sends such messages"),
            Self::UnsupportedContainer => row("UNSUPPORTED_CONTAINER", false, Uploader, E::InputRefused,
                "a media container that is not accepted",
                "convert to MP4, MOV, MKV or WebM"),
            Self::UnsupportedCodec => row("UNSUPPORTED_CODEC", false, Uploader, E::InputRefused,
                "no decoder for the main video or audio stream",
                "convert to a common codec"),
            Self::NothingToPlay => row("NOTHING_TO_PLAY", false, Uploader, E::InputRefused,
                "neither a video nor an audio stream that can be used",
                "upload a file with video or audio"),
            Self::StillImage => row("STILL_IMAGE", false, Uploader, E::InputRefused,
                "a still image, not a video",
                "upload a video"),
            Self::TooManyPixels => row("TOO_MANY_PIXELS", false, Uploader, E::InputRefused,
                "the video is larger than the decoder may open",
                "upload at most 8192x8192"),
            Self::TooManyStreams => row("TOO_MANY_STREAMS", false, Uploader, E::InputRefused,
                "more streams than are accepted",
                "remove streams that are not needed"),
            Self::TooLong => row("TOO_LONG", false, Uploader, E::InputRefused,
                "longer than the profile accepts",
                "split the file, or raise the profile's limit"),
            Self::Encrypted => row("ENCRYPTED", false, Uploader, E::InputRefused,
                "the media is encrypted (DRM)",
                "upload an unencrypted file"),
            Self::ExternalReference => row("EXTERNAL_REFERENCE", false, Uploader, E::InputRefused,
                "the file refers to other files or addresses instead of holding its media",
                "upload a self-contained file"),
            Self::DolbyVisionUnsupported => row("DOLBY_VISION_UNSUPPORTED", false, Uploader, E::InputRefused,
                "Dolby Vision profile 5 has no base layer that can be shown without it",
                "export with an HDR10 or HLG base layer"),
            Self::HdrUnsupported => row("HDR_UNSUPPORTED", false, Operator, E::Misconfigured,
                "the video has high dynamic range, and this ffmpeg cannot bring it to standard range",
                "use an ffmpeg built with zimg (filters zscale and tonemap), then redrive"),
            Self::ClipOutside => row("CLIP_OUTSIDE", false, Uploader, E::InputRefused,
                "the clip that is asked for begins after the source's end",
                "ask for a part of the source; see its duration in the evidence"),
            Self::OverlayNotAllowed => row("OVERLAY_NOT_ALLOWED", false, Operator, E::InputRefused,
                "the overlay that is asked for is not on the allow-list of the source",
                "add its bucket and prefix to sources.*.overlays, or stop whoever sends such requests"),
            Self::OverlayMissing => row("OVERLAY_MISSING", false, Uploader, E::InputRefused,
                "the overlay is not there",
                "upload the image, or ask for another one"),
            Self::OverlayDenied => row("OVERLAY_DENIED", false, Operator, E::Misconfigured,
                "the task role may not read the overlay",
                "grant s3:GetObject on the overlays' prefix, then redrive"),
            Self::OverlayUnusable => row("OVERLAY_UNUSABLE", false, Uploader, E::InputRefused,
                "the overlay is not an image that can be used",
                "use a PNG, JPEG or WebP of at most 8 MiB and 4096x4096 pixels"),
            Self::InputRefused => row("INPUT_REFUSED", false, Uploader, E::InputRefused,
                "the task refused the input; its own report was lost",
                "see the task's log for the exact code"),
            Self::MalformedMessage => row("MALFORMED_MESSAGE", false, Operator, E::InputRefused,
                "the message is neither an S3 event nor a job request",
                "fix the sender; the original body is in the dead-letter message"),
            Self::UnusableEvent => row("UNUSABLE_EVENT", false, Operator, E::InputRefused,
                "the message is a notification from which no job can ever be read: a queue, a topic or a rule is set up wrongly",
                "change what sends to the queue, as the message says; then send the uploads meanwhile with `submit`"),
            Self::UnknownProfile => row("UNKNOWN_PROFILE", false, Operator, E::Misconfigured,
                "the message names a profile that is not configured",
                "add the profile or fix the sender, then redrive"),
            Self::IdempotencyKeyReused => row("IDEMPOTENCY_KEY_REUSED", false, Operator, E::InputRefused,
                "the idempotency key of the request belongs to a job of another source",
                "have the sender give each source a key of its own; a redrive alone changes nothing"),
            Self::ConfigInvalid => row("CONFIG_INVALID", false, Operator, E::Misconfigured,
                "the task was started with a specification or environment that it cannot use",
                "run check-config; see the task's log, and the Region of the bucket where one is named"),
            Self::SandboxUnavailable => row("SANDBOX_UNAVAILABLE", false, Operator, E::Misconfigured,
                "the policy requires a sandbox level that this host does not give",
                "run `transcode-task sandbox-check` there; relax the policy or move the task"),
            Self::OutputDenied => row("OUTPUT_DENIED", false, Operator, E::Misconfigured,
                "the task role may not write the output or the state",
                "grant the task role its prefixes, then redrive"),
            Self::DecodeFailed => row("DECODE_FAILED", false, Uploader, E::InputRefused,
                "the stream is damaged beyond what can be concealed",
                "export the file again from its original"),
            Self::EncodeFailed => row("ENCODE_FAILED", true, Operator, E::TranscodeFailed,
                "ffmpeg failed",
                "see ffmpeg's last lines in the evidence; report the file if it repeats"),
            Self::EncoderCrashed => row("ENCODER_CRASHED", true, Operator, E::TranscodeFailed,
                "ffmpeg died of a signal",
                "keep the file: it may be hostile or hit a bug; see the evidence"),
            Self::SandboxViolation => row("SANDBOX_VIOLATION", false, Operator, E::InputRefused,
                "ffmpeg tried something that the sandbox forbids and was killed",
                "treat the file as hostile; see the evidence"),
            Self::EncoderStalled => row("ENCODER_STALLED", true, Operator, E::TranscodeFailed,
                "ffmpeg made no progress for longer than the watchdog allows",
                "see the evidence; report the file if it repeats"),
            Self::OutputTooLarge => row("OUTPUT_TOO_LARGE", false, Operator, E::TranscodeFailed,
                "the outputs grew past the limit for this duration",
                "treat the file as hostile; see the evidence"),
            Self::VerifyFailed => row("VERIFY_FAILED", true, Operator, E::TranscodeFailed,
                "an output broke a named rule and was not published",
                "see the rule's id, the measured and the allowed value in the evidence"),
            // Not retried: on the same size the same file takes as long again.
            Self::RunTimeExceeded => row("RUN_TIME_EXCEEDED", false, Operator, E::ResourceExhausted,
                "the attempt ran longer than the job's maximum run time, or ffmpeg longer than this file may take",
                "raise jobs.max_run_seconds or launch.cpu, then redrive; or treat the file as hostile"),
            Self::DiskFull => row("DISK_FULL", true, Operator, E::ResourceExhausted,
                "the task's disk is full",
                "raise the ephemeral storage"),
            Self::OutOfMemory => row("OUT_OF_MEMORY", true, Operator, E::ResourceExhausted,
                "the container was killed for its memory",
                "raise the task's memory, or configure launch.oom_sizes"),
            Self::MemoryLimit => row("MEMORY_LIMIT", false, Operator, E::TranscodeFailed,
                "ffmpeg asked for more memory than the limit of one run",
                "treat the file as hostile; see the evidence"),
            Self::ResourceExhausted => row("RESOURCE_EXHAUSTED", true, Operator, E::ResourceExhausted,
                "memory, disk or time ran out; the task's own report was lost",
                "see the task's log"),
            Self::StoreUnavailable => row("STORE_UNAVAILABLE", true, Aws, E::Unavailable,
                "S3 did not answer for longer than the task may wait",
                "nothing; it is retried"),
            Self::StoreRefused => row("STORE_REFUSED", true, Operator, E::Internal,
                "S3 refused a call for a reason that this version does not know",
                "look AWS' code and words up in the evidence; then redrive"),
            Self::Interrupted => row("INTERRUPTED", true, Aws, E::Interrupted,
                "the task was stopped from outside: Spot, maintenance or a stop request",
                "nothing; it is retried"),
            Self::TaskLost => row("TASK_LOST", true, Aws, E::Internal,
                "the task vanished without a word",
                "nothing; it is retried"),
            Self::TaskKilled => row("TASK_KILLED", true, Operator, E::Internal,
                "the task's process died without a report",
                "see the exit code and the task's log"),
            Self::StartFailed => row("START_FAILED", true, Operator, E::Internal,
                "the task could not be started (image, network, secret)",
                "see the reason; check image, subnets, endpoints and the execution role"),
            Self::StartTimeout => row("START_TIMEOUT", true, Aws, E::Internal,
                "the task did not come up in time",
                "nothing; it is retried. If it repeats: check subnets and image size"),
            Self::LaunchRefused => row("LAUNCH_REFUSED", true, Aws, E::Internal,
                "ECS refused the launch: capacity or quota",
                "nothing; it is retried. If it repeats: ask for more Fargate quota"),
            Self::LaunchExpired => row("LAUNCH_EXPIRED", true, Aws, E::Internal,
                "the launch could not be made before its deadline",
                "nothing; it is retried"),
            Self::Internal => row("INTERNAL", true, Operator, E::Internal,
                "a fault of the program itself",
                "report it with the task's log"),
        }
    }
}

impl ExitCode {
    /// What to assume when the exit code is all there is: the task could not write its last heartbeat.
    pub fn failure_code(self) -> Option<FailureCode> {
        match self {
            Self::Succeeded | Self::Superseded => None,
            Self::Internal | Self::Usage => Some(FailureCode::Internal),
            Self::InputRefused => Some(FailureCode::InputRefused),
            Self::Misconfigured => Some(FailureCode::ConfigInvalid),
            Self::Interrupted => Some(FailureCode::Interrupted),
            Self::ResourceExhausted => Some(FailureCode::ResourceExhausted),
            Self::Unavailable => Some(FailureCode::StoreUnavailable),
            Self::TranscodeFailed => Some(FailureCode::EncodeFailed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_in_the_table_is_the_name_on_the_wire() {
        for code in FailureCode::ALL {
            assert_eq!(serde_json::to_string(code).unwrap(), format!("\"{}\"", code.info().name));
        }
    }

    #[test]
    fn what_the_same_bytes_will_repeat_is_not_retried() {
        for code in [FailureCode::RunTimeExceeded, FailureCode::OutputTooLarge, FailureCode::MemoryLimit] {
            assert!(!code.info().retryable, "{code}");
        }
        assert!(FailureCode::OutOfMemory.info().retryable, "the next attempt gets a larger size");
    }

    #[test]
    fn an_unknown_code_is_retryable() {
        let code: FailureCode = serde_json::from_str("\"FROM_THE_FUTURE\"").unwrap();
        assert!(code.info().retryable);
    }
}
