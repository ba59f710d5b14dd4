//! The task's metrics: sent once, when the attempt is over.

use super::{Kind, MetricInfo, Unit, count, row};

/// A metric of the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the table below says what each one means")]
pub enum TaskMetric {
    TaskSucceeded,
    TaskFailed,
    TaskSuperseded,
    TaskInterrupted,
    SourceBytes,
    OutputBytes,
    OutputMinutes,
    RealTimeFactor,
    DownloadSeconds,
    TranscodeSeconds,
    UploadSeconds,
    TaskSeconds,
}

impl TaskMetric {
    /// Every metric, for tables and tests.
    pub const ALL: &'static [Self] = &[
        Self::TaskSucceeded,
        Self::TaskFailed,
        Self::TaskSuperseded,
        Self::TaskInterrupted,
        Self::SourceBytes,
        Self::OutputBytes,
        Self::OutputMinutes,
        Self::RealTimeFactor,
        Self::DownloadSeconds,
        Self::TranscodeSeconds,
        Self::UploadSeconds,
        Self::TaskSeconds,
    ];

    /// The metric's row in the registry. The only dimension is the environment: a custom metric is paid for by name
    /// and dimension.
    #[rustfmt::skip]
    pub const fn info(self) -> MetricInfo {
        const fn each(name: &'static str, unit: Unit, meaning: &'static str) -> MetricInfo {
            row(name, unit, Kind::Distribution, meaning)
        }
        match self {
            Self::TaskSucceeded => count("TaskSucceeded", "attempts that wrote the terminal record"),
            Self::TaskFailed => count("TaskFailed", "attempts that ended with a failure"),
            Self::TaskSuperseded => count("TaskSuperseded", "attempts that found the job decided or taken over"),
            Self::TaskInterrupted => count("TaskInterrupted", "attempts that were stopped from outside"),
            Self::SourceBytes => each("SourceBytes", Unit::Bytes, "size of the source"),
            Self::OutputBytes => each("OutputBytes", Unit::Bytes, "size of all outputs of one job"),
            Self::OutputMinutes => each("OutputMinutes", Unit::Count, "length of the result in minutes, counted once for a job"),
            Self::RealTimeFactor => each("RealTimeFactor", Unit::None, "length of the result over the time to transcode it"),
            Self::DownloadSeconds => each("DownloadSeconds", Unit::Seconds, "time to fetch the source"),
            Self::TranscodeSeconds => each("TranscodeSeconds", Unit::Seconds, "time to probe, encode, package and verify"),
            Self::UploadSeconds => each("UploadSeconds", Unit::Seconds, "time from the last encoded byte to the terminal record"),
            Self::TaskSeconds => each("TaskSeconds", Unit::Seconds, "time from the start of the process to its end"),
        }
    }
}
