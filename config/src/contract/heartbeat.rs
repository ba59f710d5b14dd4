//! `attempts/<n>.heartbeat.json`: the last report of the task of attempt n.

use serde::{Deserialize, Deserializer, Serialize, de::Error};

use super::{
    document::Document,
    failure::Failure,
    job::{Attempt, JobKey},
    user_metadata::UserMetadata,
};

/// The stage of the task, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Start checks (S8).
    Starting,
    /// Fetching the source.
    Downloading,
    /// Finding out what the source is.
    Probing,
    /// Encoding, packaging and uploading segments.
    Transcoding,
    /// Parsing every output again.
    Verifying,
    /// Uploading the rest, then the terminal record.
    Publishing,
}

impl Stage {
    /// The stage as one lower-case word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Downloading => "downloading",
            Self::Probing => "probing",
            Self::Transcoding => "transcoding",
            Self::Verifying => "verifying",
            Self::Publishing => "publishing",
        }
    }
}

/// The state of the task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub enum TaskState {
    /// Alive. The heartbeat goes stale if no newer one follows.
    Working,
    /// Done: this attempt has written the terminal record.
    Finished,
    /// Stopped from outside before it was done (SIGTERM, Spot). Nothing is wrong with the job.
    Interrupted,
    /// Failed.
    Failed { failure: Failure },
}

/// The heartbeat. The last one of an attempt holds the attempt's ending.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Heartbeat {
    pub schema: u32,
    pub job: JobKey,
    pub attempt: Attempt,
    /// The task's own ARN, from the metadata endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_arn: Option<String>,
    /// Grows with every heartbeat of the attempt. Readers judge staleness by seeing it stand still on their own
    /// clock, never by comparing clocks.
    pub seq: u64,
    /// The task's clock, in ms since 1970. For people.
    pub written_at_ms: u64,
    /// What it is busy with.
    pub stage: Stage,
    /// Progress of the whole attempt, 0–100.
    #[serde(deserialize_with = "finite")]
    pub percent: f32,
    /// Encoding speed as a multiple of real time, while transcoding.
    #[serde(default, deserialize_with = "finite_if_any", skip_serializing_if = "Option::is_none")]
    pub speed: Option<f32>,
    /// Key, in the output bucket, of a master playlist of the segments so far; none if the profile does not ask for
    /// it or no segment is stored yet. It lies in the attempt's own folder, which is removed unless the attempt wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playable: Option<String>,
    /// `x-amz-meta-*` of the source, as far as it fits, once it was asked for.
    #[serde(default, skip_serializing_if = "UserMetadata::is_empty")]
    pub user_metadata: UserMetadata,
    #[serde(flatten)]
    pub state: TaskState,
}

impl Document for Heartbeat {
    const NAME: &'static str = "heartbeat";
}

/// JSON can hold numbers that become infinity in 32 bits, which JSON cannot express.
fn finite<'de, D: Deserializer<'de>>(from: D) -> Result<f32, D::Error> {
    let number = f32::deserialize(from)?;
    if number.is_finite() { Ok(number) } else { Err(D::Error::custom("a number is too large")) }
}

pub(super) fn finite_if_any<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f32>, D::Error> {
    let number = Option::<f32>::deserialize(from)?;
    if number.is_none_or(f32::is_finite) {
        Ok(number)
    } else {
        Err(D::Error::custom("a number is too large"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{decode, encode};

    #[test]
    fn numbers_that_could_not_be_written_again_are_refused() {
        let text = |percent: &str, speed: &str| {
            format!(
                r#"{{"schema": 1, "job": "{:032}", "attempt": 1, "seq": 1, "written_at_ms": 1, "stage": "probing",
                    "percent": {percent}, "speed": {speed}, "state": "working"}}"#,
                0
            )
        };
        for (percent, speed) in [("1e39", "1"), ("-1e39", "1"), ("1", "1e39")] {
            assert!(decode::<Heartbeat>(text(percent, speed).as_bytes()).is_err(), "{percent} {speed}");
        }
        for speed in ["2.5", "null"] {
            let read = decode::<Heartbeat>(text("100", speed).as_bytes()).unwrap();
            assert_eq!(decode::<Heartbeat>(&encode(&read)), Ok(read));
        }
    }
}
