//! Why a message, or a record in one, asks for no job although it can be read.

/// The reasons. A closed list: metrics have one counter for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IgnoreReason {
    /// S3 tests a notification that was just set up (`s3:TestEvent`).
    TestEvent,
    /// An S3 event about something other than a new object: a deletion, a restore, a tag.
    NotCreated,
    /// The empty object that a console (`name/`) or Hadoop (`name_$folder$`) makes for a folder.
    FolderMarker,
    /// The key has none of the endings in `sources.*.suffixes`.
    OtherSuffix,
}

impl IgnoreReason {
    /// All reasons, for tables and tests.
    pub const ALL: &'static [Self] =
        &[Self::TestEvent, Self::NotCreated, Self::FolderMarker, Self::OtherSuffix];

    /// Name of the reason in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TestEvent => "TestEvent",
            Self::NotCreated => "NotCreated",
            Self::FolderMarker => "FolderMarker",
            Self::OtherSuffix => "OtherSuffix",
        }
    }
}

/// A message, or a record in one, that asks for no job.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Ignored {
    pub reason: IgnoreReason,
    /// The event's name and its object, if it has one: `ObjectRemoved:Delete s3://bucket/key`.
    pub event: String,
}

impl Ignored {
    pub(super) fn new(reason: IgnoreReason, event: impl Into<String>) -> Self {
        Self { reason, event: event.into() }
    }

    /// For an event with this name, about this object.
    pub(super) fn about(reason: IgnoreReason, name: &str, bucket: &str, key: &str) -> Self {
        Self::new(reason, format!("{name} s3://{bucket}/{key}"))
    }
}
